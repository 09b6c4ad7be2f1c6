"""A .tflite file of a classifier as a bundle: its layers and weights stay as they are.

Its graph is cut in front of the last operator with weights. The input of that operator is the
features, the output of the signature `encode`; what follows is `classify`. Between the two the
features are floating point; quantized ones come back to the very same.
"""

import copy
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from picaption.device.bundle.archive import (
    GRAPH_MAGIC,
    MAX_MEMBER_BYTES,
    Contents,
    read_bytes,
    split_lines,
)
from picaption.device.bundle.classifier_graph import Subgraph, drop_unused_buffers
from picaption.device.bundle.flatbuffer import compact_graph, pack_model
from picaption.device.bundle.metadata import Input, Metadata
from picaption.device.errors import PicaptionError
from picaption.models.networks.file_format import unknown_file
from picaption.models.settings import PIXELS

from .options import ImportOptions
from .tflite.operators import shape_of

OPERATORS = schema.BuiltinOperator
TYPES = schema.TensorType
#: The operators with weights that a classifier may end in.
WEIGHTED = (OPERATORS.FULLY_CONNECTED, OPERATORS.CONV_2D)
#: The operators that make scores of logits, and the head types that they stand for.
ACTIVATIONS = {OPERATORS.SOFTMAX: "single-label", OPERATORS.LOGISTIC: "multi-label"}
QUANTIZED = (TYPES.INT8, TYPES.UINT8, TYPES.INT16)
#: What an int8 zero point is more as a uint8 one.
UINT8_OFFSET = 128
#: What zipfile raises for a file that is no archive, or a damaged one, and for text that is none.
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    UnicodeDecodeError,
    OSError,
    EOFError,
    RuntimeError,
    zlib.error,
)


@dataclass(frozen=True)
class CutGraph:
    """A classifier's graph with the signatures `encode` and `classify`.

    Attributes:
        graph: The flatbuffer, whose tensors have the names that they had.
        height: Of the images that it takes.
        width: Of the images that it takes.
        head: One of device.bundle.metadata.HEAD_TYPES.
        classes: How many scores it returns.
    """

    graph: bytes
    height: int
    width: int
    head: str
    classes: int


def wrap(path: Path, classifier: ImportOptions) -> Contents:
    """Return the contents of a bundle for the classifier in a .tflite file.

    Args:
        path: The file.
        classifier: What the file does not say; labels inside it, as TFLite's metadata has them,
            are used where none are named, and pixels are needed where it takes floating point.

    Raises:
        PicaptionError: It is no such classifier, or has not as many labels as scores.
    """
    path = Path(path)
    data = read_bytes(path)
    if data[4:8] != GRAPH_MAGIC:
        raise unknown_file(path)
    return wrap_graph(data, path.name, classifier)


def wrap_graph(data: bytes, name: str, classifier: ImportOptions) -> Contents:
    """Return what `wrap` does, from a .tflite file's bytes.

    Args:
        data: The bytes.
        name: The name of the file, or of what it was made of.
        classifier: As for `wrap`.
    """
    cut = cut_graph(data, name, classifier.pixels, classifier.head)
    labels = classifier.labels or labels_inside(data, cut.classes)
    if not labels:
        raise PicaptionError(
            f"{name}: it has no labels for its {cut.classes} scores inside: give a file of them, "
            "one a line, with --names"
        )
    if len(labels) != cut.classes:
        raise PicaptionError(
            f"{name}: {len(labels)} labels for {cut.classes} scores; give one for each score, in "
            "their order, with --names"
        )
    metadata = Metadata(
        Path(name).stem,
        head=cut.head,
        input=Input(cut.height, cut.width, classifier.resize),
        provenance={"wrapped": name, "sha256": hashlib.sha256(data).hexdigest()},
    )
    return Contents(compact_graph(cut.graph), metadata, tuple(labels), None)


def cut_graph(data: bytes, name: str, pixels: str | None, head: str | None) -> CutGraph:
    """Cut a .tflite file's graph into `encode` and `classify`.

    Args:
        data: The file's bytes.
        name: What errors call it.
        pixels: As for ImportOptions.
        head: As for ImportOptions.

    Raises:
        PicaptionError: It is no classifier of images, or damaged.
    """
    try:
        return _cut(schema.ModelT.InitFromPackedBuf(data, 0), pixels, head)
    except ValueError as error:
        raise PicaptionError(f"{name}: {error}") from None
    except (struct.error, IndexError, TypeError, AttributeError, MemoryError):
        raise PicaptionError(f"{name}: the file is cut short or damaged; copy it again") from None


