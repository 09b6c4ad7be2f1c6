"""Networks that others trained, from the files of Keras, ONNX and PyTorch, and from SavedModels.

Files of older versions of Keras, and of models trained in 16 bits, are brought to what this one
opens, and to floating point of 32 bits, in a copy.
"""

import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from picaption.device.errors import PicaptionError

from ..pixels import PIXELS, PIXELS_HELP, PixelScaling, parse_pixels
from .file_format import network_suffix, unknown_file
from .outputs import choose_output

#: What Keras and TensorFlow raise for files that they do not open, and for calls that fail.
LOAD_ERRORS = (
    ValueError,
    OSError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
    NotImplementedError,
    zipfile.BadZipFile,
    tf.errors.OpError,
)

#: What a model with code of its own needs.
_EXPORT_ADVICE = (
    "export the model as a SavedModel with model.export(FOLDER), where that is known, and give "
    "the folder"
)
#: What Keras' messages mean; {} is what the pattern's group found.
_KNOWN_CAUSES = (
    (
        r"(?:Could not locate|Unknown) (?:class|layer|function|activation function)[: ]+'?(\w+)'?",
        "it has {}, which Keras does not have: " + _EXPORT_ADVICE,
    ),
    (
        r"deserialization of a (`Lambda`) layer",
        "it has a Lambda layer, a program inside the file, which is not run: " + _EXPORT_ADVICE,
    ),
    (
        r"(No model config) found",
        "it holds weights without a network: save the whole model with model.save",
    ),
    (
        r"(truncated file|Unable to (?:synchronously )?open|not a zip file|Bad CRC|Truncated)",
        "the file is cut short or damaged; copy it again",
    ),
)
#: The longest cause that an error quotes.
_QUOTED = 300
#: The colours of RGB in the order of BGR.
BLUE_FIRST = (2, 1, 0)
#: The dtypes and policies of training in 16 bits.
_HALF_TYPES = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
#: Layers whose configuration has groups in Keras 2 alone, where they can only be 1.
_UNGROUPED = re.compile(r"(?:Depthwise|Separable)Conv\dD|Conv\dDTranspose")


@dataclass(frozen=True)
class LoadedNetwork:
    """A classifier of images as its file holds it.

    Attributes:
        call: Returns the scores of images, float32 [N, H, W, 3].
        input_shape: (H, W, 3).
        model: None for what is no Keras model.
        takes_integers: Whether it takes pixels as whole numbers, 0 to 255.
        takes_one: Whether N is 1: its graph computes one image at a time.
        pixels: How the file says that pixels are scaled; None where it does not.
        labels: The class names in the file; () where there are none.
        own_scores: Returns the scores that the network's own program computes for one image, as
            `call` takes it; None where `call` is that program.
    """

    call: Callable[[Any], Any]
    input_shape: tuple[int, ...]
    model: keras.Model | None
    takes_integers: bool = False
    takes_one: bool = False
    pixels: PixelScaling | None = None
    labels: tuple[str, ...] = ()
    own_scores: Callable[[np.ndarray], np.ndarray] | None = None

    def scaling(self, path: Path, pixels: str | None) -> PixelScaling:
        """Return how pixels are brought to the range that it takes.

        Args:
            path: Its file.
            pixels: As picaption.models.pixels.parse_pixels takes it; None: as the file says.

        Raises:
            PicaptionError: Neither says, or it cannot take that range; it begins with `path`.
        """
        if pixels:
            scaling = parse_pixels(pixels)
        elif self.takes_integers:
            scaling = self.pixels or PIXELS["0..255"]
        elif self.pixels is not None:
            scaling = self.pixels
        else:
            raise PicaptionError(
                f"{path}: tell the range of pixels that it was trained with, with --pixels, one of "
                f"{PIXELS_HELP}"
            )
        if self.takes_integers and scaling != PIXELS["0..255"]:
            raise PicaptionError(
                f"{path}: it takes pixels as whole numbers, whose range is 0..255, not {pixels}"
            )
        return scaling


