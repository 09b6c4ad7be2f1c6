"""A classifier's TFLite graph, cut in front of its last operator with weights.

The input of that operator is the features, the output of the signature `encode`; what follows is
`classify`. Where it looks at more than one vector, the features are what its output is pooled to.
Between the two the features are floating point; quantized ones come back to the very same. Layers
and weights stay as they are; the activation of the scores is written again.
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
from picaption.models.pixels import PIXELS_HELP, PixelScaling

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
#: The ranges that quantized inputs usually stand for, and how far off they may be, as a share.
_USUAL_RANGES = ((0, 255), (0, 1), (-1, 1), (-127.5, 127.5), (-2.1, 2.6))
_RANGE_TOLERANCE = 0.2
#: How far from 1 the sum of probabilities may be, rounded to 16 bits.
_ROUNDED = 2e-3
#: Below any probability that counts, so that its logarithm is finite.
_TINY = 1e-12


@dataclass(frozen=True)
class CutGraph:
    """A classifier's graph with the signatures `encode` and `classify`.

    Attributes:
        graph: The flatbuffer, whose tensors have the names that they had.
        height: Of the images that it takes.
        width: Of the images that it takes.
        head: One of device.bundle.metadata.HEAD_TYPES; None for a network of features, whose only
            signature is `encode`.
        classes: How many scores it returns. Of a network with one score there are two: the score is
            the probability of the second.
        activation: The operator of ACTIVATIONS that the network ends in; None for logits.
        is_one_score: Whether the network has one score for the two classes.
    """

    graph: bytes
    height: int
    width: int
    head: str | None
    classes: int
    activation: int | None
    is_one_score: bool

    def head_fault(self, scores: np.ndarray) -> str | None:
        """Return what is wrong with scores that should be logits; None where nothing is.

        Args:
            scores: What the network returns for N images.
        """
        rows = scores.reshape(len(scores), -1)
        if self.activation is not None or rows.shape[1] < 2:
            return None
        if rows.min() < 0 or np.any(np.abs(rows.sum(1) - 1) > _ROUNDED):
            return None
        return (
            "its scores add up to 1, so they are probabilities already, and what makes them is no "
            "softmax at its end: export it with one, or without an activation"
        )

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities that the network's own scores stand for, float32 [N, classes].

        Args:
            scores: What it returns for N images, its quantization undone; of a map, the mean of
                its places counts.
        """
        scores = scores.astype(np.float32)
        if scores.ndim == 4 and scores.shape[1] * scores.shape[2] > 1:
            if self.activation in (OPERATORS.SOFTMAX, OPERATORS.LOGISTIC):
                is_softmax = self.activation == OPERATORS.SOFTMAX
                scores = _pooled_probabilities(scores, is_softmax)
            else:
                scores = scores.mean((1, 2))
        scores = scores.reshape(len(scores), -1)
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


def _pooled_probabilities(scores: np.ndarray, is_softmax: bool) -> np.ndarray:
    """Return what pooled.pooled_scores makes of the probabilities of places, float32 [N, C].

    Args:
        scores: The probabilities [N, H, W, C].
        is_softmax: Whether they come from a softmax, and not from sigmoids.
    """
    logits = np.log(np.maximum(scores, _TINY))
    if not is_softmax:
        logits -= np.log(np.maximum(1 - scores, _TINY))
    return probabilities(logits.mean((1, 2)), not is_softmax)


def cut_graph(
    data: bytes,
    name: str,
    scaling: PixelScaling | None,
    head: str | None,
    is_embedding: bool = False,
) -> CutGraph:
    """Cut a .tflite file's graph into `encode` and `classify`.

    Args:
        data: The file's bytes.
        name: What errors call it.
        scaling: How pixels are brought to its range; None for a graph that takes them quantized
            as they are.
        head: As for ImportOptions.
        is_embedding: As for ImportOptions: there is no `classify`.

    Raises:
        PicaptionError: It is no classifier of images, or damaged.
    """
    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        if is_embedding:
            return _cut_embedding(model, scaling)
        return _cut(model, scaling, head)
    except ValueError as error:
        raise PicaptionError(f"{name}: {error}") from None
    except (struct.error, IndexError, TypeError, AttributeError, MemoryError):
        raise PicaptionError(f"{name}: the file is cut short or damaged; copy it again") from None


