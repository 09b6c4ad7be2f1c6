"""A network that others trained, in Keras (.keras, .h5 or a SavedModel), as encoder: from the picture to one of its layers.

It becomes a graph without variables, which is the same for all three kinds, and stays as it is: captioner and classifier are
trained on what it sees. Where its scores are one product of that, they can stay beside the captions.
"""

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import Classifier

from ..data.readers import read_names
from ..settings import PIXELS
from .captioner import build_encoder
from .frozen_graph import FrozenGraph

log = logging.getLogger("picaption")

#: Operators that change no number, those that make scores of logits by the kind of head, and those that add a bias.
PASSING = ("Identity", "Reshape", "Squeeze")
SQUASHING = {"Softmax": "single-label", "Sigmoid": "multi-label"}
BIASED, PRODUCTS = ("BiasAdd", "AddV2", "Add"), ("MatMul", "Conv2D")


@dataclass(frozen=True)
class ExternalNetwork:
    """A network of others' as an encoder (picaption.models.networks.captioner.build_encoder), and the classes that it tells beside, where it is
    asked for them: their names and the Head that gives their logits, of the kind `kind` (picaption.device.bundle.metadata.HEAD_TYPES)."""

    encoder: keras.Model
    labels: tuple[str, ...] = ()
    head: Classifier | None = None
    kind: str = "single-label"


def load_external(settings, root):
    """Return the Foreign that `settings` name, paths relative to `root`.

    Raises PicaptionError where there is no such network or layer, it takes other pictures than the settings tell, or `names`
    ask for its classes and their scores are no single product of its features.
    """
    if keras.backend.backend() != "tensorflow":
        raise PicaptionError("a network of others' runs on TensorFlow: unset KERAS_BACKEND")
    path = Path(root, settings.network)
    if not path.exists():
        raise PicaptionError(
            f"network = {settings.network!r}: there is no {path}; give a .keras or .h5 file, or a SavedModel's "
            "folder, by its path from --data"
        )
    frozen, seen, scores = trace(path, settings.features, settings.size)
    given = tuple(seen.shape[1:])
    if seen.dtype != tf.float32 or len(given) not in (1, 3) or None in given:
        raise PicaptionError(
            f"features = {settings.features!r}: this layer gives {seen.dtype.name} {list(seen.shape)}; name one that "
            "gives a feature map [batch, height, width, channels] or a vector [batch, features]"
        )
    if len(given) == 1 and settings.pooling == "attention":
        raise PicaptionError(
            f'pooling = "attention" looks at the places of a feature map, and {settings.features or "the last layer"}'
            ' gives a vector: name the layer before its pooling as features, or set pooling = "mean"'
        )
    log.info("%s: features of %s, %s", path.name, source(seen).name, "x".join(map(str, given)))
    kept = frozen.prune(frozen.inputs, [seen])
    ends = kept.inputs[0].name, kept.outputs[0].name
    layer = FrozenGraph(given, ends, kept.graph.as_graph_def().SerializeToString(), name="network")
    image = keras.Input((settings.size, settings.size, 3))
    encoder = build_encoder(
        keras.Model(image, layer(image)), settings.pooling == "attention", PIXELS[settings.pixels]
    )
    if not settings.class_names:
        return ExternalNetwork(encoder)
    labels = read_names(Path(root, settings.class_names))
    head, kind = final_classifier(seen, scores)
    if head is None:
        raise PicaptionError(
            f"class_names: the classes of {path.name} cannot be kept: their scores are not one dense layer of the features, "
            "at most pooled; name the layer before the last as features, or leave out class_names"
        )
    if len(labels) != len(head.bias):
        raise PicaptionError(
            f"class_names: {len(labels)} names for {len(head.bias)} scores; give one for each score, in their order"
        )
    return ExternalNetwork(encoder, labels, head, kind)


def load(path, size=None):
    """Return (a function from float32 pictures [N, H, W, 3] to scores, (H, W, 3), the keras.Model or None for a SavedModel) of
    the Keras file or SavedModel at `path`; size: of its pictures, where it takes any. Raises PicaptionError where it is none, or
    takes no pictures in three colours."""
    model = None
    try:
        if path.is_dir():
            loaded = tf.saved_model.load(str(path))  # Its variables live as long as it does.
            signature = loaded.signatures["serving_default"]
            ((name, given),) = signature.structured_input_signature[1].items()
            shape, outputs = given.shape, list(signature.structured_outputs)

            def call(image):
                return loaded.signatures["serving_default"](**{name: image})[outputs[0]]

            inputs = 1
        else:
            model = call = keras.saving.load_model(path, compile=False, safe_mode=True)
            shape, outputs, inputs = model.inputs[0].shape, model.outputs, len(model.inputs)
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        raise PicaptionError(
            f"{path}: cannot load it as a Keras model: {str(error).splitlines()[0]}"
        ) from None
    if inputs != 1 or len(outputs) != 1:
        raise PicaptionError(
            f"{path}: it takes {inputs} inputs and gives {len(outputs)} outputs; a classifier takes a picture "
            "and gives scores"
        )
    shape = list(shape)
    if len(shape) != 4 or shape[3] != 3:
        raise PicaptionError(
            f"{path}: its input is {shape}; it takes pictures in three colours, [batch, height, width, 3]"
        )
    if size:
        shape[1:3] = [shape[1] or size, shape[2] or size]
    if None in shape[1:]:
        raise PicaptionError(
            f"{path}: its input is of a dynamic shape, {shape}: tell the size of its pictures with --size"
        )
    return call, tuple(shape[1:]), model


