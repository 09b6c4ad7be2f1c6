"""What an ONNX file's metadata says of its pixels, its classes and its layers."""

import ast
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picaption.device.errors import PicaptionError

from ...pixels import PIXELS, PixelScaling, mean_and_std, parse_pixels

#: The range and the colours of pixels, by ONNX' own MetadataProps.
_RANGE = "Image.NominalPixelRange"
_RANGES = {"nominalrange_0_255": "0..255", "normalized_0_1": "0..1", "normalized_1_1": "-1..1"}
_COLOURS = "Image.BitmapPixelFormat"
#: Where exporters write class names: a list, a dictionary by index, or text.
_LABEL_KEYS = ("names", "labels", "classes", "class_names", "id2label")
#: The longest text that is looked at for class names.
_LONGEST = 1 << 20
#: Where PyTorch's exporter writes of a node the modules that it is in, from the outermost.
_MODULES = "pkg.torch.onnx.name_scopes"


def metadata_pixels(path: Path, metadata: Mapping[str, str]) -> PixelScaling | None:
    """Return how a network's metadata scales pixels; None where it does not say.

    Its own `pixels` comes first, as --pixels has it; then `mean` and `std`, then ONNX's names.

    Raises:
        PicaptionError: It names a range that is none.
    """
    if "pixels" in metadata:
        try:
            return parse_pixels(metadata["pixels"])
        except PicaptionError as error:
            raise PicaptionError(f"{path}, its metadata: {error}") from None
    is_bgr = metadata.get(_COLOURS, "").lower().startswith("bgr")
    if "mean" in metadata and "std" in metadata:
        mean = _numbers(metadata["mean"])
        std = _numbers(metadata["std"])
        if mean and std and min(std) > 0:
            return mean_and_std(mean, std, is_bgr=is_bgr)
    name = _RANGES.get(metadata.get(_RANGE, "").lower())
    if name is None:
        return None
    scaling = PIXELS[name]
    return PixelScaling(scaling.factor, scaling.offset, is_bgr)


def metadata_labels(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the class names in a network's metadata; () where there are none that it can read."""
    for key in _LABEL_KEYS:
        text = metadata.get(key, "").strip()
        if not text or len(text) > _LONGEST:
            continue
        labels = _labels(_parse(text))
        if labels:
            return labels
    return ()


def layer_name(node: Any) -> str:
    """Return the name of the layer that a node is part of; "" where the file has none.

    PyTorch's exporters write it beside the node, or, before version 2.5, in its name, as others do:
    "/features/features.0/Conv".

    Args:
        node: An onnx.NodeProto.
    """
    metadata = {entry.key: entry.value for entry in node.metadata_props}
    modules = re.findall(r"'([^']*)'", metadata.get(_MODULES, ""))
    parts = [part for part in modules or node.name.split("/") if part]
    if len(parts) > 1:
        return parts[-2]
    return parts[0] if parts else ""


def _numbers(text: str) -> list[float]:
    """Return one number or three, with brackets and commas about them; [] for anything else."""
    try:
        numbers = [float(word) for word in re.split(r"[\s,;()\[\]]+", text) if word]
    except ValueError:
        return []
    is_complete = len(numbers) in (1, 3) and all(map(math.isfinite, numbers))
    return numbers if is_complete else []


def _parse(text: str) -> Any:
    """Return a list or a dictionary as JSON or Python writes it; lines of a text; None for none."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text.splitlines() if "\n" in text else text.split(",")


def _labels(values: Any) -> tuple[str, ...]:
    """Return the labels of a list, or of a dictionary whose keys count from 0."""
    if isinstance(values, dict):
        keys = {str(key): value for key, value in values.items()}
        values = [keys.get(str(index)) for index in range(len(keys))]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return ()
    return tuple(value.strip() for value in values)
