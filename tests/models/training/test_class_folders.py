"""Class folders become a classifier on a bundle, and bad folders are named."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer, default_bundle
from picaption.device.images import list_images, read_image, write_image
from picaption.models import commands
from picaption.models.training.class_folders import (
    convert_classes,
    train_classes,
    without_shared,
)


@pytest.fixture
def folder(data, tmp_path):
    """Class folders of eight images each, to be changed as one likes."""
    return shutil.copytree(data / "folders", tmp_path / "classes")


@pytest.fixture
def dev(folder, tmp_path):
    """Class folders of two images each, taken out of `folder`, and one more that is not its."""
    for grey, name in enumerate(("astronaut", "cat", "coffee"), 90):
        class_folder = tmp_path / "dev" / name
        class_folder.mkdir(parents=True)
        for path in list_images(folder / name)[:2]:
            shutil.move(path, class_folder)
        write_image(class_folder / "grey.jpg", np.full((40, 40, 3), grey, np.uint8))
    return tmp_path / "dev"


def train(*arguments):
    words = [str(argument) for argument in arguments]
    return commands.train_command.main(words, standalone_mode=False)


def test_class_folders_make_a_bundle_and_a_report(folder, tmp_path, photos, capsys):
    out = tmp_path / "run"
    output = tmp_path / "mine.tflite"
    train("--classes", folder, "--out", out)
    stdout = capsys.readouterr().out
    assert "make a bundle of it with: picaption convert" in stdout and "24 pictures:" in stdout
    figures = json.loads((out / "report.json").read_text())
    assert figures["pictures"] == 24 and figures["top_1"] > 80
    assert min(read_image(out / "confusion.png").shape[:2]) > 300
    assert "What was taken for what" in (out / "mistakes.html").read_text()
    from picaption.convert.commands import convert_command

    convert_command.main([str(out), "--output", str(output)], standalone_mode=False)
    recognizer = Recognizer(output)
    # The new classes have no words that captions could listen to.
    bundle = Bundle(default_bundle())
    bundle.metadata = dataclasses.replace(
        bundle.metadata,
        object_words=(),
        other_things=(),
        guidance=dataclasses.replace(bundle.metadata.guidance, class_weight=0.0, choice_weight=0.0),
        confidence=None,
    )
    base = Recognizer(bundle)
    assert recognizer.model.labels == ("astronaut", "cat", "coffee")
    assert recognizer.model.metadata.name == "mine"
    assert recognizer.model.metadata.provenance["taught"] == {
        "bundle": "everyday",
        "pictures": {"astronaut": 8, "cat": 8, "coffee": 8},
    }
    for name, image in photos.items():
        result = recognizer(image)
        assert result.classes[0].name == name and result.caption == base(image).caption


def test_a_bundle_without_captions_learns_classes_too(class_run, folder, data, tmp_path):
    from picaption.convert.convert import convert

    convert(class_run, tmp_path / "base.tflite", data / "images")
    (folder / "cat").rename(folder / "Katze & Co")
    train_classes(folder, tmp_path / "base.tflite", tmp_path / "run")
    convert_classes(tmp_path / "run", tmp_path / "mine.tflite")
    labels = Recognizer(tmp_path / "mine.tflite").model.labels
    assert labels == ("Katze & Co", "astronaut", "coffee")
    assert "Katze &amp; Co" in (tmp_path / "run" / "mistakes.html").read_text()


def test_dev_folders_are_reported_and_images_in_both_left_out(
    bundle, folder, dev, tmp_path, caplog
):
    twin = shutil.copy(next((dev / "cat").glob("cat_*.jpg")), folder / "cat" / "twin.jpg")
    caplog.set_level("WARNING", "picaption")
    report = train_classes(folder, bundle, tmp_path / "run", dev)
    assert report.images == 9
    assert f"{twin} is the same picture as {dev / 'cat'}" in caplog.text
    assert np.load(tmp_path / "run" / "checked.npz")["counts"].tolist() == [6, 6, 6]


def test_shared_images_are_recognized_by_content(tmp_path):
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(content)
    images = [("x", tmp_path / "a"), ("y", tmp_path / "b")]
    unshared, skipped = without_shared(images, [("x", tmp_path / "c")])
    assert unshared == [("y", tmp_path / "b")]
    assert skipped == [f"{tmp_path / 'a'} is the same picture as {tmp_path / 'c'}"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["recipe.toml", "--classes", "x"], "do not go with --classes"),
        (["--classes", "x", "--set", "epochs=1"], "do not go with --classes"),
        (["--bundle", "x"], "go with --classes"),
        (["--classes", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, message):
    with pytest.raises(PicaptionError, match=message):
        train(*arguments)


def test_other_classes_in_dev_and_runs_of_a_recipe_are_refused(bundle, folder, dev, run, tmp_path):
    with pytest.raises(PicaptionError, match="holds a run of a recipe"):
        train_classes(folder, bundle, run)
    (dev / "cat").rename(dev / "dog")
    with pytest.raises(PicaptionError, match="have different classes: cat, dog"):
        train_classes(folder, bundle, tmp_path / "run", dev)
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_cut_short_is_not_converted(bundle, folder, tmp_path):
    train_classes(folder, bundle, tmp_path / "run")
    (tmp_path / "run" / "checked.npz").unlink()
    with pytest.raises(
        PicaptionError, match="it is not a finished run; call picaption train --classes again"
    ):
        convert_classes(tmp_path / "run", tmp_path / "mine.tflite")
    assert not (tmp_path / "mine.tflite").exists()
