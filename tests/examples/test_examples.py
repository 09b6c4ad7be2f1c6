"""The programs in examples/ run as their first lines say, on small real inputs."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from picaption.device import Recognizer
from picaption.device.images import read_image, write_image
from tests.tiny import DEMO, cut_part

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


def run(name, *arguments):
    """Run an example and return what it prints."""
    result = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_short_and_begins_with_its_command(path):
    text = path.read_text()
    assert len(text.splitlines()) < 40
    docstring = ast.get_docstring(ast.parse(text))
    assert f"python examples/{path.name} " in docstring.splitlines()[0]
    result = subprocess.run([sys.executable, path], capture_output=True, text=True)
    assert result.returncode == 1 and result.stderr.startswith(f"usage: {path.name} ")


def test_a_photo_is_captioned():
    caption, *tags = run("caption_photo.py", DEMO / "cat.jpg").splitlines()
    assert "cat" in caption.split()
    scores = [float(tag.split()[0]) for tag in tags]
    assert scores[0] <= 1 and scores == sorted(scores, reverse=True)


def test_a_folder_is_captioned_to_json_lines(tmp_path):
    for name in ("cat", "coffee"):
        write_image(tmp_path / f"{name}.jpg", read_image(DEMO / f"{name}.jpg"))
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    records = [json.loads(line) for line in run("caption_folder.py", tmp_path).splitlines()]
    assert [record["path"] for record in records] == [
        str(tmp_path / "cat.jpg"),
        str(tmp_path / "coffee.jpg"),
    ]
    assert "cat" in records[0]["caption"]["words"] and records[0]["version"] == 1


def test_a_live_loop_captions_the_first_scene():
    (line,) = run("live_loop.py", "demo", 5).splitlines()
    assert line.startswith("frame 0: a ")


def test_a_live_loop_ends_with_its_source():
    lines = run("live_loop.py", DEMO, 1000).splitlines()
    assert 1 <= len(lines) <= len(list(DEMO.glob("*.jpg")))


def test_two_classes_are_taught(tmp_path):
    for name in ("cat", "coffee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        image = read_image(DEMO / f"{name}.jpg")
        for part in range(4):
            write_image(tmp_path / "photos" / name / f"{part}.png", cut_part(image, part))
    bundle = tmp_path / "taught.tflite"
    output = run("teach_classes.py", tmp_path / "photos", bundle, DEMO / "cat.jpg").splitlines()
    assert output[:3] == [
        "cat: 4 images",
        "coffee: 4 images",
        "right about images that it was not taught: 100%",
    ]
    assert output[3].startswith(f"{DEMO / 'cat.jpg'}: cat (")
    assert Recognizer(bundle).model.labels == ("cat", "coffee")


def test_a_tflite_classifier_is_wrapped(tmp_path):
    pytest.importorskip("tensorflow")
    from tests.convert.networks import LABELS, classifier_file

    (tmp_path / "trees.tflite").write_bytes(classifier_file())
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n")
    bundle = tmp_path / "bundle.tflite"
    output = run("wrap_tflite.py", tmp_path / "trees.tflite", tmp_path / "labels.txt", bundle)
    assert output == f"{bundle}: 4 classes of images of 32 x 32 pixels\n"
    recognition = Recognizer(bundle)(read_image(DEMO / "cat.jpg"))
    assert recognition.classes[0].name in LABELS and recognition.caption is None
