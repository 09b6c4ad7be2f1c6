"""A classifier that is a .tflite file already, as a bundle: its layers and weights stay as they are.

Its graph is cut in front of the last operator with weights. What goes in there are the features, which the signature `encode`
gives; what follows is `classify`. Between the two the features are floating point; quantized ones come back to the very same.
"""

import copy
import hashlib
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from picaption.device.bundle.bundle import (
    GRAPH_MAGIC,
    MAX_MEMBER,
    Contents,
    read_bytes,
    split_lines,
)
from picaption.device.bundle.classifier_graph import Subgraph, drop_unused_buffers
from picaption.device.bundle.flatbuffer import compact_graph, pack_model
from picaption.device.bundle.metadata import Input, Metadata
from picaption.device.errors import PicaptionError
from picaption.models.settings import PIXELS

OPERATORS, TYPES = schema.BuiltinOperator, schema.TensorType
#: The operators with weights that a classifier may end in, and what makes scores of logits, by the kind of head that it is.
WEIGHTED = OPERATORS.FULLY_CONNECTED, OPERATORS.CONV_2D
SQUASHING = {OPERATORS.SOFTMAX: "single-label", OPERATORS.LOGISTIC: "multi-label"}
QUANTIZED = TYPES.INT8, TYPES.UINT8, TYPES.INT16


def wrap(path, labels=None, pixels=None, resize="squash", head=None):
    """Return the bundle's Contents for the classifier in the .tflite file at `path`.

    labels: its class names; without, the file has them inside, as TFLite's metadata does. pixels: of picaption.models.settings.PIXELS, for
    a network whose pictures are floating point; a quantized one's are taken for 0 to 255. resize: of picaption.device.bundle.metadata.RESIZE_RULES. head: of
    picaption.device.bundle.metadata.HEAD_TYPES, for a network that gives logits. Raises PicaptionError where it is no such classifier, or there
    are not as many labels as scores.
    """
    path = Path(path)
    data = read_bytes(path)
    if data[4:8] != GRAPH_MAGIC:
        raise PicaptionError(f"{path}: not a .tflite file: it does not begin as one does")
    return wrap_graph(data, path.name, labels, pixels, resize, head)


def wrap_graph(data, name, labels=None, pixels=None, resize="squash", head=None):
    """Return what `wrap` does, of a .tflite file's bytes; name: the file's, or what it was made of."""
    graph, size, head, count = cut_graph(data, name, pixels, head)
    labels = tuple(labels) if labels else labels_inside(data, count)
    if not labels:
        raise PicaptionError(
            f"{name}: it has no labels for its {count} scores inside: give a file of them, one a line, "
            "with --names"
        )
    if len(labels) != count:
        raise PicaptionError(
            f"{name}: {len(labels)} labels for {count} scores; give one for each score, in their order, "
            "with --names"
        )
    metadata = Metadata(
        Path(name).stem,
        head=head,
        input=Input(*size, resize),
        provenance={"wrapped": name, "sha256": hashlib.sha256(data).hexdigest()},
    )
    return Contents(compact_graph(graph), metadata, labels, None)


def cut_graph(data, name, pixels=None, head=None):
    """Return (a .tflite file's bytes as a graph with the signatures `encode` and `classify`, whose tensors have the names that they
    had; its picture's (height, width); the kind of head; the number of scores), for what `wrap_graph` takes."""
    try:
        return _cut(schema.ModelT.InitFromPackedBuf(data, 0), pixels, head)
    except ValueError as error:
        raise PicaptionError(f"{name}: {error}") from None
    except (struct.error, IndexError, TypeError, AttributeError, MemoryError):
        raise PicaptionError(f"{name}: the file is cut short or damaged; copy it again") from None


