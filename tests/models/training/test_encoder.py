"""Fine-tuning of the encoder: the mean of its runs, averaged with the weights before."""

import csv
import dataclasses

import keras
import numpy as np
import pytest

from picaption.models.run_folder import load_model
from picaption.models.training.encoder import build_network
from picaption.models.training.train import learn_words, load_images, train_encoder
from picaption.models.training.training_run import TrainingRun


def finetune(settings, data, folder, **changes):
    """Go through a run's stages to the fine-tuned encoder."""
    run = TrainingRun(dataclasses.replace(settings, **changes), data, folder)
    keras.utils.set_random_seed(settings.seed)
    for stage in (load_images, learn_words, train_encoder):
        stage(run)


def test_with_no_share_of_the_finetuned_weights_the_encoder_stays_as_it_began(
    data, settings, tmp_path
):
    finetune(settings, data, tmp_path, finetune_share=0.0)
    keras.utils.set_random_seed(settings.seed)
    start = build_network(settings, data).get_weights()
    trained = load_model(tmp_path / "encoder.keras").get_weights()
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


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_dev_images_choose_an_epoch_only_where_no_average_takes_it_back(
    data, settings, tmp_path, share
):
    finetune(settings, data, tmp_path, finetune_share=share)
    with open(tmp_path / "tuned/history.csv", newline="") as file:
        (epoch,) = csv.DictReader(file)
    assert float(epoch["loss"]) > 0 and (epoch["val_loss"] != "NA") == (share == 1)
