"""The quality that stands beside the speed is that of the bundle that is measured."""

import hashlib
import json

import pytest

from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.device.bench.accuracy import accuracy_of, measure_accuracy, read_accuracy
from picaption.device.bundle.bundle import default_bundle
from picaption.device.recognition.teach import teach
from picaption.models.data.readers import read_folders
from picaption.models.evaluation.evaluate import evaluate_classes


def test_accuracy_is_that_of_the_same_bundle(tmp_path):
    path, digest = tmp_path / "e.json", bench_digest()
    told = {
        "model": str(default_bundle()),
        "beam": 3,
        "pictures": 9,
        "CIDEr": 54.0,
        "classes": {"cat": 1},
        "skipped": [],
        "milliseconds": {"encode": 4},
    }
    path.write_text(json.dumps(told))
    assert read_accuracy(path, digest, 3) == {
        "model": str(default_bundle()),
        "beam": 3,
        "pictures": 9,
        "CIDEr": 54.0,
    }
    with pytest.raises(PicaptionError, match="another bundle than the one that is measured"):
        read_accuracy(path, "0" * 64, 3)
    for text, said in (
        (json.dumps(told | {"model": "gone.tflite"}), "gone.tflite, which cannot be read"),
        ("[1]", "write it anew"),
        ("{", "holds no JSON"),
        ("{}", "is not what picaption evaluate --json writes"),
    ):
        path.write_text(text)
        with pytest.raises(PicaptionError, match=said):
            read_accuracy(path, digest, 3)
    path.write_text(json.dumps(told))
    with pytest.raises(
        PicaptionError, match="about a beam of 3, this measures one of 5: give both the same --beam"
    ):
        read_accuracy(path, digest, 5)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(PicaptionError, match="holds no JSON"):
        read_accuracy(path, digest, 3)


def bench_digest():
    return hashlib.sha256(default_bundle().read_bytes()).hexdigest()


def test_class_folders_are_measured_as_evaluate_does(bundle, data, tmp_path):
    taught = tmp_path / "taught.tflite"
    teach(bundle, data / "folders", taught)
    found = accuracy_of(data / "folders", taught, None, 2)
    figures = evaluate_classes(Recognizer(Bundle(taught)), read_folders(data / "folders"))
    assert found == {"model": str(taught), "beam": 2} | {
        name: figures[name] for name in ("pictures", "top_1", "top_3")
    }
    assert found["pictures"] == 24 and found["top_1"] > 50


def test_folders_that_do_not_measure_a_bundle_are_told(bundle, data, tmp_path):
    with pytest.raises(
        PicaptionError,
        match="folders: .* tells no class called astronaut, coffee, which folders do not measure",
    ):
        measure_accuracy(data / "folders", bundle, 2)
    with pytest.raises(
        PicaptionError, match="it takes two or more, a folder of pictures for each class"
    ):
        measure_accuracy(tmp_path, bundle, 2)
