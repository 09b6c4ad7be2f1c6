"""The captioner is a true n-gram model, and knows the picture through its context alone."""

import keras
import numpy as np
import pytest

from picaption.device.bundle.metadata import Beam
from picaption.device.recognition.beam_search import beam_search
from picaption.models.networks.captioner import build_captioner, build_encoder, mean_over_grid


def test_shapes():
    captioner = build_captioner((8,), words=20, tags=5, order=4, embedding=6, hidden=7)
    context = np.asarray(captioner.context(np.zeros((3, 8), np.float32)))
    assert context.shape == (3, 7)
    assert captioner.next_word([np.zeros((3, 3), np.int32), context]).shape == (3, 20)
    assert captioner.tagger(context).shape == (3, 5)


def test_logits_are_the_formula():
    captioner = build_captioner((2,), words=6, tags=1, order=3, embedding=2, hidden=4)
    history, context = np.array([[1, 5]]), np.array([[0.3, -0.2, 0.1, 5]], np.float32)
    (embedding,) = captioner.next_word.get_layer("embedding").get_weights()
    (hidden,) = captioner.next_word.get_layer("hidden").get_weights()
    output, bias = captioner.next_word.get_layer("logits").get_weights()
    h = np.maximum(0, np.concatenate([embedding[1], embedding[5]]) @ hidden + context[0])
    np.testing.assert_allclose(
        np.asarray(captioner.next_word([history, context]))[0], h @ output + bias, atol=1e-5
    )


def test_matrices_of_a_rank_are_products_of_two():
    captioner = build_captioner((5,), words=6, tags=1, order=2, embedding=2, hidden=4, rank=3)
    features, history = (
        np.random.default_rng(0).normal(size=(1, 5)).astype(np.float32),
        np.array([[2]]),
    )
    (first,), (second, bias) = (
        captioner.context.get_layer(name).get_weights() for name in ("narrow_features", "context")
    )
    assert first.shape == (5, 3) and second.shape == (3, 4)
    context = np.asarray(captioner.context(features))
    np.testing.assert_allclose(context, features @ (first @ second) + bias, atol=1e-5)
    (embedding,), (hidden,), (narrow,), (output, bias) = (
        captioner.next_word.get_layer(name).get_weights()
        for name in ("embedding", "hidden", "narrow_logits", "logits")
    )
    assert narrow.shape == (4, 3) and output.shape == (3, 6)
    expected = np.maximum(0, embedding[2:3] @ hidden + context) @ (narrow @ output) + bias
    assert captioner.tagger.get_layer("narrow_tags").get_weights()[0].shape == (4, 3)
    np.testing.assert_allclose(
        np.asarray(captioner.next_word([history, context])), expected, atol=1e-5
    )


def test_attention_is_the_formula_and_without_a_query_the_mean():
    captioner = build_captioner((3, 2), words=6, tags=1, order=3, embedding=2, hidden=4)
    features = np.random.default_rng(0).normal(size=(1, 3, 2)).astype(np.float32)
    context, history = np.asarray(captioner.context(features)), np.array([[1, 5]])
    embedding, hidden, query, (output, bias) = (
        weights[0] if len(weights) == 1 else weights
        for weights in (
            captioner.next_word.get_layer(name).get_weights()
            for name in ("embedding", "hidden", "query", "logits")
        )
    )
    embedded = np.concatenate([embedding[1], embedding[5]])

    def expected(query):
        scores = np.exp(context[0] @ (embedded @ query))
        return np.maximum(0, embedded @ hidden + scores / scores.sum() @ context[0]) @ output + bias

    assert not query.any()
    np.testing.assert_allclose(
        np.asarray(captioner.next_word([history, context]))[0], expected(query), atol=1e-5
    )
    np.testing.assert_allclose(
        np.maximum(0, embedded @ hidden + context[0].mean(0)) @ output + bias,
        expected(query),
        atol=1e-6,
    )
    query = np.random.default_rng(1).normal(size=query.shape).astype(np.float32)
    captioner.next_word.get_layer("query").set_weights([query])
    np.testing.assert_allclose(
        np.asarray(captioner.next_word([history, context]))[0], expected(query), atol=1e-5
    )


@pytest.mark.parametrize("order", (2, 5, 8))
@pytest.mark.parametrize("features", ((4,), (3, 4)))
def test_words_before_the_last_ones_change_nothing(order, features):
    captioner = build_captioner(features, words=30, tags=2, order=order, embedding=8, hidden=16)
    context = np.asarray(captioner.context(np.ones((1, *features), np.float32)))
    calls = []

    def next_word(history):
        assert history.shape == (2, order - 1)
        logits = np.asarray(captioner.next_word([history, np.repeat(context, 2, 0)]))
        calls.append((history.copy(), logits))
        return np.array(logits - np.log(np.exp(logits).sum(1, keepdims=True)))

    beam_search(next_word, order, Beam(2, 12, 12, 0.7))
    by_history = {}
    for histories, logits in calls:
        for history, row in zip(histories, logits):
            np.testing.assert_allclose(by_history.setdefault(tuple(history), row), row, atol=1e-5)


def test_the_encoder_averages_a_feature_map_or_keeps_its_grid():
    inputs = keras.Input((2, 2, 3))
    network = keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))
    image = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    mean = build_encoder(network, scaling=(0.5, 1.0)).predict_on_batch(image)
    np.testing.assert_allclose(mean, [[6.5, 7.5, 8.5]])  # 2 (0.5 x + 1), x from 4.5 to 6.5
    grid = build_encoder(network, grid=True, scaling=(0.5, 1.0)).predict_on_batch(image)
    assert grid.shape == (1, 4, 3)
    np.testing.assert_allclose(mean_over_grid(grid), mean)
    assert mean_over_grid(mean) is mean


def test_a_vector_is_the_features():
    inputs = keras.Input((2, 2, 3))
    network = keras.Model(inputs, keras.layers.Flatten()(inputs))
    image = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    encoder = build_encoder(network, scaling=(1.0, 0.0))
    np.testing.assert_allclose(encoder.predict_on_batch(image), [np.arange(12)])