def _cut_embedding(model: schema.ModelT, scaling: PixelScaling | None) -> CutGraph:
    """Return a model as `encode` alone; raise ValueError where it gives no vector."""
    network = _Network(model)
    height, width = network.image_size()
    (features,) = (int(tensor) for tensor in network.graph.outputs)
    count = network.score_count(features)
    encoder = network.operators_of(features)
    _clear(model)
    _write_encode(model, network, encoder, features, scaling)
    drop_unused_buffers(model)
    return CutGraph(pack_model(model, named=True), height, width, None, count, None, False)


def _clear(model: schema.ModelT) -> None:
    """Take a model's parts out, before others are written."""
    model.subgraphs = []
    model.signatureDefs = []
    model.metadata = []
    model.metadataBuffer = None


def _cut(model: schema.ModelT, scaling: PixelScaling | None, head: str | None) -> CutGraph:
    """Cut a model; raise ValueError where it is no classifier of images."""
    network = _Network(model)
    height, width = network.image_size()
    (scores,) = network.graph.outputs
    count = network.score_count(scores)
    features, operators = network.end()
    # The activation is written again in floating point: of 8 bits, next to all of a thousand
    # probabilities are zero.
    own_head = network.head(operators, count, head)
    encoder = network.operators_of(features)
    classifier = network.operators_of(own_head.logits, features)
    _clear(model)
    _write_encode(model, network, encoder, features, scaling)
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

    def end(self) -> tuple[int, list[schema.OperatorT]]:
        """Return the tensor of the features, and the operators from there to the scores.

        The features are what goes into the last of WEIGHTED, where that is one vector; else the
        first vector behind it, or behind a branch.

        Raises:
            ValueError: There is no vector in front of the scores' activation.
        """
        operators: list[schema.OperatorT] = []
        operator = self._producers.get(int(self.graph.outputs[0]))
        while operator is not None:
            operators.insert(0, operator)
            inputs = self.variable_inputs(operator)
            if len(inputs) != 1:
                self._check_branches(inputs)
                break
            if self.code(operator) in WEIGHTED:
                if self._is_vector(inputs[0]):
                    return inputs[0], operators
                break
            operator = self._producers.get(inputs[0])
        for index, operator in enumerate(operators):
            code = self.code(operator)
            if code in ACTIVATIONS:
                raise ValueError(
                    f"its {OPCODES[code]} is of more than one vector, and its scores are no "
                    "probabilities of one picture: export it with its pooling in front of that"
                )
            features = int(operator.outputs[0])
            if self._is_vector(features):
                return features, operators[index + 1 :]
        raise ValueError("it does not end in one vector of scores")

    def _check_branches(self, inputs: Sequence[int]) -> None:
        """Raise ValueError where what comes together are probabilities already."""
        for tensor in inputs:
            operator = self._producers.get(tensor)
            while operator is not None and self.code(operator) in (*PASSING, OPERATORS.MUL):
                operator = self._producers.get(self.variable_inputs(operator)[0])
            if operator is not None and self.code(operator) in ACTIVATIONS:
                raise ValueError(
                    "its scores are put together from the probabilities of several branches: "
                    "export one of them, or the mean of their logits"
                )

    def _is_vector(self, tensor: int) -> bool:
        """Return whether a tensor is one vector."""
        shape = shape_of(self.graph.tensors[tensor])
        return len(shape) in (2, 4) and np.prod(shape) == shape[-1]

    def score_count(self, scores: int) -> int:
        """Return how many scores there are; raise ValueError where a tensor holds none."""
        shape = shape_of(self.graph.tensors[scores])
        if not shape or np.prod(shape) != shape[-1] or shape[-1] < 1:
            raise ValueError(f"what it gives is of shape {shape}, a classifier's is [1, classes]")
        return shape[-1]

    def head(self, operators: Sequence[schema.OperatorT], count: int, head: str | None) -> _Head:
        """Return what the network does behind its last layer.

        Args:
            operators: Those from the features to the scores.
            count: How many scores it returns.
            head: The type that the caller names, or None.

        Raises:
            ValueError: The scores are neither logits nor probabilities, or they are probabilities
                of another type than `head`.
        """
        codes = [self.code(operator) for operator in operators]
        index = max((index for index, code in enumerate(codes) if code in ACTIVATIONS), default=-1)
        is_one_score = count == 1
        if index < 0:
            self._check_linear(operators)
            own_head = "single-label" if is_one_score else head or "single-label"
            result = _Head(int(self.graph.outputs[0]), own_head, is_one_score=is_one_score)
        else:
            for code in codes[index + 1 :]:
                if code not in PASSING:
                    raise ValueError(
                        f"behind its {OPCODES[codes[index]]} the scores go through "
                        f"{OPCODES[code]}, and are not probabilities any more: export it without"
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
    scaling: PixelScaling | None,
) -> None:
    """Add the subgraph of `encode`, from an image of uint8 to float32 features [1, F]."""
    part = Subgraph(model, "encode")
    network_input = int(network.graph.inputs[0])
    indices = _copy_tensors(part, network, operators, {network_input, features})
    image = _add_image(part, indices[network_input], scaling)
    part.graph.operators.extend(_reindexed(operators, indices))
    output = _to_row(part, _to_float(part, indices[features]))
    part.finish({"image": image}, {"features": output})


