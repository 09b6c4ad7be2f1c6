"""Training from end to end on small real data: what it leaves, how it continues."""

import dataclasses
import shutil

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.models.run_folder import FloatModel
from picaption.models.training.train import train


def test_a_run_captions_as_its_bundle_does(run, bundle, photos):
    in_training = Recognizer(FloatModel(run))
    on_device = Recognizer(bundle)
    same = [
        in_training(image).caption.text == on_device(image).caption.text
        for image in photos.values()
    ]
    assert sum(same) >= len(same) - 1  # up to quantization
    for image in photos.values():
        np.testing.assert_allclose(
            in_training.class_scores(image), on_device.class_scores(image), atol=0.05
        )


def test_a_finished_run_is_not_trained_again(run, data, settings):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.keras")}
    train(settings, data, run)
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*.keras")}


def test_an_interrupted_run_continues_with_the_stage_that_is_missing(run, data, settings, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "classifier.npz").unlink()
    (folder / "finished").unlink()
    encoder_written = (folder / "encoder.keras").stat().st_mtime_ns
    train(settings, data, folder)
    assert (folder / "classifier.npz").exists()
    assert (folder / "encoder.keras").stat().st_mtime_ns == encoder_written


def test_a_folder_of_another_run_is_refused(run, data, settings):
    with pytest.raises(PicaptionError, match="other settings"):
        train(dataclasses.replace(settings, seed=99), data, run)


def test_class_folders_make_a_single_label_bundle_without_captions(
    data, class_run, tmp_path, photos
):
    from picaption.convert.convert import convert

    convert(class_run, tmp_path / "folders.tflite", data / "images")
    recognizer = Recognizer(tmp_path / "folders.tflite")
    assert recognizer.model.metadata.head == "single-label"
    assert recognizer.model.labels == ("astronaut", "cat", "coffee")
    result = recognizer(photos["coffee"])
    assert result.caption is None and result.tags == ()
    assert sum(score.score for score in result.classes) == pytest.approx(1, abs=0.02)


def test_a_bundle_has_the_words_of_its_run(run, bundle):
    model = FloatModel(run)
    converted = Bundle(bundle)
    assert converted.labels == model.labels
    assert converted.vocabulary.words == model.vocabulary.words
    assert converted.metadata == model.metadata
