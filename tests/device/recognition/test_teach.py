"""New classes taught on the device: recognised, written completely or not at all."""

import re
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer, default_bundle
from picaption.device.bundle.metadata import Guidance
from picaption.device.images import read_image, write_image
from picaption.device.recognition.teach import (
    capture,
    find_class_images,
    mean_class_accuracy,
    teach,
)
from tests.device.fakes.standins import Counter


@pytest.fixture
def folder(data, tmp_path):
    """Class folders of eight pictures each, to be changed as one likes."""
    return shutil.copytree(data / "folders", tmp_path / "classes")


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
        guidance=Guidance(),
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


def test_the_accuracy_is_the_mean_over_classes():
    truth = np.eye(3, dtype=np.float32)[[0, 0, 0, 0, 1, 1, 2]]
    logits = np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 1, 2, 2]]
    # Of the third class nothing is known: the mean of 3 of 4 and 1 of 2.
    logits[6] = np.nan
    assert mean_class_accuracy(logits, truth) == pytest.approx((0.75 + 0.5) / 2)
    assert np.isnan(mean_class_accuracy(np.full_like(logits, np.nan), truth))


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


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda folder: [path.unlink() for path in sorted((folder / "cat").iterdir())[2:]],
            "a class takes 3 different pictures or more: cat has 2",
        ),
        (
            lambda folder: shutil.copy(folder / "cat" / "cat_1.jpg", folder / "coffee" / "x.jpg"),
            "coffee/x.jpg is the same picture as .*cat/cat_1.jpg: "
            "take it out of one of the two classes",
        ),
        (
            lambda folder: (folder / "cat").rename(folder / "c\nat"),
            "'.*c.*nat': a class is named by its folder",
        ),
        (lambda folder: (folder / "cat").rename(folder / ("c" * 61)), "in 1 to 60 characters"),
        (lambda folder: (folder / "cat").rename(folder / " "), "in 1 to 60 characters"),
        (lambda folder: (folder / "empty").mkdir(), "the folder .*empty holds no pictures"),
        (
            lambda folder: [shutil.rmtree(folder / name) for name in ("cat", "coffee")],
            "has 1 class folder; it takes two or",
        ),
        (lambda folder: shutil.rmtree(folder), "there is no folder"),
    ],
)
def test_folders_that_teach_nothing_are_refused(folder, spoil, message):
    spoil(folder)
    with pytest.raises(PicaptionError, match=message):
        find_class_images(folder)


def test_too_few_whole_pictures_are_refused(bundle, folder, tmp_path):
    for path in sorted((folder / "cat").iterdir())[2:]:
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(
        PicaptionError, match="a class takes 3 different pictures or more: cat has 2"
    ):
        teach(bundle, folder, tmp_path / "taught.tflite")
    assert not (tmp_path / "taught.tflite").exists()


def test_names_of_any_language_are_classes(bundle, folder, tmp_path):
    (folder / "cat").rename(folder / "Kätzchen, rot")
    teach(bundle, folder, tmp_path / "taught.tflite")
    assert Bundle(tmp_path / "taught.tflite").labels == ("Kätzchen, rot", "astronaut", "coffee")


def test_pictures_are_taken_and_none_is_written_over(tmp_path):
    folder = tmp_path / "cup"
    folder.mkdir()
    write_image(folder / "0001.jpg", np.zeros((8, 8, 3), np.uint8))
    paths = capture(Counter(50), folder, 3, 0)
    assert [path.name for path in paths] == ["0000.jpg", "0002.jpg", "0003.jpg"]
    assert not read_image(folder / "0001.jpg").any() and read_image(folder / "0003.jpg").shape == (
        24,
        32,
        3,
    )
    assert len(capture(Counter(2), tmp_path / "new", 3, 0)) == 2  # The camera ended.


def test_a_picture_is_of_its_moment(tmp_path, monkeypatch):
    camera = Counter(1000)
    # A clock on which the camera takes 64 frames a second.
    clock = SimpleNamespace(monotonic=lambda: camera.number / 64)
    monkeypatch.setattr("picaption.device.recognition.teach.time", clock)
    first, second = capture(camera, tmp_path / "cup", 2, 0.25)
    # Frames that came meanwhile were read and let go.
    assert camera.number == 32
    assert (read_image(first).mean(), read_image(second).mean()) == (15, 31)


# --- picaption teach


ROOT = Path(__file__).parents[3]
COMMAND = [
    sys.executable,
    "-c",
    "from picaption.device import cli, commands; cli.main(None, commands.teach_command)",
]


def test_five_classes_of_five_pictures_take_seconds_and_little_memory(photos, tmp_path):
    for number in range(5):
        (tmp_path / f"class {number}").mkdir()
        image = list(photos.values())[number % 3]
        for part in range(5):
            height, width = image.shape[:2]
            top, left = height * part // 12, width * number // 12
            write_image(
                tmp_path / f"class {number}" / f"{part}.jpg",
                image[top : top + height // 2, left : left + width // 2],
            )
    # Of its own memory alone: what a child of this process has used counts this process' too.
    program = COMMAND[-1].replace(
        "; ",
        "; import atexit; atexit.register(lambda: print(open('/proc/self/status').read())); ",
        1,
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            str(tmp_path),
            "--output",
            str(tmp_path / "new.tflite"),
            "--threads",
            "1",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0 and len(Bundle(tmp_path / "new.tflite").labels) == 5
    # Of processor time, which a busy machine does not change; it takes 3.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 30
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", result.stdout)
    assert 20_000 < int(peak) < 200_000


def test_the_command_says_what_it_did(call, bundle, folder, tmp_path):
    output = tmp_path / "new.tflite"
    code, out, _ = call("teach", folder, "--bundle", bundle, "--output", output)
    lines = out.splitlines()
    assert code == 0 and lines[:3] == [
        "astronaut  8 pictures",
        "cat        8 pictures",
        "coffee     8 pictures",
    ]
    assert (
        lines[3].startswith(f"{output}: ")
        and "of a class' pictures told rightly, on average over the classes, by classifiers "
        "taught without them; "
        in lines[3]
    )


def test_the_command_takes_pictures(call, tmp_path):
    options = ("--capture", "desk", "--count", 2, "--every", 0, "--source", "demo")
    line = f"{tmp_path}/desk: 2 pictures taken by demo\n"
    assert call("teach", tmp_path, *options) == (0, line, "")
    assert len(list((tmp_path / "desk").iterdir())) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["{folder}"],
            "picaption: give --output, the path of the new bundle, or --capture to take pictures",
        ),
        (["{folder}", "--capture", "../x"], "picaption: --capture '../x' is no class name"),
        (["{folder}/none", "--output", "{folder}/x.tflite"], "picaption: there is no folder"),
        (
            ["{folder}", "--output", "{folder}/no/such/x.tflite", "--bundle", "{bundle}"],
            "cannot write the bundle: No such",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(call, bundle, folder, arguments, message):
    words = (argument.format(folder=folder, bundle=bundle) for argument in arguments)
    code, _, errors = call("teach", *words)
    assert code == 2
    assert message in errors.splitlines()[-1]
    assert "Traceback" not in errors
