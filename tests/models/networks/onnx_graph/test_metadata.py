"""What an ONNX file says of its pixels, its classes and its layers."""

from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

import onnx

from picaption.device import PicaptionError
from picaption.models.networks.onnx_graph.metadata import (
    layer_name,
    metadata_labels,
    metadata_pixels,
)
from picaption.models.pixels import PIXELS, PixelScaling

PATH = Path("trees.onnx")


@pytest.mark.parametrize(
    ("metadata", "scaling"),
    [
        ({"pixels": "-1..1"}, PIXELS["-1..1"]),
        ({"mean": "[127.5]", "std": "(127.5)"}, PIXELS["-1..1"]),
        ({"Image.NominalPixelRange": "Normalized_0_1"}, PIXELS["0..1"]),
        (
            {"Image.NominalPixelRange": "NominalRange_0_255", "Image.BitmapPixelFormat": "Bgr8"},
            PixelScaling((1.0,), (0.0,), is_bgr=True),
        ),
        ({}, None),
        ({"mean": "the mean, 0.5", "std": "0.5"}, None),
        ({"mean": "1, 2", "std": "0.5"}, None),
        ({"mean": "0.5", "std": "0"}, None),
        ({"mean": "0.5", "std": "1e999"}, None),
        ({"mean": "", "std": ""}, None),
    ],
)
def test_pixels(metadata, scaling):
    assert metadata_pixels(PATH, metadata) == scaling


def test_a_range_that_is_none_is_named_with_its_file():
    with pytest.raises(PicaptionError, match="trees.onnx, its metadata: pixels '0..2': '0..2' is"):
        metadata_pixels(PATH, {"pixels": "0..2"})


@pytest.mark.parametrize(
    "text",
    ["{0: 'ash', 1: 'oak'}", '{"1": "oak", "0": "ash"}', '["ash", "oak"]', "ash,oak", "ash\noak"],
)
def test_class_names(text):
    assert metadata_labels({"names": text}) == ("ash", "oak")


@pytest.mark.parametrize("text", ["", "{0: 'ash', 2: 'oak'}", "[1, 2]", "{0: {}}", "3"])
def test_what_are_no_class_names(text):
    assert metadata_labels({"names": text}) == ()


def node(name, modules=None):
    """Return a node; modules: as PyTorch's exporter writes them."""
    made = onnx.helper.make_node("Conv", ["image"], ["maps"], name=name)
    if modules:
        made.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=str(modules))
    return made


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (node("node_conv2d_1", ["", "features", "features.0", "conv2d_1"]), "features.0"),
        (node("node_view", ["", "view"]), "view"),
        (node("/features/features.0/Conv"), "features.0"),
        (node("Conv_7"), "Conv_7"),
        (node(""), ""),
    ],
)
def test_a_node_is_called_by_its_layer(made, name):
    assert layer_name(made) == name
