"""A classifier written into a graph: it computes the head, and leaves all else as it is."""

from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Recognizer
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.classifier_graph import read_name_weights, with_classify, with_names
from picaption.device.bundle.runtime import make_interpreter
from picaption.device.recognition.classifier import Classifier, probabilities


def some_weights(inputs, words, classes, seed=0):
    """Return a Classifier of random weights, and features and word evidence for it."""
    random = np.random.default_rng(seed)

    def normal(*shape):
        return random.normal(size=shape).astype(np.float32)

    head = Classifier(
        3 * normal(inputs, classes), words and normal(words, classes) / 4, normal(classes)
    )
    return head, np.abs(normal(1, inputs)), words and np.abs(normal(words))


@pytest.mark.parametrize("multi_label", (True, False))
def test_the_graph_computes_the_head(bundle, tmp_path, photos, multi_label):
    contents, before = read_bundle(bundle), Bundle(bundle)
    features = before.encode(np.zeros((64, 64, 3), np.uint8)).features.shape[1]
    labels = tuple(f"class {number}" for number in range(7))
    head, image_features, evidence = some_weights(features, len(contents.vocabulary), 7)
    expected = probabilities(head.logits(image_features, evidence[None])[0], multi_label)
    for quantized, off in ((True, 0.03), (False, 1e-5)):
        graph = with_classify(contents.graph, head, multi_label, quantized)
        write_bundle(tmp_path / "new.tflite", replace(contents, graph=graph, labels=labels))
        after = Bundle(tmp_path / "new.tflite")
        np.testing.assert_allclose(after.classify(image_features, evidence), expected, atol=off)
        # What was there before is there still, to the bit.
        encoded_before, encoded_after = (
            model.encode(np.full((64, 64, 3), 90, np.uint8)) for model in (before, after)
        )
        for name in ("features", "context", "tags"):
            np.testing.assert_array_equal(
                getattr(encoded_before, name), getattr(encoded_after, name)
            )
        assert with_classify(graph, head, multi_label, quantized) == graph  # Nothing piles up.


def test_a_raw_head_beside_a_captioner_takes_features_as_they_are(bundle, tmp_path, photos):
    contents = read_bundle(bundle)
    features = Bundle(bundle).encode(np.zeros((64, 64, 3), np.uint8)).features.shape[1]
    head, image_features, _ = some_weights(features, None, 4)
    head = replace(head, features=head.features / 30, raw=True)
    graph = with_classify(contents.graph, head, False)
    write_bundle(
        tmp_path / "raw.tflite",
        replace(contents, graph=graph, labels=("ash", "birch", "cedar", "oak")),
    )
    after = Bundle(tmp_path / "raw.tflite")
    expected = probabilities((image_features @ head.features + head.bias)[0], False)
    np.testing.assert_allclose(
        after.classify(image_features, np.ones(len(contents.vocabulary), np.float32)),
        expected,
        atol=0.03,
    )
    result = Recognizer(after)(photos["cat"])
    assert result.caption.words and result.classes[0].name in after.labels


def test_a_graph_without_a_captioner_or_classes_is_given_some(bundle):
    graph = read_bundle(bundle).graph
    head, image_features, _ = some_weights(512, None, 3)
    interpreter = make_interpreter(with_classify(graph, head, False))
    runner = interpreter.get_signature_runner("classify")
    assert list(runner.get_input_details()) == ["features"]
    np.testing.assert_allclose(
        runner(features=image_features)["scores"][0],
        probabilities(head.logits(image_features)[0], False),
        atol=0.03,
    )


@pytest.mark.parametrize("quantized", [True, False])
def test_the_weights_of_names_are_read_back(bundle, quantized):
    weights = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
    classifier = Classifier(weights, None, np.zeros(4, np.float32), raw=True)
    graph = read_bundle(bundle).graph
    assert read_name_weights(graph) is None
    read = read_name_weights(with_names(graph, classifier, quantized))
    # A step of 8 bits is a 127th of the greatest weight.
    step = np.abs(weights).max() / 127 if quantized else 0
    np.testing.assert_allclose(read, weights, atol=step / 2 + 1e-6)
    # At unit length, the product is not the first operator.
    unit = Classifier(weights, None, np.zeros(4, np.float32))
    assert read_name_weights(with_names(graph, unit, quantized)) is None
