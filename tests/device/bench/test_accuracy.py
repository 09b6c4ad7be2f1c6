"""The quality that stands beside the speed is that of the bundle that is measured."""

import hashlib
import json

import pytest

from picaption.device import PicaptionError
from picaption.device.bench.accuracy import measure_accuracy, read_accuracy
from picaption.device.bundle.bundle import default_bundle


def test_accuracy_is_that_of_the_same_bundle(tmp_path):
    path = tmp_path / "e.json"
    digest = hashlib.sha256(default_bundle().read_bytes()).hexdigest()
    figures = {
        "model": str(default_bundle()),
        "beam": 3,
        "pictures": 9,
        "CIDEr": 54.0,
        "classes": {"cat": 1},
        "skipped": [],
        "milliseconds": {"encode": 4},
    }
    path.write_text(json.dumps(figures))
    assert read_accuracy(path, digest, 3) == {
        "model": str(default_bundle()),
        "beam": 3,
        "pictures": 9,
        "CIDEr": 54.0,
    }
    with pytest.raises(PicaptionError, match="another bundle than the one that is measured"):
        read_accuracy(path, "0" * 64, 3)
    for text, message in (
        (json.dumps(figures | {"model": "gone.tflite"}), "gone.tflite, which cannot be read"),
        ("[1]", "write it again"),
        ("{", "holds no JSON"),
        ("[" * 100_000, "holds no JSON"),
        ("9" * 5000, "holds no JSON"),
        ("{}", "is not what picaption evaluate --json writes"),
    ):
        path.write_text(text)
        with pytest.raises(PicaptionError, match=message):
            read_accuracy(path, digest, 3)
    path.write_text(json.dumps(figures))
    with pytest.raises(
        PicaptionError, match="about a beam of 3, this measures one of 5: give both the same --beam"
    ):
        read_accuracy(path, digest, 5)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(PicaptionError, match="holds no JSON"):
        read_accuracy(path, digest, 3)


def test_folders_that_do_not_measure_a_bundle_are_told(data, tmp_path):
    with pytest.raises(
        PicaptionError,
        match="folders: .* tells no class called astronaut, coffee, which folders do not measure",
    ):
        measure_accuracy(data / "folders", default_bundle(), 2)
    with pytest.raises(
        PicaptionError, match="it takes two or more, a folder of pictures for each class"
    ):
        measure_accuracy(tmp_path, default_bundle(), 2)
