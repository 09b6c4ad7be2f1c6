"""Class folders become a classifier on a bundle, with a report whose figures are right, and bad folders are named."""

import json
import shutil

import numpy as np
import pytest

from picaption.device import PicaptionError, Recognizer, default_bundle
from picaption.device.images import list_images, read_image, write_image
from picaption.models import commands
from picaption.models.evaluation.class_folders import (
    convert_classes,
    figures_of,
    table,
    train_classes,
    without,
)


@pytest.fixture
def folder(data, tmp_path):
    """Class folders of eight pictures each, to be changed as one likes."""
    return shutil.copytree(data / "folders", tmp_path / "classes")


@pytest.fixture
def dev(folder, tmp_path):
    """Class folders of two pictures each, taken out of `folder`, and one more that is none of its."""
    for path in (
        path for name in ("astronaut", "cat", "coffee") for path in list_images(folder / name)[:2]
    ):
        (tmp_path / "dev" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.move(path, tmp_path / "dev" / path.parent.name)
    for number, kind in enumerate((tmp_path / "dev").iterdir()):
        write_image(kind / "grey.jpg", np.full((40, 40, 3), 90 + number, np.uint8))
    return tmp_path / "dev"


def train(*arguments):
    return commands.train_command.main([str(argument) for argument in arguments], standalone_mode=False)


def test_class_folders_make_a_bundle_and_a_report(folder, tmp_path, photos, capsys):
    out, output = tmp_path / "run", tmp_path / "mine.tflite"
    train("--classes", folder, "--out", out)
    told = capsys.readouterr().out
    assert "make a bundle of it with: picaption convert" in told and "24 pictures:" in told
    figures = json.loads((out / "report.json").read_text())
    assert figures["pictures"] == 24 and figures["top_1"] > 80
    assert min(read_image(out / "confusion.png").shape[:2]) > 300
    assert "What was taken for what" in (out / "mistakes.html").read_text()
    from picaption.convert.commands import convert_command as convert

    convert.main([str(out), "--output", str(output)], standalone_mode=False)
    recognizer, base = Recognizer(output), Recognizer(default_bundle())
    assert recognizer.model.labels == ("astronaut", "cat", "coffee")
    assert recognizer.model.metadata.provenance["taught"] == {
        "pictures": {"astronaut": 8, "cat": 8, "coffee": 8}
    }
    for name, image in photos.items():
        found = recognizer(image)
        assert found.classes[0].name == name and found.caption == base(image).caption


def test_a_bundle_without_captions_learns_classes_too(class_run, folder, data, tmp_path):
    from picaption.convert.convert import convert

    convert(class_run, tmp_path / "base.tflite", data / "images")
    (folder / "cat").rename(folder / "Katze & Co")
    train_classes(folder, tmp_path / "base.tflite", tmp_path / "run")
    convert_classes(tmp_path / "run", tmp_path / "mine.tflite")
    assert Recognizer(tmp_path / "mine.tflite").model.labels == (
        "Katze & Co",
        "astronaut",
        "coffee",
    )
    assert "Katze &amp; Co" in (tmp_path / "run" / "mistakes.html").read_text()


def test_dev_folders_are_judged_and_what_stands_in_both_is_left_out(
    bundle, folder, dev, tmp_path, caplog
):
    twin = shutil.copy(next((dev / "cat").glob("cat_*.jpg")), folder / "cat" / "twin.jpg")
    caplog.set_level("WARNING", "picaption")
    figures = train_classes(folder, bundle, tmp_path / "run", dev)
    assert (
        figures["pictures"] == 9 and f"{twin} is the same picture as {dev / 'cat'}" in caplog.text
    )
    assert np.load(tmp_path / "run" / "checked.npz")["counts"].tolist() == [6, 6, 6]


def test_what_both_have_is_told_by_content(tmp_path):
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(content)
    kept, shared = without([("x", tmp_path / "a"), ("y", tmp_path / "b")], [("x", tmp_path / "c")])
    assert kept == [("y", tmp_path / "b")] and shared == [
        f"{tmp_path / 'a'} is the same picture as {tmp_path / 'c'}"
    ]


def test_figures_by_hand():
    counts = np.array([[3, 1, 0], [0, 2, 0], [2, 0, 0]])
    truth = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    told = np.array([0, 0, 0, 1, 1, 1, 0, 0])
    figures = figures_of(counts, np.eye(3)[told] * 0.8 + 0.1, truth, ("a", "b", "c"))
    assert (figures["pictures"], figures["top_1"]) == (8, 62.5)
    assert figures["calibration_error"] == pytest.approx(100 * (0.9 - 0.625))
    assert figures["macro_f1"] == pytest.approx(100 * (6 / 9 + 4 / 5 + 0) / 3, abs=0.01)
    assert figures["classes"] == [
        {"class": "a", "pictures": 4, "precision": 60.0, "recall": 75.0},
        {"class": "b", "pictures": 2, "precision": 66.67, "recall": 100.0},
        {"class": "c", "pictures": 2, "precision": 0.0, "recall": 0.0},
    ]
    assert figures["confusions"] == [
        {"true": "c", "told": "a", "pictures": 2},
        {"true": "a", "told": "b", "pictures": 1},
    ]
    lines = table(figures)
    assert (
        lines[1].split() == ["a", "4", "60.0", "75.0"]
        and lines[4] == "taken for another: 2 of c for a"
    )
    assert lines[-1] == "8 pictures: 62.5 % right, macro F1 48.9, expected calibration error 27.5 %"


def test_mistakes_are_shown_the_surest_first(bundle, folder, tmp_path):
    # Pictures that lie in the wrong folder cannot but be told wrongly.
    for path in sorted((folder / "coffee").iterdir())[:1]:
        shutil.move(path, folder / "cat" / "lost & found.jpg")
    figures = train_classes(folder, default_bundle(), tmp_path / "run")
    page = (tmp_path / "run" / "mistakes.html").read_text()
    assert {"true": "cat", "told": "coffee", "pictures": 1} in figures["confusions"]
    assert (
        "lost &amp; found.jpg" in page
        and "told: coffee" in page
        and page.count("<article>") == 24 - round(24 * figures["top_1"] / 100)
    )


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


def test_other_classes_in_dev_and_foreign_runs_are_refused(bundle, folder, dev, run, tmp_path):
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
        PicaptionError, match="no finished run; call picaption train --classes again"
    ):
        convert_classes(tmp_path / "run", tmp_path / "mine.tflite")
    assert not (tmp_path / "mine.tflite").exists()