def _add_image(part: Subgraph, network_input: int, scaling: PixelScaling | None) -> int:
    """Return an image of uint8 from which a subgraph computes the input of the network."""
    tensor = part.graph.tensors[network_input]
    if tensor.type == TYPES.FLOAT32:
        return _add_scaled_image(part, network_input, scaling)
    if scaling is not None and not takes_as_they_are(tensor, scaling):
        floating = part.tensor(tensor.shape)
        image = _add_scaled_image(part, floating, scaling)
        part.add(OPERATORS.QUANTIZE, [floating], network_input)
        return image
    if scaling is None:
        _check_range(tensor)
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
    return network_input


def _check_range(tensor: schema.TensorT) -> None:
    """Raise ValueError where the numbers that a quantized input stands for are not usual pixels.

    Of 0 to 255 these are 0 to 1, 0 to 255, -1 to 1, pixels less their middle, or those of a mean
    and a standard deviation, which are about -2 to 2.6.
    """
    if tensor.quantization is None or tensor.quantization.scale is None:
        return
    scale = float(tensor.quantization.scale[0])
    limits = np.iinfo(np.int8 if tensor.type == TYPES.INT8 else np.uint8)
    zero_point = int(tensor.quantization.zeroPoint[0])
    low, high = (scale * (limit - zero_point) for limit in (limits.min, limits.max))
    usual = any(
        abs(low - least) + abs(high - most) < _RANGE_TOLERANCE * (most - least)
        for least, most in _USUAL_RANGES
    )
    if not usual:
        raise ValueError(
            f"its input stands for numbers from {low:.4g} to {high:.4g}, which are no usual range "
            "of pixels: tell the range that it was trained with, with --pixels, one of "
            f"{PIXELS_HELP}"
        )


def takes_as_they_are(tensor: schema.TensorT, scaling: PixelScaling) -> bool:
    """Return whether a quantized input is that of pixels from 0 to 255, to within one step.

    Args:
        tensor: The input, int8 or uint8.
        scaling: How pixels are brought to the range that it stands for.
    """
    if scaling.is_bgr or tensor.quantization is None or tensor.quantization.scale is None:
        return not scaling.is_bgr
    scale = float(tensor.quantization.scale[0])
    zero_point = int(tensor.quantization.zeroPoint[0])
    least = 0
    if tensor.type == TYPES.INT8:
        least = -UINT8_OFFSET
    ends = np.array([0, 255], np.float64)
    wanted = ends[:, None] * np.array(scaling.factor) + np.array(scaling.offset)
    steps = wanted / scale + zero_point - least
    return bool(np.abs(steps - ends[:, None]).max() <= 1)


def _add_scaled_image(part: Subgraph, network_input: int, scaling: PixelScaling | None) -> int:
    """Return an image of uint8 whose pixels a subgraph brings to the network's range."""
    if scaling is None:
        raise ValueError(
            "it takes pictures as floating point: tell the range of their pixels with --pixels, "
            f"one of {PIXELS_HELP}"
        )
    shape = part.graph.tensors[network_input].shape
    factor, offset = (
        part.tensor(values.shape, data=values)
        for values in (
            np.squeeze(np.array(numbers, np.float32))
            for numbers in (scaling.factor, scaling.offset)
        )
    )
    image = part.tensor(shape, "image", TYPES.UINT8)
    pixels = image
    if scaling.is_bgr:
        order = part.tensor((3,), dtype=TYPES.INT32, data=np.array([2, 1, 0], np.int32))
        options = schema.GatherOptionsT(axis=3)
        turned = part.tensor(shape, dtype=TYPES.UINT8)
        pixels = part.add(OPERATORS.GATHER, [image, order], turned, options)
    cast_options = schema.CastOptionsT(inDataType=TYPES.UINT8, outDataType=TYPES.FLOAT32)
    raw = part.add(OPERATORS.CAST, [pixels], part.tensor(shape), cast_options)
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
