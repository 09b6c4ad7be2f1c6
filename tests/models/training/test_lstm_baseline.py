"""The LSTM yardstick: step by step it is the model that was trained, and it is as large as it says."""

import dataclasses

import numpy as np
import pytest

from picaption.device.bundle.bundle import log_softmax
from picaption.device.bundle.metadata import Beam
from picaption.device.bundle.vocabulary import END_ID, START_ID
from picaption.device.recognition.beam_search import beam_search
from picaption.models.data.batches import Examples
from picaption.models.networks.captioner import build_captioner
from picaption.models.training.fit import smoothed_cross_entropy
from picaption.models.training.lstm_baseline import (
    Captions,
    build_lstm,
    equal_hidden,
    keras_step,
    perplexity,
    stateful,
    train_lstm,
)

TOLD = [[[3, 4], [5]], [[4, 4, 3], [6, 5, 4, 3]]]


def told(captions=TOLD, features=4):
    """Return Examples of random features with `captions`."""
    inputs = np.random.default_rng(0).normal(size=(len(captions), features)).astype(np.float32)
    return Examples(
        inputs, captions, np.zeros((len(captions), 0), np.float32), np.zeros(len(captions), bool)
    )


@pytest.fixture(scope="module")
def decoder():
    return build_lstm(4, words=7, embedding=5, hidden=6, dropout=0.4)


def sequence_logits(decoder, examples, words):
    """Return logits [len(words) + 1, V] of the sequence model for the first picture's caption `words`."""
    inputs, _ = Captions(
        dataclasses.replace(examples, captions=[[words]] * len(examples.captions)),
        batch=1,
        training=False,
    )[0]
    return decoder.sequence.predict_on_batch(inputs)["words"]


def test_a_step_is_the_formula(decoder):
    random = np.random.default_rng(1)
    h, s, context = (random.normal(size=(1, 6)).astype(np.float32) for _ in range(3))
    logits, *after = decoder.step([np.array([3]), h, s, context])
    (embedding,) = decoder.step.get_layer("embedding").get_weights()
    kernel, recurrent, bias = decoder.step.get_layer("cell").get_weights()
    output, output_bias = decoder.step.get_layer("logits").get_weights()

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    kept, forget, new, shown = np.split(embedding[[3]] @ kernel + h @ recurrent + bias, 4, axis=1)
    state = sigmoid(forget) * s + sigmoid(kept) * np.tanh(new)
    told = sigmoid(shown) * np.tanh(state)
    np.testing.assert_allclose(after[0], told, atol=1e-5)
    np.testing.assert_allclose(after[1], state, atol=1e-5)
    np.testing.assert_allclose(
        logits, np.maximum(0, told + context) @ output + output_bias, atol=1e-5
    )


def test_word_by_word_is_the_sequence_model(decoder):
    examples, words = told(), [5, 3, 3, 6]
    context = np.asarray(decoder.context(examples.inputs[:1]))
    h, c, logits = np.tanh(context), np.zeros_like(context), []
    for word in (START_ID, *words):
        row, h, c = keras_step(decoder)(np.array([word], np.int32), h, c, context)
        logits.append(row[0])
    np.testing.assert_allclose(logits, sequence_logits(decoder, examples, words), atol=1e-5)


def test_a_state_that_is_kept_is_as_good_as_reading_the_caption_again(decoder):
    examples, beam, asked = told(), Beam(3, 4, 6, 1.0), []
    context = np.asarray(decoder.context(examples.inputs[:1]))
    next_word = stateful(keras_step(decoder), context)

    def recorded(history):
        found = next_word(history)
        asked.extend(zip(history.copy(), found.copy()))
        return found

    best = beam_search(recorded, beam.max_words + 1, beam)[0]
    assert 4 <= len(best.words) <= 6
    for history, found in asked:
        again = log_softmax(
            sequence_logits(decoder, examples, history[history != START_ID].tolist())
        )
        np.testing.assert_allclose(found, again[-1], atol=1e-5)
    whole = log_softmax(sequence_logits(decoder, examples, list(best.words)))
    assert best.log_probability == pytest.approx(
        whole[range(len(whole)), [*best.words, END_ID]].sum(), abs=1e-4
    )