def load_network(
    path: Path, size: int | None = None, output_name: str | None = None
) -> LoadedNetwork:
    """Load a network's file or SavedModel.

    Args:
        path: The file, or the SavedModel's folder.
        size: The side of its images, where it takes any.
        output_name: Which of several outputs are the scores; None: the only one.

    Raises:
        PicaptionError: It cannot be loaded, or is no classifier of images in three colours.
    """
    suffix = network_suffix(path)
    if suffix is None:
        raise unknown_file(path)
    if suffix == ".onnx":
        network = _of_onnx(path, output_name)
    elif suffix == ".pt2":
        network = _of_exported(path, output_name)
    else:
        network = _of_keras(path, suffix, output_name)
    shape = list(network.input_shape)
    if size:
        shape[:2] = [shape[0] or size, shape[1] or size]
    if None in shape:
        raise PicaptionError(
            f"{path}: its input is of a dynamic shape, {[None, *shape]}: tell the size of its "
            "pictures with --size"
        )
    return replace(network, input_shape=tuple(shape))


def _of_onnx(path: Path, output_name: str | None) -> LoadedNetwork:
    """Load an ONNX file."""
    from .onnx_graph.load import load_onnx

    network = load_onnx(path, output_name)
    return LoadedNetwork(model=None, takes_one=True, **vars(network))


def _of_exported(path: Path, output_name: str | None) -> LoadedNetwork:
    """Load a program that torch.export wrote."""
    from .torch_network import load_exported

    network = load_exported(path, output_name)
    return LoadedNetwork(model=None, takes_one=True, **vars(network))


def _of_keras(path: Path, suffix: str, output_name: str | None) -> LoadedNetwork:
    """Load what Keras opens; its input_shape has None for a side that it leaves open."""
    try:
        if suffix:
            network, inputs, outputs = _load_keras_file(path, suffix, output_name)
        else:
            network, inputs, outputs = _load_saved_model(path, output_name)
    except LOAD_ERRORS as error:
        raise PicaptionError(
            f"{path}: cannot load it as a Keras model: {describe_cause(error)}"
        ) from None
    if inputs != 1:
        raise PicaptionError(
            f"{path}: it takes {inputs} inputs and gives {len(outputs)} outputs; a classifier "
            "takes a picture and gives scores"
        )
    shape = list(network.input_shape)
    if len(shape) != 4 or shape[3] != 3:
        raise PicaptionError(
            f"{path}: its input is {shape}; it takes pictures in three colours, [batch, height, "
            "width, 3]"
        )
    choose_output(path, outputs, output_name)
    return replace(network, input_shape=tuple(shape[1:]))


@contextmanager
def calling_errors(path: Path, shape: Sequence[int]) -> Iterator[None]:
    """Raise what a network's call raises as a PicaptionError.

    Args:
        path: The network's file, which the error begins with.
        shape: Of the images that it is called with.
    """
    try:
        yield
    except PicaptionError as error:
        raise PicaptionError(f"{path}: {error}") from None
    except LOAD_ERRORS as error:
        raise PicaptionError(
            f"{path}: it does not take pictures of {list(shape)}: {describe_cause(error)}"
        ) from None


