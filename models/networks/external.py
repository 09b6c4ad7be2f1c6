"""A network that others trained, in Keras, ONNX or PyTorch, as the encoder.

Up to one of its layers it becomes a graph without variables, which is the same for all formats, and
is not trained further: captioner and classifier are trained on its features. If its scores are one
product of them, its own classes can stay beside the captions.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import Classifier

from ..data.readers import read_names
from ..pixels import PixelScaling
from ..settings import Settings
from .captioner import build_encoder
from .frozen_graph import FrozenGraph
from .network_file import BLUE_FIRST, calling_errors, load_network

logger = logging.getLogger(__name__)

#: Operators that change no number.
_PASSING = ("Identity", "Reshape", "Squeeze")
#: Operators that make scores of logits, and the head type that they mean.
_ACTIVATIONS = {"Softmax": "single-label", "Sigmoid": "multi-label"}
_BIAS_OPERATORS = ("BiasAdd", "AddV2", "Add")
_PRODUCT_OPERATORS = ("MatMul", "Conv2D")
#: Operators that are not the output of a layer.
_NO_OUTPUTS = ("Const", "Identity", "NoOp", "Placeholder")
#: How many of a network's layers an error lists.
_LISTED_LAYERS = 8


@dataclass(frozen=True)
class ExternalNetwork:
    """An external network as an encoder, and its own classes if they are asked for.

    Attributes:
        encoder: As picaption.models.networks.captioner.build_encoder builds it.
        labels: The names of its classes.
        classifier: Computes their logits from the features; None where they are not asked for.
        head_type: One of picaption.device.bundle.metadata.HEAD_TYPES.
    """

    encoder: keras.Model
    labels: tuple[str, ...] = ()
    classifier: Classifier | None = None
    head_type: str = "single-label"


@dataclass(frozen=True)
class TracedNetwork:
    """A network as a function without variables.

    Attributes:
        function: The frozen concrete function of images.
        features: The tensor of the features in its graph.
        scores: The tensor of the scores.
        scaling: How the pixels of images are brought to the range that it takes.
    """

    function: Any
    features: Any
    scores: Any
    scaling: PixelScaling


@dataclass(frozen=True)
class DenseLayer:
    """The last product of a graph: scores = activation(inputs . weights + bias).

    Attributes:
        inputs: A tensor whose last axis is F.
        weights: [F, C].
        bias: float32 [C].
        head_type: By the activation, one of picaption.device.bundle.metadata.HEAD_TYPES.
    """

    inputs: Any
    weights: np.ndarray
    bias: np.ndarray
    head_type: str


def load_external(settings: Settings, root: str | Path) -> ExternalNetwork:
    """Load the external network that the settings name.

    Args:
        settings: network, features, pixels, class_names, size and pooling count.
        root: The folder that their paths start from.

    Raises:
        PicaptionError: There is no such network or layer, it takes images of another size, or
            class_names ask for its classes and the scores are no single product of the features.
    """
    if keras.backend.backend() != "tensorflow":
        raise PicaptionError("a network of others' runs on TensorFlow: unset KERAS_BACKEND")
    path = Path(root, settings.network)
    if not path.exists():
        raise PicaptionError(
            f"network = {settings.network!r}: there is no {path}; give a .keras, .h5, .onnx or "
            ".pt2 file, or a SavedModel's folder, by its path from --data"
        )
    traced = trace_network(path, settings.features, settings.size, settings.pixels or None)
    _check_features(traced.features, settings)
    encoder = _build_external_encoder(traced, settings)
    shape = "x".join(map(str, traced.features.shape[1:]))
    logger.info("%s: features of %s, %s", path.name, find_producer(traced.features).name, shape)
    if not settings.class_names:
        return ExternalNetwork(encoder)
    labels = read_names(Path(root, settings.class_names))
    final = final_classifier(traced.features, traced.scores)
    if final is None:
        raise PicaptionError(
            f"class_names: the classes of {path.name} cannot be kept: their scores are not one "
            "dense layer of the features, at most pooled; name the layer before the last as "
            "features, or leave out class_names"
        )
    classifier, head_type = final
    if len(labels) != len(classifier.bias):
        raise PicaptionError(
            f"class_names: {len(labels)} names for {len(classifier.bias)} scores; give one for "
            "each score, in their order"
        )
    return ExternalNetwork(encoder, labels, classifier, head_type)


def _check_features(features: Any, settings: Settings) -> None:
    """Raise PicaptionError where a tensor cannot be the features of an encoder."""
    shape = tuple(features.shape[1:])
    if features.dtype != tf.float32 or len(shape) not in (1, 3) or None in shape:
        raise PicaptionError(
            f"features = {settings.features!r}: this layer gives {features.dtype.name} "
            f"{list(features.shape)}; name one that gives a feature map [batch, height, width, "
            "channels] or a vector [batch, features]"
        )
    if len(shape) == 1 and settings.pooling == "attention":
        raise PicaptionError(
            'pooling = "attention" looks at the places of a feature map, and '
            f"{settings.features or 'the last layer'} gives a vector: name the layer before its "
            'pooling as features, or set pooling = "mean"'
        )


def _build_external_encoder(traced: TracedNetwork, settings: Settings) -> keras.Model:
    """Return the encoder of a network's graph from the image to the features."""
    pruned = traced.function.prune(traced.function.inputs, [traced.features])
    layer = FrozenGraph(
        tuple(traced.features.shape[1:]),
        (pruned.inputs[0].name, pruned.outputs[0].name),
        pruned.graph.as_graph_def().SerializeToString(),
        name="network",
    )
    image = keras.Input((settings.size, settings.size, 3))
    network = keras.Model(image, layer(image))
    scaling = traced.scaling
    rule: tuple[Any, Any] = (list(scaling.factor), list(scaling.offset))
    if len(scaling.factor) == 1:
        rule = (scaling.factor[0], scaling.offset[0])
    elif scaling.is_bgr:  # The graph turns the colours, which are scaled before.
        rule = (rule[0][::-1], rule[1][::-1])
    return build_encoder(network, settings.pooling == "attention", rule)


