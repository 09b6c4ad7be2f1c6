"""A classifier's TFLite graph, cut in front of its last operator with weights.

The input of that operator is the features, the output of the signature `encode`; what follows is
`classify`. Between the two the features are floating point; quantized ones come back to the very
same. Layers and weights stay as they are; the activation of the scores is written again.
"""

import copy
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from picaption.device.bundle.classifier_graph import Subgraph, drop_unused_buffers
from picaption.device.bundle.flatbuffer import pack_model
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import probabilities
from picaption.models.settings import PIXELS

from .operators import OPCODES, shape_of

OPERATORS = schema.BuiltinOperator
TYPES = schema.TensorType
#: The operators with weights that a classifier may end in.
WEIGHTED = (OPERATORS.FULLY_CONNECTED, OPERATORS.CONV_2D)
#: The operators that make scores of logits, and the head types that they stand for.
ACTIVATIONS = {
    OPERATORS.SOFTMAX: "single-label",
    OPERATORS.LOG_SOFTMAX: "single-label",
    OPERATORS.LOGISTIC: "multi-label",
}
#: Operators that change no score.
PASSING = (
    OPERATORS.RESHAPE,
    OPERATORS.SQUEEZE,
    OPERATORS.EXPAND_DIMS,
    OPERATORS.QUANTIZE,
    OPERATORS.DEQUANTIZE,
)
#: Operators that may stand between the last layer and scores that are logits.
LINEAR = (*PASSING, OPERATORS.ADD, OPERATORS.SUB, OPERATORS.MUL, OPERATORS.DIV, OPERATORS.MEAN)
QUANTIZED = (TYPES.INT8, TYPES.UINT8, TYPES.INT16)
#: The names of the schema's fused activations, by their number.
FUSED_ACTIVATIONS = {
    value: name
    for name, value in vars(schema.ActivationFunctionType).items()
    if not name.startswith("_")
}
#: What an int8 zero point is more as a uint8 one.
UINT8_OFFSET = 128


