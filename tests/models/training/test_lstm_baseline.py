"""The LSTM baseline: step by step it is the model that was trained, and as large as it says."""

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
    CaptionBatches,
    build_lstm,
    keras_step,
    matching_hidden_size,
    next_word_with_states,
    perplexity,
    train_lstm,
)

CAPTIONS = [[[3, 4], [5]], [[4, 4, 3], [6, 5, 4, 3]]]


def random_examples(captions=CAPTIONS, features=4):
    """Return Examples of random features with `captions`."""
    inputs = np.random.default_rng(0).normal(size=(len(captions), features)).astype(np.float32)
    return Examples(
        inputs, captions, np.zeros((len(captions), 0), np.float32), np.zeros(len(captions), bool)
    )


@pytest.fixture(scope="module")
def decoder():
    return build_lstm(4, words=7, embedding=5, hidden=6, dropout=0.4)


def sequence_logits(decoder, examples, words):
    """Return logits [len(words) + 1, V] of the sequence model for the first image's caption."""
    inputs, _ = CaptionBatches(
        dataclasses.replace(examples, captions=[[words]] * len(examples.captions)),
        batch=1,
        training=False,
    )[0]
    return decoder.sequence.predict_on_batch(inputs)["words"]


def test_a_step_is_the_formula(decoder):
    random = np.random.default_rng(1)
    h, s, context = (random.normal(size=(1, 6)).astype(np.float32) for _ in range(3))
    logits, *next_state = decoder.step([np.array([3]), h, s, context])
    (embedding,) = decoder.step.get_layer("embedding").get_weights()
    kernel, recurrent, bias = decoder.step.get_layer("cell").get_weights()
    output, output_bias = decoder.step.get_layer("logits").get_weights()

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    gates = np.split(embedding[[3]] @ kernel + h @ recurrent + bias, 4, axis=1)
    input_gate, forget_gate, candidate, output_gate = gates
    next_s = sigmoid(forget_gate) * s + sigmoid(input_gate) * np.tanh(candidate)
    next_h = sigmoid(output_gate) * np.tanh(next_s)
    np.testing.assert_allclose(next_state[0], next_h, atol=1e-5)
    np.testing.assert_allclose(next_state[1], next_s, atol=1e-5)
    np.testing.assert_allclose(
        logits, np.maximum(0, next_h + context) @ output + output_bias, atol=1e-5
    )


def test_word_by_word_is_the_sequence_model(decoder):
    examples = random_examples()
    words = [5, 3, 3, 6]
    context = np.asarray(decoder.context(examples.inputs[:1]))
    h = np.tanh(context)
    s = np.zeros_like(context)
    logits = []
    for word in (START_ID, *words):
        row, h, s = keras_step(decoder)(np.array([word], np.int32), h, s, context)
        logits.append(row[0])
    np.testing.assert_allclose(logits, sequence_logits(decoder, examples, words), atol=1e-5)


def test_a_remembered_state_is_as_good_as_reading_the_caption_again(decoder):
    examples = random_examples()
    beam = Beam(3, 4, 6, 1.0)
    steps = []
    context = np.asarray(decoder.context(examples.inputs[:1]))
    next_word = next_word_with_states(keras_step(decoder), context)

    def recorded(history):
        log_probabilities = next_word(history)
        steps.extend(zip(history.copy(), log_probabilities.copy()))
        return log_probabilities

    best = beam_search(recorded, beam.max_words + 1, beam)[0]
    assert 4 <= len(best.words) <= 6
    for history, log_probabilities in steps:
        words = history[history != START_ID].tolist()
        complete = log_softmax(sequence_logits(decoder, examples, words))
        np.testing.assert_allclose(log_probabilities, complete[-1], atol=1e-5)
    complete = log_softmax(sequence_logits(decoder, examples, list(best.words)))
    assert best.log_probability == pytest.approx(
        complete[range(len(complete)), [*best.words, END_ID]].sum(), abs=1e-4
    )


