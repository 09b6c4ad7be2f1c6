"""What a frame costs, measured on a small bundle."""

from types import SimpleNamespace

import numpy as np
import pytest

from device import Bundle, Recognition, Recognizer
from device.bench import bench, table
from device.bundle import Contents, write_bundle
from device.head import Head
from device.metadata import Input, Metadata
from device.runtime import runtime_name


@pytest.fixture(scope="module")
def figures(bundle):
    return bench(Recognizer(bundle), seconds=0.3)


def test_every_step_is_measured(figures, bundle):
    assert set(figures) == {"bundle", "runtime", "beam", "rounds", "milliseconds", "ratio"}
    assert (figures["bundle"], figures["runtime"], figures["beam"]) == (str(bundle), runtime_name(), 2)
    assert figures["rounds"] > 1
    assert list(figures["milliseconds"]) == ["invoke", "next_word", "preprocess", "encode", "caption", "classify",
                                             "total", "frame"]
    for step in figures["milliseconds"].values():
        assert 0 < step["median"] <= step["p90"]


def test_a_frame_is_more_than_encode_and_less_than_all(figures):
    median = {name: step["median"] for name, step in figures["milliseconds"].items()}
    assert median["encode"] < median["frame"] < median["total"]
    assert figures["ratio"] == round(median["frame"] / median["invoke"], 3)


def test_a_frame_is_encode_caption_and_classify(bundle, monkeypatch):
    recognizer, widths = Recognizer(bundle), []
    stages = {"preprocess": 1.0, "encode": 2.0, "caption": 4.0, "classify": 8.0, "total": 15.0}
    monkeypatch.setattr(Recognizer, "__call__", lambda *_: Recognition(None, (), (), stages))
    monkeypatch.setattr(recognizer.model, "next_word", lambda history, context: widths.append(history.shape))
    milliseconds = bench(recognizer, seconds=0.01)["milliseconds"]
    assert milliseconds["frame"] == {"median": 14.0, "p90": 14.0}
    assert milliseconds["classify"] == {"median": 8.0, "p90": 8.0}
    assert set(widths) == {(2, 2)}  # the beam's width, and the words before in an order of 3


def test_invoke_is_the_encoders(figures):
    median = {name: step["median"] for name, step in figures["milliseconds"].items()}
    # No other graph of this bundle takes a tenth of the encoder's time.
    assert 0.2 < median["invoke"] / median["encode"] < 4


def test_a_bundle_without_a_captioner_has_no_next_word(tmp_path):
    keras = pytest.importorskip("keras")
    from convert.graph import convert_graph
    metadata = Metadata("silent", input=Input(64, 64))
    encoder = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Conv2D(32, 3),
                                keras.layers.GlobalAveragePooling2D()])
    head = Head(np.eye(32, 2, dtype=np.float32), None, np.zeros(2, np.float32))
    model = SimpleNamespace(encoder=encoder, head=head, captioner=None, labels=("cat", "cup"),
                            metadata=metadata)
    write_bundle(tmp_path / "silent.tflite", Contents(convert_graph(model, 1), metadata, model.labels, None))
    figures = bench(Recognizer(Bundle(tmp_path / "silent.tflite")), seconds=0.1)
    assert list(figures["milliseconds"]) == ["invoke", "preprocess", "encode", "caption", "classify", "total", "frame"]
    assert figures["milliseconds"]["encode"]["median"] > 0


def test_the_table_holds_the_figures():
    figures = {"bundle": "some.tflite", "runtime": "ai-edge-litert 2.3.0", "beam": 3, "rounds": 120, "ratio": 1.246,
               "milliseconds": {"invoke": {"median": 10.004, "p90": 12.345}, "frame": {"median": 1234.5, "p90": 0.018}}}
    assert table(figures) == [
        "some.tflite, beam 3, ai-edge-litert 2.3.0, 120 rounds",
        "milliseconds    median       p90",
        "invoke           10.00     12.35",
        "frame          1234.50      0.02",
        "a frame takes 1.25 times the bare encoder's invoke"]