def labels_inside(data, count):
    """Return the lines of the text file that a .tflite file's bytes have behind the graph, or () where there is none; of
    several, of the first that has `count` lines."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            texts = [
                split_lines(archive.read(info).decode().replace("\r", ""))
                for info in archive.infolist()
                if info.filename.endswith(".txt") and info.file_size <= MAX_MEMBER
            ]
    except (
        zipfile.BadZipFile,
        UnicodeDecodeError,
        OSError,
        EOFError,
        RuntimeError,
        zipfile.zlib.error,
    ):
        return ()
    return next((text for text in texts if len(text) == count), texts[0] if texts else ())


def _cut(model, pixels, head):
    """Return (the graph with two signatures as bytes, (height, width), head, number of scores) of a ModelT; raises
    ValueError where it is no classifier of pictures."""
    if len(model.subgraphs) != 1:
        raise ValueError(f"its graph has {len(model.subgraphs)} parts, a classifier's has one")
    whole = _Graph(model)
    size = whole.picture()
    last = whole.last_product()
    seam, (scores,) = int(last.inputs[0]), whole.graph.outputs
    features = whole.graph.tensors[seam].shape
    if len(features) not in (2, 4) or np.prod(features) != features[-1]:
        raise ValueError(
            f"what goes into its last layer is of shape {list(features)}: give a network that ends in a global "
            "pooling and one dense layer"
        )
    shape = whole.graph.tensors[scores].shape
    if np.prod(shape) != shape[-1] or shape[-1] < 2:
        raise ValueError(f"what it gives is of shape {list(shape)}, a classifier's is [1, classes]")
    before, after = whole.behind(seam), whole.behind(scores, seam)
    squashed = [each for each in after if whole.code(each) in SQUASHING]
    if squashed:
        # Again in floating point: of 8 bits, next to all of a thousand probabilities are zero.
        given = SQUASHING[whole.code(squashed[-1])]
        if head not in (None, given):
            raise ValueError(f"it gives probabilities of a {given} head already: leave out --head")
        head, scores = given, int(squashed[-1].inputs[0])
        after = whole.behind(scores, seam)
    head = head or "single-label"
    model.subgraphs, model.signatureDefs, model.metadata, model.metadataBuffer = [], [], [], None
    _encode(model, whole, before, seam, pixels)
    _classify(model, whole, after, seam, scores, head)
    drop_unused_buffers(model)
    return pack_model(model, named=True), size, head, int(shape[-1])


class _Graph:
    """A ModelT's only subgraph, to be asked."""

    def __init__(self, model):
        self.model, self.graph = model, model.subgraphs[0]
        self.producers = {
            int(number): each for each in self.graph.operators for number in each.outputs
        }

    def code(self, operator):
        """Return an operator's BuiltinOperator."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        return max(code.builtinCode, code.deprecatedBuiltinCode)

    def moving(self, operator):
        """Return the inputs of an operator that depend on the picture."""
        return [
            int(number)
            for number in operator.inputs
            if number >= 0 and not self.constant(int(number))
        ]

    def constant(self, number):
        """Return whether a tensor is the same for every picture."""
        maker = self.producers.get(number)
        return not self.moving(maker) if maker else number not in self.graph.inputs

    def picture(self):
        """Return (height, width) of the only input; raises ValueError where it is no picture's."""
        if len(self.graph.inputs) != 1 or len(self.graph.outputs) != 1:
            raise ValueError(
                f"it takes {len(self.graph.inputs)} inputs and gives {len(self.graph.outputs)} outputs; a "
                "classifier takes a picture and gives scores"
            )
        tensor = self.graph.tensors[self.graph.inputs[0]]
        shape = [int(size) for size in tensor.shape]
        signature = list(tensor.shapeSignature) if tensor.shapeSignature is not None else shape
        if len(shape) == 4 and -1 in signature[1:]:
            raise ValueError(
                f"its input is of a dynamic shape, {[int(size) for size in signature]}: convert it with a fixed "
                "height and width"
            )
        if len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
            raise ValueError(
                f"its input is {shape}; it takes one picture in three colours, [1, height, width, 3]"
            )
        if tensor.type not in (TYPES.FLOAT32, TYPES.INT8, TYPES.UINT8):
            raise ValueError("its input is neither float32 nor of 8 bits")
        return shape[1], shape[2]

    def last_product(self):
        """Return the last operator of WEIGHTED before the scores; raises ValueError where what leads there branches."""
        operator = self.producers.get(int(self.graph.outputs[0]))
        while operator is not None and self.code(operator) not in WEIGHTED:
            moving = self.moving(operator)
            operator = self.producers.get(moving[0]) if len(moving) == 1 else None
        if operator is None or len(self.moving(operator)) != 1:
            raise ValueError(
                "it does not end in one dense layer, in front of which are the features"
            )
        return operator

    def behind(self, target, until=None):
        """Return the operators that the tensor `target` takes, in order, but for those that the tensor `until` takes."""
        wanted, found = {target}, []
        for operator in reversed(self.graph.operators):
            if wanted & {int(number) for number in operator.outputs} - {until}:
                wanted |= {int(number) for number in operator.inputs}
                found.append(operator)
        return found[::-1]


