"""Training from end to end on small real data: what it leaves, how it continues."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.models.run_folder import FloatModel
from picaption.models.settings import Settings
from picaption.models.training.captioner import caption_examples
from picaption.models.training.train import describe_bundle, learn_words, load_images, train
from picaption.models.training.training_run import Features, TrainingRun


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


def caption_run(settings: Settings, data: Path, folder: Path) -> TrainingRun:
    """Return a run through the stages before the encoder, with random features."""
    run = TrainingRun(settings, data, folder)
    for stage in (load_images, learn_words, describe_bundle):
        stage(run)
    random = np.random.default_rng(1)
    splits = {
        name: random.random((len(split.records), 4)) for name, split in vars(run.data).items()
    }
    run.train, run.dev = caption_examples(settings, run.data, Features(**splits), run.words)
    return run


@pytest.mark.parametrize("share", [0.5, None])
def test_own_captions_of_labelled_images_are_learned(data, settings, tmp_path, share):
    own = tmp_path / "own.csv"
    own.write_text("image,caption\ncat_0.jpg,A marmalade cat\ncoffee_7.jpg,An espresso\n")
    settings = dataclasses.replace(settings, label_captions=str(own), text="")
    borrowed = 0
    if share:
        settings = dataclasses.replace(settings, text="text.tsv", transfer_share=share)
        borrowed = round(share * 17)
    run = caption_run(settings, data, tmp_path)
    words = run.words.vocabulary.word_ids
    assert "marmalade" in words and "espresso" not in words
    assert run.metadata.provenance["captions"] == {"own": 1, "borrowed": borrowed}
    labelled = run.train.captions[18:]
    assert sum(map(bool, labelled)) == 1 + borrowed and len(labelled) == 18
    position = [record.name for record in run.data.labels.records].index("cat_0.jpg")
    assert [run.words.vocabulary.decode(caption) for caption in labelled[position]] == [
        ("a", "marmalade", "cat")
    ]


def test_labelled_images_without_captions_are_not_learned_from(data, settings, tmp_path):
    run = caption_run(dataclasses.replace(settings, text=""), data, tmp_path)
    assert len(run.train.captions) == 18
    assert "captions" not in run.metadata.provenance


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