def trace(path, features, size):
    """Return (the network at `path` as a function of tensors without variables, and two of its tensors: features and scores).

    features: the name of the layer that gives them; "" for what goes into the last product. size: of the square pictures.
    """
    call, shape, model = load(path, size)
    if shape[:2] != (size, size):
        square = f"set size = {shape[0]}" if shape[0] == shape[1] else "a run trains on square ones"
        raise PicaptionError(
            f"{path}: it takes pictures of {shape[0]}x{shape[1]}, not {size}x{size}: {square}"
        )
    layer = model and features and find_layer(model, features, path)

    def both(picture):
        with outputs_of(layer) as kept:
            scores = call(picture)
        return [*kept[-1:], scores]

    try:
        concrete = tf.function(both).get_concrete_function(
            tf.TensorSpec((None, *shape), tf.float32, "picture")
        )
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise PicaptionError(
            f"{path}: it does not take pictures of {list(shape)}: {str(error).splitlines()[0]}"
        ) from None
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    seen, scores = frozen.outputs[0], frozen.outputs[-1]
    if not features:
        seen = final_dense_layer(scores)[0]
        if seen is None:
            raise PicaptionError(
                f"{path}: it does not end in one dense layer: name the layer to take features from, with the setting "
                "features"
            )
    elif not layer:
        seen = scope_output(frozen.graph, features, path)
    return frozen, seen, scores


def find_layer(model, name, path):
    """Return the layer of that name in a Keras model, or in the models that it is made of."""
    names, inside = [], [model]
    for each in inside:
        names += [layer.name for layer in each.layers]
        inside += [layer for layer in each.layers if isinstance(layer, keras.Model)]
    for each in inside:
        if name in (layer.name for layer in each.layers):
            return each.get_layer(name)
    raise no_layer(path, name, names)


def no_layer(path, name, names):
    """Return the PicaptionError for a layer that is not among `names`, which it tells the last of."""
    return PicaptionError(
        f"features = {name!r}: {path.name} has no such layer; its last are {', '.join(names[-8:])}"
    )


@contextmanager
def outputs_of(layer):
    """A context that gives a list of what a Keras layer gives within it; of no layer, nothing."""
    kept = []
    if not layer:
        yield kept
        return
    call = layer.call

    def watched(*inputs, **options):
        kept.append(call(*inputs, **options))
        return kept[-1]

    layer.call = watched
    try:
        yield kept
    finally:
        layer.call = call


def scope_output(graph, name, path):
    """Return the last tensor that a SavedModel's graph computes in the scope `name`, or in one that has a number behind that, as
    Keras gives its layers when it exports them; `name` may be the end of a scope's path."""
    scopes = {}
    for operator in graph.get_operations():
        if operator.outputs and operator.type not in ("Const", "Identity", "NoOp", "Placeholder"):
            parts = operator.name.split("/")
            scopes |= {
                "/".join(parts[:count]): operator.outputs[0] for count in range(1, len(parts))
            }
    exact, numbered = (
        [scope for scope in scopes if f"/{strip(scope)}".endswith(f"/{name}")]
        for strip in (str, lambda scope: re.sub(r"_\d+$", "", scope))
    )
    found = exact if "/" in name and exact else [*exact, *numbered]
    if not found:
        raise no_layer(path, name, [scope.rpartition("/")[2] for scope in scopes])
    if len(found) > 1:
        ends = " or ".join("/".join(scope.split("/")[-2:]) for scope in found)
        raise PicaptionError(
            f"features = {name!r}: {path.name} has several layers that may be called so: name {ends}"
        )
    return scopes[found[0]]


def source(tensor):
    """Return the operator that computed a tensor, before it was given other names."""
    operator = tensor.op
    while operator.type == "Identity":
        operator = operator.inputs[0].op
    return operator


def constant(tensor):
    """Return the array that a tensor always is, or None where it is computed."""
    operator = source(tensor)
    return tf.make_ndarray(operator.get_attr("value")) if operator.type == "Const" else None


def final_dense_layer(scores):
    """Return (what goes into the product that gives `scores`, its weights [F, C], its bias [C], the kind of head), or four None
    where more than a bias and what makes probabilities stands between."""
    bias, kind, operator = 0, "single-label", scores.op
    while operator.type not in PRODUCTS:
        if operator.type in BIASED:
            bias = constant(operator.inputs[1])
        kind = SQUASHING.get(operator.type, kind)
        if operator.type not in (*BIASED, *PASSING, *SQUASHING) or bias is None:
            return None, None, None, None
        operator = operator.inputs[0].op
    weights = constant(operator.inputs[1])
    if (
        weights is None
        or weights.ndim == 4
        and weights.shape[:2] != (1, 1)
        or weights.ndim == 2
        and operator.get_attr("transpose_b")
    ):
        return None, None, None, None
    weights = weights.reshape(weights.shape[-2:])
    return (
        operator.inputs[0],
        weights,
        np.broadcast_to(bias, weights.shape[1:]).astype(np.float32),
        kind,
    )


def final_classifier(seen, scores):
    """Return (the Head that gives the logits of `scores` from the features `seen`, its kind), or (None, None) where these are
    not one product of them or of their mean over the grid."""
    given, weights, bias, kind = final_dense_layer(scores)
    if given is None or len(weights) != seen.shape[-1]:
        return None, None
    start, operator = source(seen), source(given)
    while operator is not start and operator.type in (
        *PASSING,
        *(["Mean"] if len(seen.shape) == 4 else []),
    ):
        operator = operator.inputs[0].op
    return (Classifier(weights, None, bias, raw=True), kind) if operator is start else (None, None)
