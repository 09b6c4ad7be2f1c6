"""Fitting: the average of a model with its start, and a loss that leaves out the unknown."""

import keras
import numpy as np
import pytest

from picaption.device.recognition.classifier import Classifier
from picaption.models.data.batches import UNKNOWN_LABEL
from picaption.models.training.fit import (
    Backup,
    NameDistillation,
    average_weights,
    fit_model,
    known_binary_crossentropy,
)


class Line(keras.utils.PyDataset):
    """Points of y = 2 x, three batches; an error comes in place of the batch of that number."""

    def __init__(self, interrupted_at=None):
        super().__init__()
        self.count = 0
        self.interrupted_at = interrupted_at

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if self.count == self.interrupted_at:
            raise RuntimeError("pulled the plug")
        self.count += 1
        x = np.arange(4, dtype=np.float32)[:, None] + index
        return x, 2 * x


def line_model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    return model


def test_a_fit_goes_on_after_the_last_whole_epoch(tmp_path):
    model = line_model()
    with pytest.raises(Exception, match="pulled the plug"):
        fit_model(model, Line(interrupted_at=9), None, 4, 9, tmp_path, "loss")
    (backup,) = (tmp_path / "backup").iterdir()
    assert backup.name == "epoch_2.weights.h5"
    # Killed while it wrote the next one.
    (tmp_path / "backup" / ".partial.epoch_3.weights.h5").write_bytes(backup.read_bytes()[:500])
    batches = Line()
    fit_model(line_model(), batches, None, 4, 9, tmp_path, "loss")
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["epoch", "0", "1", "2", "3"]
    assert not (tmp_path / "backup").exists()


def test_a_backup_has_weights_and_moments_of_the_last_epoch(tmp_path):
    model = line_model()
    backup = Backup(tmp_path / "backup")
    backup.set_model(model)
    assert backup.restore(model) == 0
    for epoch in range(2):
        model.train_on_batch(np.ones((4, 1)), np.ones((4, 1)))
        backup.on_epoch_end(epoch)
    assert len(list((tmp_path / "backup").iterdir())) == 1
    again = line_model()
    assert Backup(tmp_path / "backup").restore(again) == 2
    for ours, theirs in zip(again.variables, model.variables):
        np.testing.assert_array_equal(ours, theirs)
    assert len(again.optimizer.variables) == len(model.optimizer.variables) > 3
    for ours, theirs in zip(again.optimizer.variables, model.optimizer.variables):
        np.testing.assert_array_equal(ours, theirs)


def test_average_weights_by_hand():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.set_weights([np.array([[4.0, 8.0]]), np.array([0.0, -4.0])])
    average_weights(model, [np.array([[0.0, 4.0]]), np.array([8.0, 0.0])], 0.75)
    kernel, bias = model.get_weights()
    assert kernel.tolist() == [[3, 7]] and bias.tolist() == [2, -3]


def test_unknown_labels_count_nothing():
    labels = np.array([[1, 0, UNKNOWN_LABEL, UNKNOWN_LABEL]], np.float32)
    logits = np.array([[0, 0, 50, -50]], np.float32)
    loss = keras.ops.convert_to_numpy(known_binary_crossentropy(labels, logits))
    # log 2 for each of two known classes of four.
    assert loss == pytest.approx([np.log(2) / 2])


def test_what_the_untuned_network_told_apart_must_not_be_forgotten():
    untuned = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    untuned.set_weights([np.eye(2, dtype=np.float32)])
    classifier = Classifier(
        np.array([[1, 0], [0, 1]], np.float32), None, np.zeros(2, np.float32), raw=True
    )
    layer = NameDistillation(classifier, untuned, weight=2.0)
    image = np.array([[np.log(3), 0]], np.float32)
    features = keras.ops.convert_to_tensor(image)
    np.testing.assert_array_equal(layer(features, image), image)
    assert float(layer.losses[0]) == pytest.approx(0, abs=1e-6)
    # Tuned features that tell nothing apart: twice KL((3/4, 1/4) || (1/2, 1/2)).
    layer(keras.ops.zeros((1, 2)), image)
    lost = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert float(layer.losses[0]) == pytest.approx(2 * lost, rel=1e-5)
    # The names' layer is tuned, the untuned network is not.
    assert len(layer.trainable_weights) == 2
