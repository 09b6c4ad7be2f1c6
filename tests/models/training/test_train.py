"""Training from end to end on small real data: what it leaves, how it continues."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.models.data import caption_transfer, paraphrases
from picaption.models.data.readers import Record, label_matrix
from picaption.models.evaluation.object_hallucination import object_phrases
from picaption.models.run_folder import FloatModel
from picaption.models.settings import Settings
from picaption.models.training.captioner import caption_examples
from picaption.models.training.train import (
    absent_classes,
    describe_bundle,
    learn_words,
    load_images,
    synthesize_images,
    train,
    train_captioner_by_cross_entropy,
    train_captioner_on_reward,
)
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
        name: random.random((len(split.records), 4))
        for name, split in vars(run.data).items()
        if split
    }
    run.train, run.dev = caption_examples(settings, run.data, Features(**splits), run.words)
    return run


def test_missing_weights_are_told_at_once_with_what_makes_them(data, settings, tmp_path):
    wanting = dataclasses.replace(settings, network="efficientnet_lite0", weights="lite0.npz")
    with pytest.raises(PicaptionError) as raised:
        train(wanting, data, tmp_path / "run")
    assert str(raised.value).startswith(f"weights = 'lite0.npz': there is no {data / 'lite0.npz'};")
    assert "import_efficientnet CHECKPOINT.pth" in str(raised.value)
    assert not (tmp_path / "run").exists()


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


def test_captions_without_images_are_learned(data, settings, tmp_path, caplog):
    plain = tmp_path / "plain.txt"
    captions = ["a photo of a cat on a desk", "a cat on a desk", "A cat lies on a desk."]
    plain.write_text("\n".join([*captions, "a zyzzyva", "", "a cat sits on a desk"]))
    settings = dataclasses.replace(
        settings,
        synthetic_per_image=0.5,
        text="",
        transfer_share=1.0,
        plain_text=str(plain),
        plain_text_captions=3,
        scst_absent_penalty=1.0,
        scst_epochs=1,
        epochs=1,
    )
    run = caption_run(settings, data, tmp_path)
    with caplog.at_level("INFO"):
        synthesize_images(run)
    assert "images that are known by their captions alone: 1" in caplog.text
    assert run.synthetic.captions == [
        [run.words.vocabulary.encode(caption.lower().strip(".").split()) for caption in captions]
    ]
    train_captioner_by_cross_entropy(run)
    assert (tmp_path / "worded" / "tagger.keras").exists()
    train_captioner_on_reward(run)
    assert len((tmp_path / "rewarded" / "dev.txt").read_text().split()) == 2
    plain.write_text("\n".join(captions[:2]))
    with pytest.raises(PicaptionError, match="have no image with 3 captions"):
        synthesize_images(run)


def test_paraphrases_are_learned_beside_own_captions(data, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(paraphrases, "COMMON", 1.0)
    monkeypatch.setattr(paraphrases, "MIN_CAPTIONS", 1)
    (tmp_path / "own.csv").write_text("image,caption\ncat_0.jpg,A cat sits on a sofa\n")
    # The dog is neither a label of the image nor in its own caption.
    (tmp_path / "text.tsv").write_text(
        "1\tcat\ta cat sits on a sofa asleep\n2\tcat,dog\ta cat and a dog sit on a sofa\n"
        "3\tspoon\tmany spoons\n"
    )
    settings = dataclasses.replace(
        settings,
        label_captions=str(tmp_path / "own.csv"),
        text=str(tmp_path / "text.tsv"),
        paraphrases=4,
        tags=100,
    )
    run = caption_run(settings, data, tmp_path)
    records = {record.name: record for record in run.data.labels.records}
    assert records["cat_0.jpg"].paraphrases == ("a cat sits on a sofa asleep",)
    assert records["cat_1.jpg"].paraphrases == ()
    row = 18 + list(records).index("cat_0.jpg")
    assert len(run.train.captions[row]) == 2
    tags = dict(zip(run.words.tags, run.train.tags[row]))
    assert tags["sofa"] == 1
    # What a paraphrase adds is no tag of the image.
    assert tags.get("asleep", 0) == 0


def test_captions_of_labelled_dev_images_choose_too(data, settings, tmp_path):
    name = (data / "dev.txt").read_text().split()[0]
    (tmp_path / "dev.csv").write_text(f"image,caption\n{name},A cat\n")
    settings = dataclasses.replace(
        settings,
        label_captions=settings.captions,
        label_dev_captions=str(tmp_path / "dev.csv"),
    )
    run = caption_run(settings, data, tmp_path)
    captions = [run.words.vocabulary.decode(caption) for caption in run.dev.captions[-1]]
    assert captions == [("a", "cat")]
    assert len(run.dev.captions) == len(run.data.captions_dev.records) + 1
    assert len(run.dev.inputs) == len(run.dev.captions)


def test_images_with_a_name_are_learned_from_and_counted(data, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(caption_transfer, "MIN_NAMED", 3)
    (tmp_path / "more.tsv").write_text(
        "x1\tvinvl\tan espresso with a dog\nx2\tvinvl\tan espresso\nx3\tvinvl\ta hot espresso\n"
    )
    (tmp_path / "names.tsv").write_text("coffee_1.jpg\tn07920052\tespresso\n")
    settings = dataclasses.replace(
        settings,
        more_text=str(tmp_path / "more.tsv"),
        named_labels=str(tmp_path / "names.tsv"),
        named_images="images",
        named_words="imagenet",
    )
    run = caption_run(settings, data, tmp_path)
    assert "espresso" in run.words.vocabulary.word_ids
    assert run.metadata.provenance["pictures"]["named"] == 1
    assert run.metadata.provenance["captions"] == {
        "own": 0,
        "borrowed": 18,
        "borrowed by name": 1,
    }
    assert {
        " ".join(run.words.vocabulary.decode(caption)) for caption in run.train.captions[-1]
    } == {"an espresso with a dog", "an espresso", "a hot espresso"}
    assert len(run.train.captions) == 18 + 18 + 1


def test_only_captions_that_name_labels_are_borrowed(data, settings, tmp_path):
    (tmp_path / "text.tsv").write_text("1\tcat,cup\ta cat beside a cup\n2\tcat\ta cat\n")
    settings = dataclasses.replace(
        settings, text=str(tmp_path / "text.tsv"), transfer_filter="labels"
    )
    records = caption_run(settings, data, tmp_path).data.labels.records
    captions = {record.name: record.captions for record in records}
    assert captions["cat_0.jpg"] == ("a cat",)
    # Nothing else is known of a cup.
    assert captions["coffee_0.jpg"] == () and captions["astronaut_0.jpg"] == ()


def test_an_encoder_from_elsewhere_needs_no_captioner_of_its_own(run, data, settings, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(run / "encoder.keras", folder)
    train(dataclasses.replace(settings, epochs=1), data, folder)
    assert (folder / "finished").exists() and not (folder / "tuned").exists()


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


def test_absent_classes_are_those_that_nothing_speaks_for():
    classes = ("bed", "cat", "cup", "dog")
    phrases = object_phrases(classes)
    record = Record("x", Path("x"), ("a kitten",), ("dog",), unknown=("cup",))
    assert absent_classes(record, classes, phrases) == {"bed"}
    borrowed = dataclasses.replace(record, borrowed=True)
    assert absent_classes(borrowed, classes, phrases) == {"bed", "cat"}
    assert absent_classes(dataclasses.replace(record, labels=()), classes, phrases) == frozenset()
    assert absent_classes(Record("x", Path("x"), (), ("barn",)), (), phrases) == frozenset()


def test_partly_labelled_images_train_every_stage(data, settings, tmp_path):
    rooms = tmp_path / "rooms"
    (rooms / "images").mkdir(parents=True)
    for part in range(2):
        shutil.copy(data / "images" / f"coffee_{part}.jpg", rooms / "images")
    (rooms / "labels.tsv").write_text("coffee_0.jpg\tcup\ncoffee_1.jpg\tcup,lamp\n")
    (rooms / "classes_known.txt").write_text("cup\n")
    settings = dataclasses.replace(
        settings,
        partly_labelled=f"{rooms}",
        finetune_epochs=1,
        epochs=1,
        scst_absent_penalty=1.0,
        scst_captions_epochs=1,
    )
    train(settings, data, tmp_path / "run")
    # The dev rewards of the images of `captions` before the one epoch and after it.
    rewards = (tmp_path / "run" / "rewarded_captions" / "dev.txt").read_text().split()
    assert len(rewards) == 2 and all(float(reward) > 0 for reward in rewards)
    run = caption_run(settings, data, tmp_path / "run")
    assert run.classes == ("cat", "cup", "person", "spoon")
    matrix = label_matrix(run.data.labels.records[-2:], run.classes)
    np.testing.assert_array_equal(matrix, [[np.nan, 1, np.nan, np.nan]] * 2)
    assert run.data.labels.records[-1].labels == ("cup",)
    assert all(record.captions for record in run.data.labels.records[-2:])
    with np.load(tmp_path / "run" / "classifier.npz") as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in ("features", "words", "bias"))
