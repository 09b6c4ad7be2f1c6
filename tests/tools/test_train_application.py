"""A network of keras.applications learns from class folders."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from picaption.device.images import write_image  # noqa: E402
from tools.train_application import read_classes, train  # noqa: E402


@pytest.fixture
def folders(tmp_path):
    """Folders of bright and of dark images."""
    random = np.random.default_rng(0)
    for name, least in (("bright", 170), ("dark", 0)):
        (tmp_path / name).mkdir()
        for index in range(20):
            image = random.integers(least, least + 80, (24, 24, 3)).astype(np.uint8)
            write_image(tmp_path / name / f"{index}.png", image)
    return tmp_path


def test_it_learns_to_tell_bright_from_dark(folders):
    images, classes, count = read_classes(folders, 16)
    assert images.shape == (40, 16, 16, 3)
    assert list(classes) == [0] * 20 + [1] * 20
    keras.utils.set_random_seed(1)
    pixels = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
    normalized = keras.layers.BatchNormalization()(pooled)
    model = keras.Model(pixels, keras.layers.Dense(count, "softmax")(normalized))
    losses = train(model, images, classes, epochs=8, learning_rate=0.1)
    assert losses[-1] < 0.7 * losses[0]
    assert model.layers[3].momentum == 0.9
    scores = model(images.astype(np.float32), training=False)
    np.testing.assert_array_equal(np.argmax(scores, 1), classes)