def labels_inside(data: bytes, count: int) -> tuple[str, ...]:
    """Return the lines of the text file in the archive behind a .tflite file's graph.

    Args:
        data: The .tflite file's bytes.
        count: How many labels it should have: of several text files, the first with so many lines
            is it.

    Returns:
        The lines, or () where there is no text file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            texts = [
                split_lines(archive.read(info).decode().replace("\r", ""))
                for info in archive.infolist()
                if info.filename.endswith(".txt") and info.file_size <= MAX_MEMBER_BYTES
            ]
    except _ARCHIVE_ERRORS:
        return ()
    for text in texts:
        if len(text) == count:
            return text
    return texts[0] if texts else ()


def _cut(model: schema.ModelT, pixels: str | None, head: str | None) -> CutGraph:
    """Cut a model; raise ValueError where it is no classifier of images."""
    network = _Network(model)
    height, width = network.image_size()
    features = int(network.last_weighted_operator().inputs[0])
    (scores,) = network.graph.outputs
    network.check_features(features)
    classes = network.class_count(scores)
    # The activation is written again in floating point: of 8 bits, next to all of a thousand
    # probabilities are zero.
    logits, head = network.before_activation(features, int(scores), head)
    encoder = network.operators_of(features)
    classifier = network.operators_of(logits, features)
    model.subgraphs = []
    model.signatureDefs = []
    model.metadata = []
    model.metadataBuffer = None
    _write_encode(model, network, encoder, features, pixels)
    _write_classify(model, network, classifier, features, logits, head)
    drop_unused_buffers(model)
    return CutGraph(pack_model(model, named=True), height, width, head, classes)


class _Network:
    """A model's only subgraph, and how its tensors depend on the image.

    Attributes:
        model: The schema.ModelT.
        graph: Its subgraph.
    """

    def __init__(self, model: schema.ModelT) -> None:
        if len(model.subgraphs) != 1:
            raise ValueError(f"its graph has {len(model.subgraphs)} parts, a classifier's has one")
        self.model = model
        self.graph = model.subgraphs[0]
        self._producers: dict[int, schema.OperatorT] = {}
        self._image_tensors = {int(tensor) for tensor in self.graph.inputs}
        # Operators stand in the order in which they run: one pass reaches every branch once.
        for operator in self.graph.operators:
            outputs = [int(tensor) for tensor in operator.outputs]
            self._producers.update(dict.fromkeys(outputs, operator))
            if self.variable_inputs(operator):
                self._image_tensors.update(outputs)

    def code(self, operator: schema.OperatorT) -> int:
        """Return an operator's BuiltinOperator."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        return max(code.builtinCode, code.deprecatedBuiltinCode)

    def variable_inputs(self, operator: schema.OperatorT) -> list[int]:
        """Return the inputs of an operator that depend on the image."""
        return [int(tensor) for tensor in operator.inputs if int(tensor) in self._image_tensors]

    def image_size(self) -> tuple[int, int]:
        """Return (height, width) of the only input; raise ValueError where it is no image."""
        inputs = self.graph.inputs
        outputs = self.graph.outputs
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(
                f"it takes {len(inputs)} inputs and gives {len(outputs)} outputs; a classifier "
                "takes a picture and gives scores"
            )
        tensor = self.graph.tensors[inputs[0]]
        shape = [int(size) for size in tensor.shape]
        signature = shape
        if tensor.shapeSignature is not None:
            signature = [int(size) for size in tensor.shapeSignature]
        if len(shape) == 4 and -1 in signature[1:]:
            raise ValueError(
                f"its input is of a dynamic shape, {signature}: convert it with a fixed height and "
                "width"
            )
        if len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
            raise ValueError(
                f"its input is {shape}; it takes one picture in three colours, "
                "[1, height, width, 3]"
            )
        if tensor.type not in (TYPES.FLOAT32, TYPES.INT8, TYPES.UINT8):
            raise ValueError("its input is neither float32 nor of 8 bits")
        return shape[1], shape[2]

    def last_weighted_operator(self) -> schema.OperatorT:
        """Return the last of WEIGHTED before the scores; raise ValueError at a branch."""
        operator = self._producers.get(int(self.graph.outputs[0]))
        while operator is not None and self.code(operator) not in WEIGHTED:
            inputs = self.variable_inputs(operator)
            operator = self._producers.get(inputs[0]) if len(inputs) == 1 else None
        if operator is None or len(self.variable_inputs(operator)) != 1:
            raise ValueError(
                "it does not end in one dense layer, in front of which are the features"
            )
        return operator

    def check_features(self, features: int) -> None:
        """Raise ValueError where a tensor is more than one vector."""
        shape = self.graph.tensors[features].shape
        if len(shape) not in (2, 4) or np.prod(shape) != shape[-1]:
            raise ValueError(
                f"what goes into its last layer is of shape {list(shape)}: give a network that "
                "ends in a global pooling and one dense layer"
            )

    def class_count(self, scores: int) -> int:
        """Return how many scores there are; raise ValueError where a tensor holds none."""
        shape = self.graph.tensors[scores].shape
        if np.prod(shape) != shape[-1] or shape[-1] < 2:
            raise ValueError(
                f"what it gives is of shape {list(shape)}, a classifier's is [1, classes]"
            )
        return int(shape[-1])

    def before_activation(self, features: int, scores: int, head: str | None) -> tuple[int, str]:
        """Return the tensor of logits, and the type of the head.

        Args:
            features: The tensor that the last layer takes.
            scores: The output.
            head: The type that the caller names, or None.

        Raises:
            ValueError: The output is probabilities of another type.
        """
        activations = [
            operator
            for operator in self.operators_of(scores, features)
            if self.code(operator) in ACTIVATIONS
        ]
        if not activations:
            return scores, head or "single-label"
        own_head = ACTIVATIONS[self.code(activations[-1])]
        if head not in (None, own_head):
            raise ValueError(
                f"it gives probabilities of a {own_head} head already: leave out --head"
            )
        return int(activations[-1].inputs[0]), own_head

    def operators_of(self, target: int, start: int | None = None) -> list[schema.OperatorT]:
        """Return the operators that compute the tensor `target`, in order, from `start` on."""
        needed = {target}
        operators = []
        for operator in reversed(self.graph.operators):
            outputs = {int(tensor) for tensor in operator.outputs}
            if needed & (outputs - {start}):
                needed |= {int(tensor) for tensor in operator.inputs}
                operators.append(operator)
        return operators[::-1]


