"""The signal-to-noise ratio of layers is that of their outputs."""

import numpy as np
import pytest

from picaption.convert.convert import representative_examples
from picaption.convert.report.layer_snr import compare_layers, decibels
from picaption.convert.representative import load_images
from picaption.convert.tflite.export import convert_with_layer_names, signature_functions
from picaption.device.bundle.runtime import make_interpreter
from picaption.models.run_folder import FloatModel


@pytest.fixture
def images(run, data):
    """Four images of the size that the run takes."""
    paths = sorted((data / "images").iterdir())[:4]
    return [image for _, image in load_images(paths, FloatModel(run).metadata.input)]


def test_decibels_by_hand():
    assert decibels(100, 1) == pytest.approx(20)
    assert decibels(1, 2) == pytest.approx(-3.0103, abs=1e-4)
    assert decibels(5, 0) == pytest.approx(120)
    assert decibels(0, 0) == 0


def test_a_layers_decibels_are_those_of_its_outputs(run, images):
    model = FloatModel(run)
    functions = signature_functions(model, model.metadata.beam.width)
    examples = representative_examples(model, images)
    exact = convert_with_layer_names(functions, "float32")
    rough = convert_with_layer_names(functions, "int8", examples)
    assert {layer.decibels for layer in compare_layers(exact, exact, examples)} == {120.0}
    layers = {layer.name: layer for layer in compare_layers(exact, rough, examples)}
    features = []
    for graph in (exact, rough):
        runner = make_interpreter(graph).get_signature_runner("encode")
        outputs = [runner(image=image[None])["features"] for image in images]
        features.append(np.concatenate(outputs))
    noise = ((features[0] - features[1]) ** 2).sum()
    expected = 10 * np.log10((features[0] ** 2).sum() / noise)
    # The kernels of make_interpreter are XNNPACK's.
    assert layers["features"].decibels == pytest.approx(expected, abs=1)
    assert 0 < layers["features"].lost < 20
    assert layers["features"].opcode == "FULLY_CONNECTED"


def test_one_scale_a_tensor_is_worse_where_channels_differ(run, images):
    model = FloatModel(run)
    layer = next(
        layer for layer in model.encoder._flatten_layers() if type(layer).__name__ == "Conv2D"
    )
    kernel, *rest = layer.get_weights()
    kernel[..., 0] *= 300  # The others' weights are then next to nothing beside it.
    layer.set_weights([kernel, *rest])
    functions = signature_functions(model, model.metadata.beam.width)
    examples = [("encode", {"image": image[None]}) for image in images]
    next_word = {"history": np.zeros((2, 2), np.int32), "context": np.ones((1, 32), np.float32)}
    examples.append(("next_word", next_word))
    exact = convert_with_layer_names(functions, "float32")

    def features_decibels(per_tensor):
        rough = convert_with_layer_names(functions, "int8", examples, per_tensor=per_tensor)
        layers = compare_layers(exact, rough, examples)
        return next(layer.decibels for layer in layers if layer.name == "features")

    assert features_decibels(per_tensor=True) < features_decibels(per_tensor=False) - 3
