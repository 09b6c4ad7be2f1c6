"""Loads an ONNX network: what it takes and gives, what its metadata says, and its own scores."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from onnx.inliner import inline_local_functions

from picaption.device.errors import PicaptionError

from ...pixels import PixelScaling
from ..outputs import choose_output
from .function import OnnxFunction, input_infos, output_names
from .layout import Laid, channels_last
from .metadata import metadata_labels, metadata_pixels

#: Axes of an image, and its colours.
_RANK = 4
_COLOURS = 3
#: The dtypes of pixels that are whole numbers.
_INTEGERS = (onnx.TensorProto.UINT8, onnx.TensorProto.INT8, onnx.TensorProto.INT32)
#: The dtypes of inputs, by their names in ONNX Runtime.
_DTYPES = {
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
}
#: The longest cause that an error quotes.
_QUOTED = 200


@dataclass(frozen=True)
class OnnxNetwork:
    """An ONNX network of one image.

    Attributes:
        call: Returns the output for one image, float32 [1, H, W, 3]; a map with channels last.
        input_shape: (H, W, 3); None for a side that it leaves open.
        takes_integers: Whether it takes pixels as whole numbers.
        pixels: How its metadata scales pixels; None where it does not say.
        labels: The class names in its metadata; () where there are none.
        own_scores: Returns what ONNX Runtime computes for one image, as `call` takes it.
    """

    call: Callable[[Any], Any]
    input_shape: tuple[int | None, ...]
    takes_integers: bool
    pixels: PixelScaling | None
    labels: tuple[str, ...]
    own_scores: Callable[[np.ndarray], np.ndarray]


def load_onnx(path: Path, output_name: str | None = None) -> OnnxNetwork:
    """Load an ONNX file, and the weights in files beside it.

    Args:
        path: The file.
        output_name: Which of several outputs are the scores; None: the only one.

    Raises:
        PicaptionError: It is no network of images in three colours.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
        missing = _missing_weights(model, path.parent)
        if not missing:
            onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # The decoder and the files of weights raise their own.
        cause = str(error).strip().partition("\n")[0][:_QUOTED] or type(error).__name__
        raise PicaptionError(f"{path}: cannot load it as an ONNX network: {cause}") from None
    if missing:
        raise PicaptionError(
            f"{path}: its weights are in {missing[0]}, which is not beside it: copy both files"
        )
    return network_of_model(model, path, output_name)


def _missing_weights(model: Any, folder: Path) -> list[str]:
    """Return the names of the files of weights that a model needs and that are not there."""
    names = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sorted(name for name in names if not (folder / name).exists())


def network_of_model(model: Any, path: Path, output_name: str | None = None) -> OnnxNetwork:
    """Return an onnx.ModelProto as an OnnxNetwork.

    Args:
        model: The model, its weights inside.
        path: What errors call it.
        output_name: As for load_onnx.

    Raises:
        PicaptionError: As for load_onnx.
    """
    source = model.SerializeToString()
    if model.functions:
        model = inline_local_functions(model)
    inputs = input_infos(model)
    if len(inputs) != 1:
        raise PicaptionError(
            f"{path}: it takes {len(inputs)} inputs ({', '.join(inputs)}); a classifier takes a "
            "picture"
        )
    ((input_name, info),) = inputs.items()
    output = choose_output(path, output_names(model), output_name)
    shape = _shape(info)
    order = _axis_order(path, shape)
    function = OnnxFunction(model, output)

    def call(images: Any) -> Any:
        result = function(input_name, Laid(tf.cast(images, tf.float32), order))
        return result.arranged(order if result.rank == _RANK else range(result.rank))

    metadata = {entry.key: entry.value for entry in model.metadata_props}
    element = info.type.tensor_type.elem_type
    return OnnxNetwork(
        call=call,
        input_shape=(shape[order[1]], shape[order[2]], _COLOURS),
        takes_integers=element in _INTEGERS,
        pixels=metadata_pixels(path, metadata),
        labels=metadata_labels(metadata),
        own_scores=RuntimeScores(path, source, output, order),
    )


def _shape(info: Any) -> list[int | None]:
    """Return the shape of an input; None for an axis that is left open."""
    return [axis.dim_value or None for axis in info.type.tensor_type.shape.dim]


def _axis_order(path: Path, shape: list[int | None]) -> tuple[int, ...]:
    """Return the network's axis that each axis of [1, H, W, 3] is."""
    is_image = len(shape) == _RANK and shape[0] in (1, None)
    if is_image and shape[1] == _COLOURS:
        return channels_last(_RANK)
    if is_image and shape[3] == _COLOURS:
        return tuple(range(_RANK))
    raise PicaptionError(
        f"{path}: its input is {shape}; it takes one picture in three colours, [1, 3, height, "
        "width] or [1, height, width, 3]"
    )


class RuntimeScores:
    """What ONNX Runtime computes of a network, which opens it with the first image."""

    def __init__(self, path: Path, model: bytes, output: str, order: tuple[int, ...]) -> None:
        """Keep what is to be opened.

        Args:
            path: The network's file, for errors.
            model: A serialized onnx.ModelProto.
            output: The name of the output.
            order: The network's axis that each axis of an image is.
        """
        self._path = path
        self._model = model
        self._output = output
        self._order = order

    @cached_property
    def _session(self) -> Any:
        """The network in ONNX Runtime, on the CPU."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            # Its second try would be with the same provider, and be told on standard output.
            return onnxruntime.InferenceSession(
                self._model, options, ["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # Its own, which share no base class.
            raise self._cannot_run(error) from None

    def _cannot_run(self, error: Exception) -> PicaptionError:
        cause = str(error).strip().partition("\n")[0][:_QUOTED]
        return PicaptionError(f"{self._path}: ONNX Runtime cannot run it: {cause}")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the output for one image, as the network takes its pixels, [1, H, W, 3]."""
        (info,) = self._session.get_inputs()
        pixels = image.transpose([self._order.index(axis) for axis in range(_RANK)])
        inputs = {info.name: pixels.astype(_DTYPES.get(info.type, "float32"))}
        try:
            scores = self._session.run([self._output], inputs)[0].astype(np.float32)
        except Exception as error:  # As above.
            raise self._cannot_run(error) from None
        return scores.transpose(self._order) if scores.ndim == _RANK else scores
