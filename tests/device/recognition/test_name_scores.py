"""Names on the device: a bundle that has them says what is certain, one without says nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import PicaptionError, Recognizer
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.classifier_graph import with_names
from picaption.device.bundle.names import NamedClass
from picaption.device.recognition.classifier import Classifier, probabilities
from picaption.device.recognition.result import Score
from picaption.device.recognition.scene import SceneTracker
from tests.tiny import TINY_BUNDLE

NAMES = (
    NamedClass("1", "tabby cat", (), ("cat", "animal")),
    NamedClass("2", "Egyptian cat", (), ("cat", "animal")),
    NamedClass("3", "dog", (), ("animal",)),
)
IMAGE = np.full((64, 64, 3), 90, np.uint8)


def write_named(path, weights, names=NAMES, threshold=0.5):
    """Write the small bundle with names by a classifier of raw features."""
    contents = read_bundle(TINY_BUNDLE)
    write_bundle(
        path,
        replace(
            contents,
            graph=with_names(contents.graph, weights),
            names=names,
            metadata=replace(contents.metadata, name_threshold=threshold),
        ),
    )
    return path


def by_bias(*scores):
    """Return weights by which every image has these probabilities."""
    width = Bundle(TINY_BUNDLE).encode(IMAGE).features.shape[1]
    weights = np.zeros((width, len(scores)), np.float32)
    return Classifier(weights, None, np.log(np.array(scores, np.float32)), raw=True)


def test_the_graph_computes_the_names(tmp_path):
    features = Bundle(TINY_BUNDLE).encode(IMAGE).features
    random = np.random.default_rng(1)
    weights = random.normal(0, 0.1, (features.shape[1], 3)).astype(np.float32)
    classifier = Classifier(weights, None, np.array([0.5, -1, 0], np.float32), raw=True)
    named = Bundle(write_named(tmp_path / "named.tflite", classifier))
    expected = probabilities(classifier.logits(features), multi_label=False)[0]
    np.testing.assert_allclose(named.name_scores(features), expected, atol=0.02)
    # All else is as it was.
    before = Recognizer(TINY_BUNDLE)(IMAGE)
    after = Recognizer(named)(IMAGE)
    assert (after.caption, after.classes, after.tags) == (
        before.caption,
        before.classes,
        before.tags,
    )


def test_a_recognition_names_what_is_certain(tmp_path):
    path = write_named(tmp_path / "named.tflite", by_bias(0.375, 0.5, 0.125), threshold=0.75)
    recognition = Recognizer(path)(IMAGE)
    assert [name.name for name in recognition.names] == ["cat", "animal"]
    assert recognition.names[0].score == pytest.approx(0.875, abs=1e-3)
    assert list(recognition.timings) == [
        "preprocess",
        "encode",
        "names",
        "classify",
        "caption",
        "total",
    ]


def test_a_bundle_without_names_has_none():
    recognition = Recognizer(TINY_BUNDLE)(IMAGE)
    assert recognition.names == () and "names" not in recognition.timings


def test_names_are_averaged_within_a_scene(tmp_path):
    path = write_named(tmp_path / "named.tflite", by_bias(0.125, 0.125, 0.75))
    seconds = iter([0.0, 0.0, 0.0, math.log(2), math.log(2)])
    tracker = SceneTracker(Recognizer(path), smoothing=1.0, clock=lambda: next(seconds))
    assert [name.name for name in tracker(IMAGE).names] == ["dog", "animal"]
    tracker.classify(Recognizer(path).encode(IMAGE))
    # Halfway to this frame's scores: 0.5625, 0.0625 and 0.375.
    names = tracker.smooth_names(np.array([1, 0, 0], np.float32))
    assert [name.name for name in names] == ["tabby cat", "cat", "animal"]
    assert names[0].score == pytest.approx(0.5625, abs=1e-3)


def test_a_name_stands_in_where_no_class_is_certain():
    recognition = Recognizer(TINY_BUNDLE)(IMAGE)
    names = (Score("laptop", 0.75), Score("computer", 0.875))
    assert replace(recognition, names=names, unsure=True).substitute_name == names[0]
    assert replace(recognition, names=names, unsure=False).substitute_name is None
    assert replace(recognition, names=names, unsure=False, classes=()).substitute_name == names[0]
    assert replace(recognition, names=(), unsure=True).substitute_name is None


@pytest.mark.parametrize(
    "names, message",
    [
        (NAMES[:2], r"name's scores is float32 \[1, 3\], .* promise float32 \[1, 2\]"),
        ((), "it has names without a signature for them, or a signature name without names"),
    ],
)
def test_names_that_do_not_fit_the_graph_are_refused(tmp_path, names, message):
    path = write_named(tmp_path / "wrong.tflite", by_bias(0.5, 0.25, 0.25), names)
    with pytest.raises(PicaptionError, match=message):
        Bundle(path)