def trace_network(path: Path, features: str, size: int, pixels: str | None) -> TracedNetwork:
    """Return a network as a function without variables.

    Args:
        path: The .keras or .h5 file, or the SavedModel's folder.
        features: The name of the layer that outputs them; "" for the input of the last product.
        size: The side of the images.
        pixels: The range of their pixels, as parse_pixels takes it; None: as the file says.

    Raises:
        PicaptionError: There is no such layer, or the network takes images of another size.
    """
    network = load_network(path, size)
    scaling = network.scaling(path, pixels)
    shape = network.input_shape
    if shape[:2] != (size, size):
        advice = "a run trains on square ones"
        if shape[0] == shape[1]:
            advice = f"set size = {shape[0]}"
        raise PicaptionError(
            f"{path}: it takes pictures of {shape[0]}x{shape[1]}, not {size}x{size}: {advice}"
        )
    layer = None
    if network.model is not None and features:
        layer = find_layer(network.model, features, path)

    def features_and_scores(images: Any) -> list[Any]:
        if scaling.is_bgr:
            images = tf.gather(images, BLUE_FIRST, axis=3)
        with record_outputs(layer) as outputs:
            scores = network.call(images)
        return [*outputs[-1:], scores]

    if network.model is None:  # Autograph is for Keras layers, and wraps the lines of errors.
        features_and_scores = tf.autograph.experimental.do_not_convert(features_and_scores)
    batch = 1 if network.takes_one else None
    with calling_errors(path, shape):
        concrete = tf.function(features_and_scores).get_concrete_function(
            tf.TensorSpec((batch, *shape), tf.float32, "image")
        )
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    scores = frozen.outputs[-1]
    if layer is not None:
        return TracedNetwork(frozen, frozen.outputs[0], scores, scaling)
    if features:
        return TracedNetwork(frozen, scope_output(frozen.graph, features, path), scores, scaling)
    dense = final_dense_layer(scores)
    if dense is None:
        raise PicaptionError(
            f"{path}: it does not end in one dense layer: name the layer to take features from, "
            "with the setting features"
        )
    return TracedNetwork(frozen, dense.inputs, scores, scaling)


def find_layer(model: keras.Model, name: str, path: Path) -> keras.Layer:
    """Return the layer of that name in a Keras model, or in the models that it is made of."""
    names: list[str] = []
    models = [model]
    for part in models:  # It grows by the models inside.
        names += [layer.name for layer in part.layers]
        models += [layer for layer in part.layers if isinstance(layer, keras.Model)]
    for part in models:
        if name in (layer.name for layer in part.layers):
            return part.get_layer(name)
    raise _no_such_layer(path, name, names)


def _no_such_layer(path: Path, name: str, names: Sequence[str]) -> PicaptionError:
    """Return the error for a layer that is not among `names`, the last of which it lists."""
    return PicaptionError(
        f"features = {name!r}: {path.name} has no such layer; its last are "
        f"{', '.join(names[-_LISTED_LAYERS:])}"
    )


