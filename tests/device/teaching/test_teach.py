"""New classes taught on the device: recognised, written completely or not at all."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer, default_bundle
from picaption.device.teaching.teach import teach


def test_what_was_taught_is_recognised(folder, tmp_path, photos):
    bundle = default_bundle()
    output, before = tmp_path / "taught.tflite", bundle.read_bytes()
    taught = teach(bundle, folder, output)
    assert (
        taught.image_counts == {"astronaut": 8, "cat": 8, "coffee": 8}
        and taught.skipped == ()
        and taught.held_out_accuracy > 0.8
    )
    # The new classes have no words that captions could listen to.
    unguided = Bundle(bundle)
    unguided.metadata = replace(
        unguided.metadata,
        object_words=(),
        other_things=(),
        guidance=replace(unguided.metadata.guidance, class_weight=0.0, choice_weight=0.0),
        confidence=None,
    )
    recognizer, old = Recognizer(output), Recognizer(unguided)
    metadata = recognizer.model.metadata
    assert (
        recognizer.model.labels == ("astronaut", "cat", "coffee")
        and metadata.head == "single-label"
    )
    assert metadata.name == "taught"
    assert metadata.provenance["taught"] == {
        "bundle": "everyday",
        "pictures": taught.image_counts,
        "share_of_other_things": 0.05,
    }
    for name, image in photos.items():
        found = recognizer(image)
        assert found.classes[0].name == name and sum(
            score.score for score in found.classes
        ) == pytest.approx(1, abs=1e-3)
        assert (found.caption, found.tags) == (old(image).caption, old(image).tags)
    assert bundle.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes", "taught.tflite"]


def test_a_bundle_may_be_taught_in_place_and_again(bundle, folder, tmp_path):
    path = tmp_path / "mine.tflite"
    shutil.copy(bundle, path)
    teach(path, folder, path)
    once = path.read_bytes()
    teach(path, folder, path)
    assert path.read_bytes() == once  # The same pictures make the same bundle; nothing piles up.
    shutil.rmtree(folder / "cat")
    teach(path, folder, path)
    assert Bundle(path).labels == ("astronaut", "coffee")


def test_what_does_not_do_what_was_learned_is_not_written(bundle, folder, tmp_path):
    path = tmp_path / "mine.tflite"
    shutil.copy(bundle, path)
    with pytest.raises(PicaptionError, match="mine.tflite is not written: what it says differs by"):
        teach(path, folder, path, max_difference=-1)
    assert path.read_bytes() == bundle.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["classes", "mine.tflite"]


def test_an_interrupted_teach_leaves_the_old_bundle(bundle, folder, tmp_path):
    path = tmp_path / "mine.tflite"
    shutil.copy(bundle, path)

    def interrupted(pictures):
        yield from pictures[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(path, folder, path, on_progress=interrupted)
    assert path.read_bytes() == bundle.read_bytes()


def test_broken_and_double_pictures_are_left_out_and_named(bundle, folder, tmp_path):
    (folder / "cat" / "cut.jpg").write_bytes((folder / "cat" / "cat_0.jpg").read_bytes()[:500])
    shutil.copy(folder / "cat" / "cat_1.jpg", folder / "cat" / "copy.jpg")
    (folder / "cat" / "notes.txt").write_text("no picture")
    taught = teach(bundle, folder, tmp_path / "taught.tflite")
    assert taught.image_counts["cat"] == 8
    assert taught.skipped == (
        f"{folder}/cat/copy.jpg is the same picture as {folder}/cat/cat_1.jpg",
        f"{folder}/cat/cut.jpg is cut short or damaged; copy it again",
    )


def test_too_few_whole_pictures_are_refused(bundle, folder, tmp_path):
    for path in sorted((folder / "cat").iterdir())[2:]:
        path.write_bytes(path.read_bytes()[:500])
    output = tmp_path / "taught.tflite"
    # The captioner knows what a cat is.
    assert teach(bundle, folder, output).image_counts["cat"] == 2
    output.unlink()
    (folder / "cat").rename(folder / "zarf")
    message = "a class takes 3 different pictures or more: zarf has 2; or --describe it in words"
    with pytest.raises(PicaptionError, match=message):
        teach(bundle, folder, output)
    assert not output.exists()
    taught = teach(bundle, folder, output, descriptions={"zarf": "a brown cat's whiskers"})
    assert taught.image_counts["zarf"] == 2
    assert taught.unknown_words == {"zarf": ("whiskers",)}


def test_names_of_any_language_are_classes(bundle, folder, tmp_path):
    (folder / "cat").rename(folder / "Kätzchen, rot")
    teach(bundle, folder, tmp_path / "taught.tflite")
    assert Bundle(tmp_path / "taught.tflite").labels == ("Kätzchen, rot", "astronaut", "coffee")


def test_classes_are_taught_by_words_alone(photos, tmp_path):
    output = tmp_path / "taught.tflite"
    descriptions = {
        "tiger": "a brown cat",
        "drink": "a cup of coffee on a table",
        "person": "a woman who is smiling at a zarf",
    }
    taught = teach(default_bundle(), None, output, descriptions=descriptions)
    assert taught.image_counts == {"drink": 0, "person": 0, "tiger": 0}
    assert taught.unknown_words == {"person": ("zarf",)}
    recognizer = Recognizer(output)
    best = {name: recognizer(image).classes[0].name for name, image in photos.items()}
    assert best == {"astronaut": "person", "cat": "tiger", "coffee": "drink"}
    taught_by = recognizer.model.metadata.provenance["taught"]
    assert taught_by["descriptions"] == descriptions


def test_one_class_is_told_from_all_other_things(folder, photos, bundle, tmp_path):
    for label in ("astronaut", "coffee"):
        shutil.rmtree(folder / label)
    output = tmp_path / "cat.tflite"
    taught = teach(default_bundle(), folder, output)
    assert taught.image_counts == {"cat": 8} and np.isnan(taught.held_out_accuracy)
    recognizer = Recognizer(output)
    scores = {name: recognizer(image).classes[0].score for name, image in photos.items()}
    assert recognizer.model.labels == ("cat",)
    assert scores["cat"] > 0.9 and scores["coffee"] < 0.3 and scores["astronaut"] < 0.3
    # Without statistics of other things, or where any may have a class, there is nothing to tell.
    for base, share in ((bundle, 0.05), (default_bundle(), 1.0)):
        with pytest.raises(PicaptionError, match="has 1 class folder; it takes two or more"):
            teach(base, folder, tmp_path / "none.tflite", other_share=share)
    assert not (tmp_path / "none.tflite").exists()


def test_a_class_without_a_picture_stands_beside_others_that_have_some(folder, photos, tmp_path):
    output = tmp_path / "taught.tflite"
    shutil.rmtree(folder / "coffee")
    (folder / "coffee").mkdir()  # As `--capture` leaves it where the camera fails.
    taught = teach(default_bundle(), folder, output, descriptions={"coffee": "a cup on a table"})
    assert taught.image_counts == {"astronaut": 8, "cat": 8, "coffee": 0}
    assert taught.held_out_accuracy > 0.8
    recognizer = Recognizer(output)
    for name, image in photos.items():
        assert recognizer(image).classes[0].name == name