@dataclass(frozen=True)
class CutGraph:
    """A classifier's graph with the signatures `encode` and `classify`.

    Attributes:
        graph: The flatbuffer, whose tensors have the names that they had.
        height: Of the images that it takes.
        width: Of the images that it takes.
        head: One of device.bundle.metadata.HEAD_TYPES.
        classes: How many scores it returns. Of a network with one score there are two: the score is
            the probability of the second.
        activation: The operator of ACTIVATIONS that the network ends in; None for logits.
        is_one_score: Whether the network has one score for the two classes.
    """

    graph: bytes
    height: int
    width: int
    head: str
    classes: int
    activation: int | None
    is_one_score: bool

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities that the network's own scores stand for, float32 [N, classes].

        Args:
            scores: What it returns for N images, its quantization undone.
        """
        scores = scores.reshape(len(scores), -1).astype(np.float32)
        if self.activation in (OPERATORS.SOFTMAX, OPERATORS.LOGISTIC):
            return np.hstack([1 - scores, scores]) if self.is_one_score else scores
        if self.is_one_score:
            scores = np.hstack([np.zeros_like(scores), scores])
        return probabilities(scores, self.head == "multi-label")


@dataclass(frozen=True)
class _Head:
    """The end of a network, from its last layer on.

    Attributes:
        logits: The tensor before the activation.
        type: One of device.bundle.metadata.HEAD_TYPES.
        activation: The operator of ACTIVATIONS; None for a network that returns logits.
        beta: What a softmax multiplies logits by.
        is_one_score: Whether there is one score, for the second of two classes.
    """

    logits: int
    type: str
    activation: int | None = None
    beta: float = 1.0
    is_one_score: bool = False


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


def _cut(model: schema.ModelT, pixels: str | None, head: str | None) -> CutGraph:
    """Cut a model; raise ValueError where it is no classifier of images."""
    network = _Network(model)
    height, width = network.image_size()
    features = network.variable_inputs(network.last_operators()[0])[0]
    (scores,) = network.graph.outputs
    network.check_features(features)
    count = network.score_count(scores)
    # The activation is written again in floating point: of 8 bits, next to all of a thousand
    # probabilities are zero.
    own_head = network.head(count, head)
    encoder = network.operators_of(features)
    classifier = network.operators_of(own_head.logits, features)
    model.subgraphs = []
    model.signatureDefs = []
    model.metadata = []
    model.metadataBuffer = None
    _write_encode(model, network, encoder, features, pixels)
    _write_classify(model, network, classifier, features, own_head)
    drop_unused_buffers(model)
    return CutGraph(
        graph=pack_model(model, named=True),
        height=height,
        width=width,
        head=own_head.type,
        classes=2 if own_head.is_one_score else count,
        activation=own_head.activation,
        is_one_score=own_head.is_one_score,
    )


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

    def last_operators(self) -> list[schema.OperatorT]:
        """Return the operators from the last of WEIGHTED to the scores, in order.

        Raises:
            ValueError: There is a branch behind it, or none.
        """
        operators: list[schema.OperatorT] = []
        operator = self._producers.get(int(self.graph.outputs[0]))
        while operator is not None:
            operators.append(operator)
            inputs = self.variable_inputs(operator)
            if len(inputs) != 1:
                break
            if self.code(operator) in WEIGHTED:
                return operators[::-1]
            operator = self._producers.get(inputs[0])
        raise ValueError("it does not end in one dense layer, in front of which are the features")

    def check_features(self, features: int) -> None:
        """Raise ValueError where a tensor is more than one vector."""
        shape = shape_of(self.graph.tensors[features])
        if len(shape) not in (2, 4) or np.prod(shape) != shape[-1]:
            raise ValueError(
                f"what goes into its last layer is of shape {shape}, and a bundle's features are "
                "one vector: give a network that ends in a global pooling and, behind it, one "
                "dense layer (in place of a convolution in front of the pooling, one of 1x1 behind "
                "it gives the same scores)"
            )

    def score_count(self, scores: int) -> int:
        """Return how many scores there are; raise ValueError where a tensor holds none."""
        shape = shape_of(self.graph.tensors[scores])
        if not shape or np.prod(shape) != shape[-1] or shape[-1] < 1:
            raise ValueError(f"what it gives is of shape {shape}, a classifier's is [1, classes]")
        return shape[-1]

    def head(self, count: int, head: str | None) -> _Head:
        """Return what the network does behind its last layer.

        Args:
            count: How many scores it returns.
            head: The type that the caller names, or None.

        Raises:
            ValueError: The scores are neither logits nor probabilities, or they are probabilities
                of another type than `head`.
        """
        operators = self.last_operators()
        codes = [self.code(operator) for operator in operators]
        index = max((index for index, code in enumerate(codes) if code in ACTIVATIONS), default=0)
        is_one_score = count == 1
        if not index:
            self._check_linear(operators)
            own_head = "single-label" if is_one_score else head or "single-label"
            result = _Head(int(self.graph.outputs[0]), own_head, is_one_score=is_one_score)
        else:
            for code in codes[index + 1 :]:
                if code not in PASSING:
                    raise ValueError(
                        f"behind its {OPCODES[codes[index]]} the scores go through "
                        f"{OPCODES[code]}, and are no probabilities any more: export it without"
                    )
            activation = operators[index]
            own_head = "single-label" if is_one_score else ACTIVATIONS[codes[index]]
            if is_one_score and codes[index] != OPERATORS.LOGISTIC:
                raise ValueError(
                    f"it gives one score by a {OPCODES[codes[index]]}, which is the same for every "
                    "picture: give one that ends in a sigmoid"
                )
            beta = activation.builtinOptions.beta if codes[index] == OPERATORS.SOFTMAX else 1.0
            result = _Head(
                int(activation.inputs[0]), own_head, codes[index], float(beta), is_one_score
            )
        if head not in (None, result.type):
            raise ValueError(
                f"it gives probabilities of a {result.type} head already: leave out --head"
            )
        return result

    def _check_linear(self, operators: Sequence[schema.OperatorT]) -> None:
        """Raise ValueError where the operators from the last layer on make no logits."""
        for operator in operators:
            code = self.code(operator)
            fused = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
            if code not in (*WEIGHTED, *LINEAR) or fused:
                name = FUSED_ACTIVATIONS[fused] if fused else OPCODES[code]
                raise ValueError(
                    f"it ends in {name}, whose results are neither logits nor probabilities: "
                    "export it with a softmax or a sigmoid at its end, or without an activation"
                )

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
    head: _Head,
) -> None:
    """Add the subgraph of `classify`, from float32 features [1, F] to scores [1, C]."""
    part = Subgraph(model, "classify")
    indices = _copy_tensors(part, network, operators, {features, head.logits})
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
    output = _to_row(part, _to_float(part, indices[head.logits]))
    if head.is_one_score:
        # A softmax of 0 and a logit is 1 - sigmoid(logit) and sigmoid(logit).
        pair = part.tensor((1, 2), data=np.array([[0, 1]], np.float32))
        output = part.operator(OPERATORS.MUL, [output, pair], (2,), schema.MulOptionsT())
    classes = part.graph.tensors[output].shape[1:]
    if head.type == "single-label":
        softmax_options = schema.SoftmaxOptionsT(beta=head.beta)
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
