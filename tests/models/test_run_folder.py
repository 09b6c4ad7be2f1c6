"""A run's folder: its parts come back as they were saved, and what is missing is named."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from picaption.device.bundle.metadata import Metadata
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import Classifier
from picaption.models.files import read_lines, save_arrays
from picaption.models.networks.captioner import build_captioner
from picaption.models.run_folder import (
    FloatModel,
    load_captioner,
    load_classifier,
    load_model,
    save_captioner,
    save_classifier,
    save_model,
    save_words,
)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_a_model_is_saved_under_its_name_alone(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    save_model(model, tmp_path / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    loaded = load_model(tmp_path / "model.keras")
    for weights, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, expected)


def test_a_captioner_comes_back(tmp_path):
    captioner = build_captioner((4,), words=9, tags=2, order=3, embedding=4, hidden=5)
    save_captioner(captioner, tmp_path)
    loaded = load_captioner(tmp_path)
    context = np.ones((1, 5), np.float32)
    history = np.array([[0, 4]], np.int32)
    np.testing.assert_array_equal(
        loaded.next_word.predict_on_batch([history, context]),
        captioner.next_word.predict_on_batch([history, context]),
    )


@pytest.mark.parametrize("words", [None, np.ones((7, 2), np.float32)])
@pytest.mark.parametrize("raw", [False, True])
def test_a_classifier_comes_back(tmp_path, random, words, raw):
    features = random.normal(size=(4, 2)).astype(np.float32)
    saved = Classifier(features, words, np.float32([1, 2]), raw)
    save_classifier(saved, tmp_path / "classifier.npz")
    loaded = load_classifier(tmp_path / "classifier.npz")
    np.testing.assert_array_equal(loaded.features, features)
    np.testing.assert_array_equal(loaded.bias, [1, 2])
    assert loaded.raw is raw
    if words is None:
        assert loaded.words is None
    else:
        np.testing.assert_array_equal(loaded.words, words)


def test_a_classifier_of_an_older_run_takes_features_at_unit_length(tmp_path):
    arrays = {"features": np.ones((4, 2), np.float32), "bias": np.zeros(2, np.float32)}
    save_arrays(tmp_path / "classifier.npz", arrays)
    assert load_classifier(tmp_path / "classifier.npz").raw is False


def test_words_are_saved_as_in_a_bundle(tmp_path):
    vocabulary = Vocabulary((*SPECIAL_WORDS, "cat"))
    save_words(tmp_path, Metadata("tiny", order=3), ("cat", "dog"), vocabulary)
    assert read_lines(tmp_path / "labels.txt") == ("cat", "dog")
    assert read_lines(tmp_path / "vocabulary.txt") == vocabulary.words
    save_words(tmp_path, Metadata("tiny"), ("cat", "dog"), None)
    assert read_lines(tmp_path / "vocabulary.txt") == ()


def test_what_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(
        PicaptionError, match="model.keras is missing: the folder is not a finished"
    ):
        load_model(tmp_path / "model.keras")
    with pytest.raises(PicaptionError, match="head.npz is missing: the folder is not a finished"):
        load_classifier(tmp_path / "head.npz")
    (tmp_path / "model.keras").write_bytes(b"no model")
    with pytest.raises(PicaptionError, match="model.keras: cannot load it as a Keras model: "):
        load_model(tmp_path / "model.keras")
    for content in (b"no arrays", b"PK\x03\x04"):
        (tmp_path / "head.npz").write_bytes(content)
        with pytest.raises(PicaptionError, match="head.npz: cannot load it as a classifier: "):
            load_classifier(tmp_path / "head.npz")
    save_arrays(tmp_path / "head.npz", {"features": np.ones((4, 2))})
    with pytest.raises(PicaptionError, match="head.npz: cannot load it as a classifier: "):
        load_classifier(tmp_path / "head.npz")
    with pytest.raises(
        PicaptionError, match="no metadata.json in it: it is not a finished training"
    ):
        FloatModel(tmp_path)


def test_a_run_is_a_model(run, photos):
    model = FloatModel(run)
    size = model.metadata.input.height
    image = np.ascontiguousarray(photos["cat"][:size, :size])
    encoded = model.encode(image)
    assert encoded.features.shape[0] == 1 and encoded.features.dtype == np.float32
    assert encoded.tags.shape == (len(model.metadata.tags),)
    again = model.encode_features(encoded.features)
    np.testing.assert_allclose(again.context, encoded.context, rtol=1e-5)
    history = np.zeros((3, model.metadata.order - 1), np.int32)
    words = model.next_word(history, encoded.context)
    assert words.shape == (3, len(model.vocabulary))
    np.testing.assert_allclose(np.exp(words).sum(1), 1, rtol=1e-4)
    word_evidence = np.zeros(len(model.vocabulary), np.float32)
    classes = model.classify(encoded.features, word_evidence)
    assert classes.shape == (len(model.labels),) and ((classes >= 0) & (classes <= 1)).all()


def test_a_run_without_its_classifier_can_caption(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "classifier.npz").unlink()
    assert FloatModel(tmp_path / "run", with_classifier=False).classifier is None
    with pytest.raises(PicaptionError, match="classifier.npz is missing"):
        FloatModel(tmp_path / "run")


def test_a_run_of_classes_has_no_captioner(class_run):
    model = FloatModel(class_run)
    assert model.captioner is None and model.vocabulary is None
    size = model.metadata.input.height
    encoded = model.encode(np.zeros((size, size, 3), np.uint8))
    assert encoded.context is None and encoded.tags is None
    assert model.classify(encoded.features, None).sum() == pytest.approx(1, rel=1e-5)
    assert dataclasses.asdict(model.metadata)["head"] == "single-label"
