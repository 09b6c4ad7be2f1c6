"""A frozen graph is a Keras layer that is saved with its model, under old names too."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("frozen graphs run on TensorFlow", allow_module_level=True)

import tensorflow as tf

from picaption.models.networks.frozen_graph import FrozenGraph
from picaption.models.run_folder import load_model, save_model

IMAGES = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)


@pytest.fixture
def layer():
    """A layer whose graph sums an image over its height and width."""
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.float32, (None, 2, 2, 3), "image")
        tf.reduce_sum(image, (1, 2), name="sum")
    return FrozenGraph((3,), ("image:0", "sum:0"), graph.as_graph_def().SerializeToString())


def test_it_runs_its_graph(layer):
    np.testing.assert_allclose(layer(IMAGES), IMAGES.sum((1, 2)))
    assert layer.compute_output_shape((None, 2, 2, 3)) == (None, 3)
    assert not layer.trainable_weights


def test_its_graph_is_saved_with_the_model(layer, tmp_path):
    inputs = keras.Input((2, 2, 3))
    save_model(keras.Model(inputs, layer(inputs)), tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict_on_batch(IMAGES), IMAGES.sum((1, 2)))


def test_a_configuration_of_an_older_run_is_read(layer):
    config = layer.get_config()
    config["given"] = config.pop("feature_shape")
    config["ends"] = config.pop("tensor_names")
    assert FrozenGraph.from_config(config).get_config() == layer.get_config()