def test_a_word_costs_one_step(decoder):
    beam = Beam(2, 5, 5, 1.0)
    steps = []
    context = np.zeros((1, 6), np.float32)

    def counted(word, *state):
        steps.append(len(word))
        return keras_step(decoder)(word, *state)

    beam_search(next_word_with_states(counted, context), beam.max_words + 1, beam)
    assert steps == [2] * 6  # The sixth is the sentence end.


def test_batches_by_hand():
    inputs, targets = CaptionBatches(random_examples(), batch=2, training=False)[0]
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
        inputs["position"], [0, 1, 2, 5, 6, 10, 11, 12, 13, 15, 16, 17, 18, 19]
    )
    np.testing.assert_array_equal(
        targets["words"], [3, 4, END_ID, 5, END_ID, 4, 4, 3, END_ID, 6, 5, 4, 3, END_ID]
    )


def test_every_epoch_draws_other_captions():
    batches = CaptionBatches(random_examples([[[3], [4], [5], [6]]]), batch=1, captions_per_image=2)
    drawn = []
    for _ in range(8):
        drawn.append(tuple(batches[0][0]["caption"][:, 1]))
        batches.on_epoch_end()
    assert all(len(set(captions)) == 2 for captions in drawn)
    assert len(set(drawn)) > 2


def test_padding_changes_no_loss(decoder):
    short = random_examples()
    longer = random_examples([*CAPTIONS, [[3] * 20]])
    longer = dataclasses.replace(longer, inputs=np.concatenate([short.inputs, longer.inputs[2:]]))
    batches = [CaptionBatches(examples, batch=2, training=False)[0] for examples in (short, longer)]
    assert [inputs["caption"].shape for inputs, _ in batches] == [(4, 5), (4, 21)]
    decoder.sequence.compile(loss={"words": smoothed_cross_entropy(0.1)})
    losses = [decoder.sequence.test_on_batch(inputs, targets) for inputs, targets in batches]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_perplexity_of_a_model_that_knows_nothing_is_its_number_of_words():
    blank = build_lstm(4, words=7, embedding=5, hidden=6, dropout=0.4)
    blank.sequence.set_weights([np.zeros_like(weights) for weights in blank.sequence.get_weights()])
    assert perplexity(blank, CaptionBatches(random_examples(), training=False)) == pytest.approx(7)


@pytest.mark.parametrize(
    "features, words, embedding, hidden", [((1280,), 2536, 112, 448), ((49, 64), 200, 16, 32)]
)
def test_the_matching_hidden_size_has_as_many_weights(features, words, embedding, hidden):
    captioner = build_captioner(features, words, 10, 5, embedding, hidden)
    weights = captioner.context.count_params() + captioner.next_word.count_params()
    size = matching_hidden_size(weights, features[-1], words, embedding)
    counts = [
        build_lstm(features[-1], words, embedding, near, 0).sequence.count_params()
        for near in (size - 1, size, size + 1)
    ]
    assert counts[0] < weights < counts[2]
    assert counts[1] == pytest.approx(weights, rel=0.02)


def test_training_learns_which_caption_belongs_to_which_image(settings, tmp_path):
    examples = random_examples([[[3, 4]], [[5, 6, 4]]])
    fast = dataclasses.replace(settings, dropout=0.0, smoothing=0.0, batch=2, learning_rate=1e-1)
    decoder = train_lstm(fast, examples, examples, 7, 16, 30, tmp_path)
    assert perplexity(decoder, CaptionBatches(examples, training=False)) < 1.2
    beam = Beam(2, 1, 5, 1.0)
    for features, captions in zip(examples.inputs, examples.captions):
        context = np.asarray(decoder.context(features[None]))
        next_word = next_word_with_states(keras_step(decoder), context)
        assert list(beam_search(next_word, 6, beam)[0].words) == captions[0]
    again = train_lstm(fast, examples, examples, 7, 16, 30, tmp_path)  # Loaded, not trained.
    for trained, loaded in zip(decoder.sequence.get_weights(), again.sequence.get_weights()):
        np.testing.assert_array_equal(trained, loaded)