def _encode(model, whole, operators, seam, pixels):
    """Add the subgraph of `encode`, from a picture of uint8 to float32 features [1, F]."""
    part = Subgraph(model, "encode")
    numbers = _take(part, whole, operators, {int(whole.graph.inputs[0]), seam})
    given = numbers[int(whole.graph.inputs[0])]
    tensor = part.graph.tensors[given]
    shape = tensor.shape
    image = given
    if tensor.type == TYPES.INT8:
        scale, zero_point = tensor.quantization.scale[0], tensor.quantization.zeroPoint[0]
        image = part.tensor(shape, "image", TYPES.UINT8, scale=scale, zero_point=zero_point + 128)
        part.add(OPERATORS.QUANTIZE, [image], given, version=2)
    elif tensor.type == TYPES.FLOAT32:
        if pixels is None:
            raise ValueError(
                f"it takes pictures as floating point: tell the range of their pixels with --pixels, one of "
                f"{', '.join(PIXELS)}"
            )
        factor, added = (part.tensor((), data=np.float32(value)) for value in PIXELS[pixels])
        image = part.tensor(shape, "image", TYPES.UINT8)
        raw = part.add(
            OPERATORS.CAST,
            [image],
            part.tensor(shape),
            schema.CastOptionsT(inDataType=TYPES.UINT8, outDataType=TYPES.FLOAT32),
        )
        scaled = part.add(OPERATORS.MUL, [raw, factor], part.tensor(shape), schema.MulOptionsT())
        part.add(OPERATORS.ADD, [scaled, added], given, schema.AddOptionsT())
    part.graph.operators.extend(_renumbered(operators, numbers))
    features = _row(part, _floating(part, numbers[seam]))
    part.finish({"image": image}, {"features": features})


def _classify(model, whole, operators, seam, scores, head):
    """Add the subgraph of `classify`, from float32 features [1, F] to scores [1, C]; `scores` are logits yet."""
    part = Subgraph(model, "classify")
    numbers = _take(part, whole, operators, {seam, scores})
    given = part.graph.tensors[numbers[seam]]
    features = part.tensor((1, given.shape[-1]), "features")
    shaped = features
    if len(given.shape) == 4 or given.type in QUANTIZED:
        floating = numbers[seam] if given.type not in QUANTIZED else part.tensor(given.shape)
        shaped = part.add(
            OPERATORS.RESHAPE,
            [
                features,
                part.tensor(
                    (len(given.shape),), kind=TYPES.INT32, data=np.array(given.shape, np.int32)
                ),
            ],
            floating,
            schema.ReshapeOptionsT(newShape=np.array(given.shape, np.int32)),
        )
    if given.type in QUANTIZED:
        part.add(OPERATORS.QUANTIZE, [shaped], numbers[seam])
    elif shaped == features:
        numbers[seam] = features
    part.graph.operators.extend(_renumbered(operators, numbers))
    logits = _row(part, _floating(part, numbers[scores]))
    classes = part.graph.tensors[logits].shape[1:]
    if head == "single-label":
        told = part.operator(
            OPERATORS.SOFTMAX, [logits], classes, schema.SoftmaxOptionsT(beta=1.0), "scores"
        )
    else:
        told = part.operator(OPERATORS.LOGISTIC, [logits], classes, name="scores")
    part.finish({"features": features}, {"scores": told})


def _take(part, whole, operators, also):
    """Copy the tensors of `operators` and the numbers `also` into the Subgraph `part`; return {number before: now}."""
    used = sorted(
        also.union(
            *(
                {int(number) for number in (*each.inputs, *each.outputs) if number >= 0}
                for each in operators
            )
        )
    )
    part.graph.tensors = [copy.copy(whole.graph.tensors[number]) for number in used]
    for tensor in part.graph.tensors:
        tensor.shapeSignature = None  # One picture at a time.
    return {before: now for now, before in enumerate(used)} | {-1: -1}


def _renumbered(operators, numbers):
    """Return copies of `operators` whose tensors are numbered anew."""
    copies = [copy.copy(operator) for operator in operators]
    for each in copies:
        each.inputs, each.outputs = (
            np.array([numbers[int(number)] for number in tensors], np.int32)
            for tensors in (each.inputs, each.outputs)
        )
    return copies


def _floating(part, number):
    """Return a tensor of `part` as float32."""
    tensor = part.graph.tensors[number]
    if tensor.type not in QUANTIZED:
        return number
    return part.add(OPERATORS.DEQUANTIZE, [number], part.tensor(tensor.shape), version=2)


def _row(part, number):
    """Return a tensor of `part` as [1, N]."""
    shape = part.graph.tensors[number].shape
    if len(shape) == 2:
        return number
    row = np.array((1, shape[-1]), np.int32)
    return part.add(
        OPERATORS.RESHAPE,
        [number, part.tensor((2,), kind=TYPES.INT32, data=row)],
        part.tensor(row),
        schema.ReshapeOptionsT(newShape=row),
    )