def describe_cause(error: Exception) -> str:
    """Return one line with the cause of an error that Keras or TensorFlow raised."""
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip()
    for pattern, meaning in _KNOWN_CAUSES:
        match = re.search(pattern, text)
        if match:
            return meaning.format(match[1])
    # The causes stand behind what they led to, and what was passed behind them.
    in_call = re.findall(r"Exception encountered when calling (?:layer )?(.+?)\.?\n+\s*(.+)", text)
    if in_call:
        layer, cause = in_call[-1]
        return f"{layer.removesuffix('.call()')}: {cause.strip()[:_QUOTED]}"
    cause = text.rpartition("Exception encountered: ")[2]
    lines = [line.strip() for line in cause.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return (lines[-1] if lines[0] == "in user code:" else lines[0])[:_QUOTED]


def _load_saved_model(path: Path, output_name: str | None) -> tuple[LoadedNetwork, int, list[str]]:
    """Return a SavedModel, with its batch axis, how many inputs it has, and its outputs' names."""
    loaded = tf.saved_model.load(str(path))
    name = _signature_name(path, list(loaded.signatures))
    signature = loaded.signatures[name]
    _check_no_assignments(path, signature)
    specs = signature.structured_input_signature[1]
    outputs = list(signature.structured_outputs)
    if len(specs) != 1:
        return LoadedNetwork(signature, (), None), len(specs), outputs
    ((input_name, spec),) = specs.items()
    output = output_name if output_name in outputs else outputs[0]

    def call(images: Any) -> Any:
        # By way of `loaded`: its variables live as long as it does.
        function = loaded.signatures[name]
        return function(**{input_name: tf.cast(images, spec.dtype)})[output]

    shape = tuple(spec.shape) if spec.shape.rank is not None else ()
    network = LoadedNetwork(call, shape, None, spec.dtype.is_integer)
    return network, 1, outputs


def _signature_name(path: Path, names: list[str]) -> str:
    """Return the signature of a SavedModel that classifies: the usual one, or the only one."""
    usual = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    if usual in names:
        return usual
    if len(names) == 1:
        return names[0]
    have = f"it has the signatures {', '.join(names)}" if names else "it has no signature"
    raise PicaptionError(
        f"{path}: {have}, and which one takes a picture is not known: export it with "
        "model.export(FOLDER)"
    )


def _check_no_assignments(path: Path, signature: Any) -> None:
    """Raise PicaptionError where a SavedModel's function changes variables.

    One that was exported with layers for augmentation draws other numbers for every image.
    """
    graph = signature.graph.as_graph_def()
    nodes = [*graph.node]
    for function in graph.library.function:
        nodes += function.node_def
    for node in nodes:
        if re.fullmatch(r"Assign\w*VariableOp", node.op):
            layer = next((part for part in node.name.split("/") if "random" in part), node.name)
            raise PicaptionError(
                f"{path}: it was exported as it is trained, with augmentation or other layers that "
                f"change with every picture ({layer}): give the model's own file, from "
                "model.save('NAME.keras'), or export a model without these layers"
            )


def _load_keras_file(
    path: Path, suffix: str, output_name: str | None
) -> tuple[LoadedNetwork, int, list[str]]:
    """Return a Keras model, with its batch axis, how many inputs it has, and its outputs' names."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, f"network{suffix}")
        _copy_for_this_keras(path, copy)
        model = keras.saving.load_model(copy, compile=False, safe_mode=True)
    _fix_seeds(model)
    # A Sequential has one output, which it has no name for.
    is_sequential = isinstance(model, keras.Sequential)
    names = [model.layers[-1].name] if is_sequential else list(model.output_names)
    index = names.index(output_name) if output_name in names else 0

    def call(images: Any) -> Any:
        # As at inference: augmentation does nothing.
        return keras.tree.flatten(model(images, training=False))[index]

    network = LoadedNetwork(call, model.inputs[0].shape, model)
    return network, len(model.inputs), names


def _copy_for_this_keras(path: Path, copy: Path) -> None:
    """Copy a Keras file, by the suffix of `copy`, its configuration as this Keras takes it.

    Where the configuration stays as it is, the copy is a link.
    """
    if copy.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            before = json.loads(archive.read("config.json"))
    else:
        with h5py.File(path) as file:
            before = json.loads(file.attrs.get("model_config", "null"))
    after = _modernize(before)
    if after == before:
        copy.symlink_to(path.absolute())
        return
    if copy.suffix == ".h5":
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            file.attrs["model_config"] = json.dumps(after)
        return
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as changed:
        for member in archive.infolist():
            if member.filename == "config.json":
                changed.writestr(member, json.dumps(after))
                continue
            with archive.open(member) as source, changed.open(member, "w") as target:
                shutil.copyfileobj(source, target)


def _modernize(config: Any) -> Any:
    """Return a part of a model's configuration without groups of Keras 2, and with 32 bits."""
    if isinstance(config, list):
        return [_modernize(part) for part in config]
    if not isinstance(config, dict):
        return config
    changed = {key: _modernize(part) for key, part in config.items()}
    if "dtype" in config:
        changed["dtype"] = _full_precision(config["dtype"])
    layer = changed.get("config")
    is_ungrouped = _UNGROUPED.fullmatch(str(config.get("class_name")))
    if is_ungrouped and isinstance(layer, dict) and layer.get("groups") == 1:
        del layer["groups"]
    return changed


def _full_precision(dtype: Any) -> Any:
    """Return float32 for the dtype or dtype policy of a configuration that is of 16 bits."""
    name = dtype
    if isinstance(dtype, dict):
        name = (dtype.get("config") or {}).get("name")
        if dtype.get("class_name") == "Policy" and name == "float32":  # As Keras 2 writes it.
            return name
    if name in _HALF_TYPES:
        return "float32"
    return dtype


def _fix_seeds(model: keras.Model) -> None:
    """Let layers that draw random numbers draw the same ones always.

    Some draw, and count their draws in a variable, at inference too, where they use none; a
    function with that in it cannot be frozen.
    """
    for layer in model._flatten_layers():
        for generator in getattr(layer, "_seed_generators", ()):
            generator.next = _constant_seed


def _constant_seed(ordered: bool = True) -> Any:
    """Return a seed, as keras.random.SeedGenerator.next does."""
    return keras.ops.convert_to_tensor((0, 0), dtype="uint32")