def _write_encode(
    model: schema.ModelT,
    network: _Network,
    operators: Sequence[schema.OperatorT],
    features: int,
    pixels: str | None,
) -> None:
    """Add the subgraph of `encode`, from an image of uint8 to float32 features [1, F]."""
    part = Subgraph(model, "encode")
    network_input = int(network.graph.inputs[0])
    indices = _copy_tensors(part, network, operators, {network_input, features})
    image = _add_image(part, indices[network_input], pixels)
    part.graph.operators.extend(_reindexed(operators, indices))
    output = _to_row(part, _to_float(part, indices[features]))
    part.finish({"image": image}, {"features": output})


def _add_image(part: Subgraph, network_input: int, pixels: str | None) -> int:
    """Return an image of uint8 from which a subgraph computes the input of the network."""
    tensor = part.graph.tensors[network_input]
    if tensor.type == TYPES.INT8:
        image = part.tensor(
            tensor.shape,
            "image",
            TYPES.UINT8,
            scale=tensor.quantization.scale[0],
            zero_point=tensor.quantization.zeroPoint[0] + UINT8_OFFSET,
        )
        part.add(OPERATORS.QUANTIZE, [image], network_input, version=2)
        return image
    if tensor.type == TYPES.FLOAT32:
        return _add_scaled_image(part, network_input, pixels)
    return network_input


def _add_scaled_image(part: Subgraph, network_input: int, pixels: str | None) -> int:
    """Return an image of uint8 whose pixels a subgraph brings to the network's range."""
    if pixels is None:
        raise ValueError(
            "it takes pictures as floating point: tell the range of their pixels with --pixels, "
            f"one of {', '.join(PIXELS)}"
        )
    shape = part.graph.tensors[network_input].shape
    factor, offset = (part.tensor((), data=np.float32(value)) for value in PIXELS[pixels])
    image = part.tensor(shape, "image", TYPES.UINT8)
    cast_options = schema.CastOptionsT(inDataType=TYPES.UINT8, outDataType=TYPES.FLOAT32)
    raw = part.add(OPERATORS.CAST, [image], part.tensor(shape), cast_options)
    scaled = part.add(OPERATORS.MUL, [raw, factor], part.tensor(shape), schema.MulOptionsT())
    part.add(OPERATORS.ADD, [scaled, offset], network_input, schema.AddOptionsT())
    return image