@contextmanager
def record_outputs(layer: keras.Layer | None) -> Iterator[list[Any]]:
    """Yield a list that fills with what a Keras layer returns within the context."""
    outputs: list[Any] = []
    if layer is None:
        yield outputs
        return
    call = layer.call

    def recording_call(*inputs: Any, **options: Any) -> Any:
        outputs.append(call(*inputs, **options))
        return outputs[-1]

    layer.call = recording_call
    try:
        yield outputs
    finally:
        layer.call = call


def scope_output(graph: Any, name: str, path: Path) -> Any:
    """Return the last tensor that a SavedModel's graph computes in the scope of a layer.

    Args:
        graph: A TensorFlow graph.
        name: The layer's, or the end of its scope's path. In the graph, a number may follow it:
            Keras numbers layers when it exports them.
        path: The SavedModel, for errors.

    Raises:
        PicaptionError: No scope has that name, or several have.
    """
    scopes = {}
    for operator in graph.get_operations():
        if operator.outputs and operator.type not in _NO_OUTPUTS:
            parts = operator.name.split("/")
            for depth in range(1, len(parts)):
                scopes["/".join(parts[:depth])] = operator.outputs[0]
    exact = [scope for scope in scopes if f"/{scope}".endswith(f"/{name}")]
    numbered = [scope for scope in scopes if f"/{_without_number(scope)}".endswith(f"/{name}")]
    matches = exact if "/" in name and exact else list(dict.fromkeys([*exact, *numbered]))
    if not matches:
        raise _no_such_layer(path, name, [scope.rpartition("/")[2] for scope in scopes])
    if len(matches) > 1:
        ends = " or ".join("/".join(scope.split("/")[-2:]) for scope in matches)
        raise PicaptionError(
            f"features = {name!r}: {path.name} has several layers that may be called so: name "
            f"{ends}"
        )
    return scopes[matches[0]]


def _without_number(scope: str) -> str:
    return re.sub(r"_\d+$", "", scope)


def find_producer(tensor: Any) -> Any:
    """Return the operator that computed a tensor, before it was passed on under other names."""
    operator = tensor.op
    while operator.type == "Identity":
        operator = operator.inputs[0].op
    return operator


def read_constant(tensor: Any) -> np.ndarray | None:
    """Return the array of a constant tensor, None for one that is computed."""
    operator = find_producer(tensor)
    if operator.type != "Const":
        return None
    return tf.make_ndarray(operator.get_attr("value"))


def final_dense_layer(scores: Any) -> DenseLayer | None:
    """Return the product that a graph's scores come from.

    None where more than a bias and an activation is between the two.
    """
    bias = np.zeros((), np.float32)
    head_type = "single-label"
    operator = scores.op
    while operator.type not in _PRODUCT_OPERATORS:
        if operator.type in _BIAS_OPERATORS:
            constant = read_constant(operator.inputs[1])
            if constant is None:
                return None
            bias = constant
        elif operator.type in _ACTIVATIONS:
            head_type = _ACTIVATIONS[operator.type]
        elif operator.type not in _PASSING:
            return None
        operator = operator.inputs[0].op
    weights = read_constant(operator.inputs[1])
    if weights is None:
        return None
    is_spatial = weights.ndim == 4 and weights.shape[:2] != (1, 1)
    is_transposed = weights.ndim == 2 and operator.get_attr("transpose_b")
    if is_spatial or is_transposed:
        return None
    weights = weights.reshape(weights.shape[-2:])
    bias = np.broadcast_to(bias, weights.shape[1:]).astype(np.float32)
    return DenseLayer(operator.inputs[0], weights, bias, head_type)


def final_classifier(features: Any, scores: Any) -> tuple[Classifier, str] | None:
    """Return the Classifier that computes a graph's scores from its features, and its head type.

    None where the scores are not one product of the features or of their mean over the grid.
    """
    dense = final_dense_layer(scores)
    if dense is None or len(dense.weights) != features.shape[-1]:
        return None
    passing = list(_PASSING)
    if len(features.shape) == 4:
        passing.append("Mean")
    start = find_producer(features)
    operator = find_producer(dense.inputs)
    while operator is not start and operator.type in passing:
        operator = operator.inputs[0].op
    if operator is not start:
        return None
    return Classifier(dense.weights, None, dense.bias, raw=True), dense.head_type
