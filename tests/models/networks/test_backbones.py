"""One network takes the weights of every source, and says with them what their source says."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest

from picaption.device.images import read_image, resize
from picaption.models.networks.backbones import (
    build_backbone,
    build_classic_cnn,
    load_applications,
    load_folded,
    scale_channels,
    set_weights,
    weighted_layers,
)

WEIGHTS = os.environ.get("PICAPTION_WEIGHTS")
DATA = os.environ.get("PICAPTION_DATA")


def test_widths_are_multiples_of_eight_and_not_much_narrower():
    assert [scale_channels(count, 0.35) for count in (16, 24, 32, 64, 96)] == [8, 8, 16, 24, 32]
    assert scale_channels(32, 1.0) == 32


def test_network_has_the_papers_shape():
    network = build_backbone("mobilenet_v2", 224, 1.0, classes=1000)
    assert len(weighted_layers(network)) == 53
    # 3.5 million parameters (table 4 of the paper), less what batch normalisation has beyond a
    # bias.
    assert network.count_params() == 3_487_816
    assert build_backbone("mobilenet_v2", 96).output_shape == (None, 3, 3, 1280)


def test_efficientnet_lite0_has_its_published_size():
    network = build_backbone("efficientnet_lite0", classes=1000)
    # 4.7 million parameters as published, in which batch normalisation has two a channel, not one
    # bias.
    channels = sum(layer.bias.shape[0] for layer in weighted_layers(network)[:-1])
    assert round((network.count_params() + channels) / 1e6, 1) == 4.7
    assert sum(layer.kernel.shape[0] == 5 for layer in weighted_layers(network)[:-1]) == 9


def test_batch_normalisation_folds_into_the_convolutions():
    random = np.random.default_rng(0)
    source = keras.applications.MobileNetV2(
        (64, 64, 3), 0.35, weights=None, classes=10, classifier_activation=None
    )
    for layer in source.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, shape),
                    random.normal(0, 0.3, shape),
                    random.normal(0, 0.3, shape),
                    random.uniform(0.5, 1.5, shape),
                ]
            )
    network = build_backbone("mobilenet_v2", 64, 0.35, classes=10)
    load_applications(network, source)
    images = random.uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    expected = np.asarray(source(images, training=False))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(
        np.asarray(network(images)), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
    )


def test_weights_of_another_network_are_refused():
    network = build_backbone("mobilenet_v2", 64, 0.35)
    with pytest.raises(ValueError, match="stem .* alpha"):
        set_weights(
            network.get_layer("stem"), np.zeros((3, 3, 3, 32), np.float32), np.zeros(32, np.float32)
        )


def test_classic_network_has_its_layers():
    network = build_classic_cnn(96, classes=10)
    units = [
        (type(layer).__name__, getattr(layer, "filters", getattr(layer, "units", None)))
        for layer in network.layers
    ]
    assert [layer for layer in units if layer[1]] == [
        ("Conv2D", 32),
        ("Conv2D", 64),
        ("Conv2D", 128),
        ("Dense", 512),
        ("Dense", 10),
    ]


@pytest.mark.skipif(not (WEIGHTS and DATA), reason="set PICAPTION_WEIGHTS and PICAPTION_DATA")
def test_folded_weights_agree_with_the_int8_reference_on_real_images():
    from picaption.device.bundle.runtime import make_interpreter

    network = build_backbone("mobilenet_v2", 224, 1.0, classes=1001)
    load_folded(network, Path(WEIGHTS, "mobilenet_v2_1.0_224_imagenet.npz"))
    reference = make_interpreter(Path(WEIGHTS, "tf2_mobilenet_v2_1.0_224_ptq.tflite").read_bytes())
    reference.allocate_tensors()
    input_index = reference.get_input_details()[0]["index"]
    output_index = reference.get_output_details()[0]["index"]
    paths = sorted(Path(DATA, "imagenette160", "val").glob("*/*"))[::20]
    same = 0
    for path in paths:
        image = resize(read_image(path), 224, 224, "stretch")
        reference.set_tensor(input_index, image[None])
        reference.invoke()
        logits = np.asarray(network(image[None] / np.float32(127.5) - 1))
        same += logits.argmax() == reference.get_tensor(output_index).argmax()
    assert same >= 0.85 * len(paths)