def _write_classify(
    model: schema.ModelT,
    network: _Network,
    operators: Sequence[schema.OperatorT],
    features: int,
    logits: int,
    head: str,
) -> None:
    """Add the subgraph of `classify`, from float32 features [1, F] to scores [1, C]."""
    part = Subgraph(model, "classify")
    indices = _copy_tensors(part, network, operators, {features, logits})
    layer_input = part.graph.tensors[indices[features]]
    shape = layer_input.shape
    is_quantized = layer_input.type in QUANTIZED
    row = part.tensor((1, shape[-1]), "features")
    if len(shape) == 4 or is_quantized:
        floating = part.tensor(shape) if is_quantized else indices[features]
        shaped = _add_reshape(part, row, shape, floating)
        if is_quantized:
            part.add(OPERATORS.QUANTIZE, [shaped], indices[features])
    else:
        indices[features] = row
    part.graph.operators.extend(_reindexed(operators, indices))
    output = _to_row(part, _to_float(part, indices[logits]))
    classes = part.graph.tensors[output].shape[1:]
    if head == "single-label":
        softmax_options = schema.SoftmaxOptionsT(beta=1.0)
        scores = part.operator(OPERATORS.SOFTMAX, [output], classes, softmax_options, "scores")
    else:
        scores = part.operator(OPERATORS.LOGISTIC, [output], classes, name="scores")
    part.finish({"features": row}, {"scores": scores})


def _copy_tensors(
    part: Subgraph,
    network: _Network,
    operators: Iterable[schema.OperatorT],
    more_tensors: set[int],
) -> dict[int, int]:
    """Copy the tensors of operators, and more, into a subgraph.

    Returns:
        {index in the network: index in the subgraph}.
    """
    used = set(more_tensors)
    for operator in operators:
        used |= {int(tensor) for tensor in (*operator.inputs, *operator.outputs) if tensor >= 0}
    before = sorted(used)
    part.graph.tensors = [copy.copy(network.graph.tensors[index]) for index in before]
    for tensor in part.graph.tensors:
        tensor.shapeSignature = None  # One image at a time.
    absent = {-1: -1}
    return {index: after for after, index in enumerate(before)} | absent


def _reindexed(
    operators: Iterable[schema.OperatorT], indices: Mapping[int, int]
) -> list[schema.OperatorT]:
    """Return copies of operators whose tensors have other indices."""
    copies = [copy.copy(operator) for operator in operators]
    for operator in copies:
        operator.inputs = np.array([indices[int(index)] for index in operator.inputs], np.int32)
        operator.outputs = np.array([indices[int(index)] for index in operator.outputs], np.int32)
    return copies


def _to_float(part: Subgraph, index: int) -> int:
    """Return a tensor of a subgraph as float32."""
    tensor = part.graph.tensors[index]
    if tensor.type not in QUANTIZED:
        return index
    return part.add(OPERATORS.DEQUANTIZE, [index], part.tensor(tensor.shape), version=2)


def _to_row(part: Subgraph, index: int) -> int:
    """Return a tensor of a subgraph as [1, N]."""
    shape = shape_of(part.graph.tensors[index])
    if len(shape) == 2:
        return index
    return _add_reshape(part, index, (1, shape[-1]))


def _add_reshape(
    part: Subgraph, index: int, shape: Sequence[int] | np.ndarray, output: int | None = None
) -> int:
    """Return a tensor of a subgraph in another shape, in a new tensor or in `output`."""
    new_shape = np.array(shape, np.int32)
    shape_tensor = part.tensor((len(new_shape),), dtype=TYPES.INT32, data=new_shape)
    if output is None:
        output = part.tensor(new_shape)
    options = schema.ReshapeOptionsT(newShape=new_shape)
    return part.add(OPERATORS.RESHAPE, [index, shape_tensor], output, options)
