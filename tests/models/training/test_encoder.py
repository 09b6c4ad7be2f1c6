"""Fine-tuning of the encoder: the mean of its runs, averaged with the weights before."""

import csv
import dataclasses

import keras
import numpy as np
import pytest

from picaption.models.run_folder import load_model
from picaption.models.training.encoder import build_network, read_network_classifier
from picaption.models.training.train import learn_words, load_images, train_encoder
from picaption.models.training.training_run import TrainingRun
from tests import tiny


def finetune(settings, data, folder, **changes):
    """Go through a run's stages to the fine-tuned encoder."""
    run = TrainingRun(dataclasses.replace(settings, **changes), data, folder)
    keras.utils.set_random_seed(settings.seed)
    for stage in (load_images, learn_words, train_encoder):
        stage(run)


@pytest.fixture(scope="module")
def averaged(data, settings, tmp_path_factory):
    """A run's folder with an encoder of no share of the fine-tuned weights."""
    folder = tmp_path_factory.mktemp("averaged")
    finetune(settings, data, folder, finetune_share=0.0)
    return folder


def dev_loss(folder):
    """Return the dev loss of the one epoch of a run's fine-tuning, "NA" for none."""
    with open(folder / "tuned/history.csv", newline="") as file:
        (epoch,) = csv.DictReader(file)
    assert float(epoch["loss"]) > 0
    return epoch["val_loss"]


def test_with_no_share_of_the_finetuned_weights_the_encoder_stays_as_it_began(
    data, settings, averaged
):
    keras.utils.set_random_seed(settings.seed)
    start = build_network(settings, data).get_weights()
    trained = load_model(averaged / "encoder.keras").get_weights()
    for before, after in zip(start, trained, strict=True):
        np.testing.assert_array_equal(after, before)


def test_the_encoder_is_the_mean_of_its_finetunings(data, settings, tmp_path):
    finetune(settings, data, tmp_path, finetune_runs=2)
    first, second, mean = (
        load_model(tmp_path / folder / "encoder.keras").get_weights()
        for folder in ("tuned", "tuned_2", ".")
    )
    assert any(np.abs(a - b).max() > 1e-6 for a, b in zip(first, second, strict=True))
    for a, b, averaged in zip(first, second, mean, strict=True):
        np.testing.assert_allclose(averaged, (a + b) / 2, atol=1e-6)


def test_dev_images_choose_the_epoch(run):
    assert dev_loss(run) != "NA"


def test_all_epochs_count_where_an_average_takes_them_back(averaged):
    assert dev_loss(averaged) == "NA"


def test_names_of_the_weights_are_remembered(data, settings, tmp_path):
    tiny.write_folded_weights(tmp_path / "w.npz", 1000)
    settings = dataclasses.replace(
        settings,
        network="mobilenet_v2",
        alpha=0.35,
        size=32,
        weights=str(tmp_path / "w.npz"),
        finetune_from=15,
    )
    classifier = read_network_classifier(tmp_path / "w.npz")
    images = np.random.default_rng(1).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    before = classifier.logits(build_network(settings, data).predict_on_batch(images))
    forgotten = []
    for weight in (0.0, 100.0):
        folder = tmp_path / str(weight)
        folder.mkdir()
        names = {"name_labels": "names.tsv", "name_images": "images"} if weight else {}
        finetune(settings, data, folder, finetune_names_weight=weight, **names)
        encoder = load_model(folder / "encoder.keras")
        after = classifier.logits(encoder.predict_on_batch(images))
        forgotten.append(np.abs(after - before).mean())
    assert forgotten[1] < forgotten[0]
