"""Teaching in many steps is teaching at once, and what cannot be added to says so."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import PicaptionError, Recognizer
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.teaching import keep
from picaption.device.teaching.keep import example_counts, taught_descriptions
from picaption.device.teaching.teach import teach


def move(folder, target, *names):
    """Move classes, or pictures of them, into a folder of class folders beside `folder`."""
    for name in names:
        path = folder.parent / target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (folder / name).rename(path)
    return folder.parent / target


def content(path):
    """Return what a bundle is but for its name."""
    contents = read_bundle(path)
    metadata = replace(contents.metadata, name="")
    return replace(contents, metadata=metadata, vocabulary=None, examples=None)


def test_steps_make_no_difference(bundle, folder, photos, tmp_path):
    together, steps = tmp_path / "together.tflite", tmp_path / "steps.tflite"
    plain = tmp_path / "plain.tflite"
    teach(bundle, folder, plain)
    teach(bundle, folder, together, keep=True)
    more = move(folder, "more", "coffee", "cat/cat_3.jpg", "cat/cat_5.jpg")
    first = teach(bundle, folder, steps, keep=True)
    assert (first.image_counts, len(first.stored)) == ({"astronaut": 8, "cat": 6}, 14)
    second = teach(steps, more, steps, add=True)
    assert second.image_counts == {"astronaut": 8, "cat": 8, "coffee": 8}
    assert content(steps) == content(together)  # To the last bit of the graph.
    assert example_counts(read_bundle(steps)) == second.image_counts
    # What is rounded says what is not.
    rounded, exact = Recognizer(steps), Recognizer(plain)
    for image in photos.values():
        scores = exact.class_scores(image)
        np.testing.assert_allclose(rounded.class_scores(image), scores, atol=0.05)


def test_descriptions_are_kept_too(bundle, folder, tmp_path):
    path = tmp_path / "mine.tflite"
    more = move(folder, "more", "coffee")
    descriptions = {"cat": "a brown face", "table": "a table with a spoon"}
    teach(bundle, folder, path, keep=True, descriptions=descriptions)
    assert read_bundle(path).labels == ("astronaut", "cat", "table")
    added = teach(path, more, path, add=True, descriptions={"cat": "an orange face"})
    assert added.image_counts == {"astronaut": 8, "cat": 8, "coffee": 8, "table": 0}
    expected = {"cat": "an orange face", "table": "a table with a spoon"}
    assert taught_descriptions(read_bundle(path)) == expected


def test_a_picture_that_is_kept_is_not_added_twice(bundle, folder, tmp_path):
    path = tmp_path / "mine.tflite"
    teach(bundle, folder, path, keep=True)
    shutil.rmtree(folder / "coffee")
    again = teach(path, folder, path, add=True)
    assert again.image_counts == {"astronaut": 8, "cat": 8, "coffee": 8}
    assert len(again.skipped) == 16
    assert again.skipped[0] == (
        f"{folder}/astronaut/astronaut_0.jpg is the same picture as one that is kept"
    )
    before = path.read_bytes()
    (folder / "dog").mkdir()
    for index in range(3):
        shutil.copy(folder / "cat" / f"cat_{index}.jpg", folder / "dog")
    shutil.rmtree(folder / "cat")
    with pytest.raises(PicaptionError, match="is the same picture as one .* keeps of cat: take it"):
        teach(path, folder, path, add=True)
    assert path.read_bytes() == before


def test_what_is_not_kept_cannot_be_added_to(bundle, folder, tmp_path):
    path = tmp_path / "mine.tflite"
    teach(bundle, folder, path, keep=True)
    teach(path, folder, path)  # It forgets what it kept: that would be of other classes.
    assert read_bundle(path).examples is None
    message = "mine.tflite keeps no examples .* teach it once more by all pictures, with --keep-ex"
    with pytest.raises(PicaptionError, match=message):
        teach(path, folder, path, add=True)


def test_examples_of_another_encoder_are_refused(bundle, folder, tmp_path):
    path = tmp_path / "mine.tflite"
    teach(bundle, folder, path, keep=True)
    contents = read_bundle(path)
    features = contents.examples.feature_steps[:, 1:]
    foreign = replace(contents, examples=replace(contents.examples, feature_steps=features))
    write_bundle(path, foreign)
    with pytest.raises(PicaptionError, match="are not of its own encoder and captioner"):
        teach(path, folder, path, add=True)


def test_kept_examples_are_bounded(bundle, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "MAX_MEMBER_BYTES", 300)
    with pytest.raises(PicaptionError, match="24 examples take 0.0 MB, and a bundle keeps 0.0 MB"):
        teach(bundle, folder, tmp_path / "mine.tflite", keep=True)
    assert not (tmp_path / "mine.tflite").exists()


def test_hostile_notes_of_descriptions_are_left_out(bundle):
    contents = read_bundle(bundle)
    label = contents.labels[0]
    for notes in ("x", {"descriptions": "x"}, {"descriptions": {label: 3, "zarf": "a cup"}}):
        metadata = replace(contents.metadata, provenance={"taught": notes})
        assert taught_descriptions(replace(contents, metadata=metadata)) == {}