def test_a_word_costs_one_step(decoder):
    beam, steps = Beam(2, 5, 5, 1.0), []
    context = np.zeros((1, 6), np.float32)

    def counted(word, *state):
        steps.append(len(word))
        return keras_step(decoder)(word, *state)

    beam_search(stateful(counted, context), beam.max_words + 1, beam)
    assert steps == [2] * 6  # The sixth tells the end.


def test_batches_by_hand():
    inputs, targets = Captions(told(), batch=2, training=False)[0]
    np.testing.assert_array_equal(
        inputs["caption"],
        [
            [START_ID, 3, 4, 0, 0],
            [START_ID, 5, 0, 0, 0],
            [START_ID, 4, 4, 3, 0],
            [START_ID, 6, 5, 4, 3],
        ],
    )
    np.testing.assert_array_equal(inputs["row"], [0, 0, 1, 1])
    np.testing.assert_array_equal(
        inputs["place"], [0, 1, 2, 5, 6, 10, 11, 12, 13, 15, 16, 17, 18, 19]
    )
    np.testing.assert_array_equal(
        targets["words"], [3, 4, END_ID, 5, END_ID, 4, 4, 3, END_ID, 6, 5, 4, 3, END_ID]
    )


def test_each_epoch_draws_captions_anew():
    batches = Captions(told([[[3], [4], [5], [6]]]), batch=1, each=2)
    drawn = []
    for _ in range(8):
        drawn.append(tuple(batches[0][0]["caption"][:, 1]))
        batches.on_epoch_end()
    assert all(len(set(each)) == 2 for each in drawn) and len(set(drawn)) > 2


def test_padding_changes_no_loss(decoder):
    short, longer = told(), told([*TOLD, [[3] * 20]])
    longer = dataclasses.replace(longer, inputs=np.concatenate([short.inputs, longer.inputs[2:]]))
    batches = [Captions(each, batch=2, training=False)[0] for each in (short, longer)]
    assert [inputs["caption"].shape for inputs, _ in batches] == [(4, 5), (4, 21)]
    decoder.sequence.compile(loss={"words": smoothed_cross_entropy(0.1)})
    losses = [decoder.sequence.test_on_batch(inputs, targets) for inputs, targets in batches]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_perplexity_of_a_model_that_knows_nothing_is_its_number_of_words():
    blank = build_lstm(4, words=7, embedding=5, hidden=6, dropout=0.4)
    blank.sequence.set_weights([np.zeros_like(weights) for weights in blank.sequence.get_weights()])
    assert perplexity(blank, Captions(told(), training=False)) == pytest.approx(7)


@pytest.mark.parametrize(
    "features, words, embedding, hidden", [((1280,), 2536, 112, 448), ((49, 64), 200, 16, 32)]
)
def test_equal_hidden_gives_equal_size(features, words, embedding, hidden):
    captioner = build_captioner(features, words, 10, 5, embedding, hidden)
    weights = captioner.context.count_params() + captioner.next_word.count_params()
    size = equal_hidden(weights, features[-1], words, embedding)
    counts = [
        build_lstm(features[-1], words, embedding, near, 0).sequence.count_params()
        for near in (size - 1, size, size + 1)
    ]
    assert counts[0] < weights < counts[2]
    assert counts[1] == pytest.approx(weights, rel=0.02)


def test_training_learns_what_is_told_of_which_picture(settings, tmp_path):
    examples = told([[[3, 4]], [[5, 6, 4]]])
    fast = dataclasses.replace(settings, dropout=0.0, smoothing=0.0, batch=2, learning_rate=1e-1)
    decoder = train_lstm(fast, examples, examples, 7, 16, 30, tmp_path)
    assert perplexity(decoder, Captions(examples, training=False)) < 1.2
    beam = Beam(2, 1, 5, 1.0)
    for features, captions in zip(examples.inputs, examples.captions):
        context = np.asarray(decoder.context(features[None]))
        assert (
            list(beam_search(stateful(keras_step(decoder), context), 6, beam)[0].words)
            == captions[0]
        )
    again = train_lstm(fast, examples, examples, 7, 16, 30, tmp_path)  # Loaded, not trained.
    for one, other in zip(decoder.sequence.get_weights(), again.sequence.get_weights()):
        np.testing.assert_array_equal(one, other)
