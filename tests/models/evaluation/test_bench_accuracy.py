"""Bench measures class folders as `picaption evaluate` does."""

from picaption.device import Bundle, Recognizer
from picaption.device.bench.accuracy import accuracy_of
from picaption.device.teaching.teach import teach
from picaption.models.data.readers import read_folders
from picaption.models.evaluation.evaluate import evaluate_classes


def test_class_folders_are_measured_as_evaluate_does(bundle, data, tmp_path):
    path = tmp_path / "taught.tflite"
    teach(bundle, data / "folders", path)
    accuracy = accuracy_of(data / "folders", path, "", 2)
    figures = evaluate_classes(Recognizer(Bundle(path)), read_folders(data / "folders")).figures
    assert accuracy == {"model": str(path), "beam": 2} | {
        name: figures[name] for name in ("pictures", "top_1", "top_3")
    }
    assert accuracy["pictures"] == 24
    assert accuracy["top_1"] > 50
