"""An LSTM decoder on the captioner's features: a yardstick that reads the complete caption so far.

Built like Show and Tell (Vinyals et al., CVPR 2015), with the image where it serves best: it sets
the LSTM's first state and is merged with its output (Tanti et al., "Where to put the image in an
image caption generator", Natural Language Engineering 24, 2018). With e the embedding of the word
before and f the image's features,

    h_0 = tanh(c)   s_0 = 0        h_t, s_t = LSTM(e, h_t-1, s_t-1)        c = C f + b

    P(w_t | ...) = softmax(U relu(h_t + c) + u)

It is trained on captions by cross-entropy, as the captioner is. Bundles know nothing of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from picaption.device.bundle.bundle import log_softmax
from picaption.device.bundle.vocabulary import END_ID, START_ID

from ..data.batches import Batches, Examples
from ..run_folder import save_weights
from ..settings import Settings
from . import fit

#: A decoder's step over arrays: word int32 [n], h [n, H], s [n, H], context [n or 1, H] -> logits
#: [n, V], h and s after the word.
Step = Callable[..., list[np.ndarray]]


@dataclass(frozen=True)
class Decoder:
    """The LSTM decoder as three models that share their weights.

    context: features [batch, F] -> [batch, H]
    step: word int32 [n], the LSTM's state h and s [n, H], and context [n or 1, H] -> logits [n, V],
        and h and s after the word
    sequence: the batches of CaptionBatches -> {"words": logits [W, V]}
    """

    context: keras.Model
    step: keras.Model
    sequence: keras.Model


def build_lstm(features: int, words: int, embedding: int, hidden: int, dropout: float) -> Decoder:
    """Build an untrained Decoder.

    Args:
        features: Size of the image's features.
        words: Size of the vocabulary.
        embedding: Size of the word embeddings.
        hidden: Size of the LSTM's state.
        dropout: As in picaption.models.networks.captioner.build_captioner.
    """
    image = keras.Input((features,), name="image")
    context = keras.Model(
        image, layers.Dense(hidden, name="context")(layers.Dropout(dropout)(image)), name="context"
    )
    embed = layers.Embedding(words, embedding, name="embedding")
    cell = layers.LSTMCell(hidden, name="cell")
    output = layers.Dense(words, name="logits")

    word = keras.Input((), dtype="int32", name="word")
    word_context = keras.Input((hidden,), name="context")
    state = [keras.Input((hidden,), name=name) for name in ("h", "c")]
    hidden_state, next_state = cell(embed(word), state)
    logits = output(ops.relu(hidden_state + word_context))
    step = keras.Model([word, *state, word_context], [logits, *next_state], name="step")

    caption = keras.Input((None,), dtype="int32", name="caption")
    row = keras.Input((), dtype="int32", name="row")
    position = keras.Input((), dtype="int32", name="position")
    caption_context = ops.take(context(image), row, axis=0)
    start = [ops.tanh(caption_context), ops.zeros_like(caption_context)]
    states = layers.RNN(cell, return_sequences=True)(
        layers.Dropout(dropout / 2)(embed(caption)), initial_state=start
    )
    merged = ops.reshape(ops.relu(states + caption_context[:, None]), (-1, hidden))
    # Logits cost the most, so padding gets none.
    merged = ops.take(merged, position, axis=0)
    inputs = {"image": image, "caption": caption, "row": row, "position": position}
    sequence = keras.Model(inputs, {"words": output(layers.Dropout(dropout)(merged))})
    return Decoder(context, step, sequence)


def matching_hidden_size(weights: int, features: int, words: int, embedding: int) -> int:
    """Return the hidden size at which a Decoder of build_lstm has about `weights` weights."""
    # 4 H^2 + linear H + fixed weights: context, the cell's four gates and logits; embeddings and
    # the logits' biases.
    linear = (features + 1) + 4 * (embedding + 1) + words
    fixed = words * embedding + words
    return round((math.sqrt(linear**2 + 16 * (weights - fixed)) - linear) / 8)


class CaptionBatches(Batches):
    """Batches of complete captions, of Examples with features [N, F] and a caption for each image.

    Inputs: `image`, the features [B, F]; `caption` int32 [N, T], START and the words, padded to the
    longest of all; `row` int32 [N], the image in the batch that each caption is about; `position`
    int32 [W], the positions in all the captions, one after the other, that a word follows. Targets:
    `words` int32 [W], those words, sentence ends included.
    """

    def __init__(self, examples: Examples, **options: Any) -> None:
        """Take the Examples; options are those of Batches."""
        # The same in every batch: Keras settles on an array's shape by the first two.
        self.steps = 1 + max(len(caption) for captions in examples.captions for caption in captions)
        super().__init__(examples, self.steps + 1, **options)

    def __getitem__(self, index: int) -> tuple[dict, dict]:  # type: ignore[override]
        """Return (inputs, targets) of a batch: every word counts, so there are no weights."""
        rows = self.batch_rows[index]
        owners, captions = zip(*self.draw_captions(rows))
        padded = np.full((len(captions), self.steps), START_ID, np.int32)
        for line, caption in zip(padded, captions):
            line[1 : len(caption) + 1] = caption
        lengths = np.array([len(caption) + 1 for caption in captions])
        inputs = {
            "image": self.examples.inputs[rows],
            "caption": padded,
            "row": np.array(owners, np.int32),
            "position": np.flatnonzero(np.arange(self.steps) < lengths[:, None]).astype(np.int32),
        }
        words = np.concatenate([[*caption, END_ID] for caption in captions]).astype(np.int32)
        return inputs, {"words": words}


def train_lstm(
    settings: Settings,
    train: Examples,
    dev: Examples,
    words: int,
    hidden: int,
    epochs: int,
    folder: Path,
) -> Decoder:
    """Train a Decoder by cross-entropy, as the captioner is.

    Its weights are left in `folder` (lstm.weights.h5). An interrupted training that is called again
    continues; a finished one is loaded.

    Args:
        settings: Those of the captioner's training count.
        train: Training images as cached features [N, F].
        dev: Dev images, which choose the best epoch.
        words: Size of the vocabulary.
        hidden: Size of the LSTM's state.
        epochs: The most epochs.
        folder: Is there already.
    """
    keras.utils.set_random_seed(settings.seed)
    decoder = build_lstm(train.inputs.shape[1], words, settings.embedding, hidden, settings.dropout)
    model = decoder.sequence
    path = folder / "lstm.weights.h5"
    if path.exists():
        model.load_weights(path)
        return decoder
    batches = CaptionBatches(
        train,
        batch=settings.batch,
        captions_per_image=settings.captions_per_image,
        seed=settings.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, epochs * len(batches))
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-4, clipnorm=1.0),
        loss={"words": fit.smoothed_cross_entropy(settings.smoothing)},
        jit_compile=False,
    )
    dev_batches = CaptionBatches(dev, batch=settings.batch, training=False)
    fit.fit_model(model, batches, dev_batches, epochs, settings.patience, folder)
    save_weights(model, path)
    return decoder


def perplexity(decoder: Decoder, batches: CaptionBatches) -> float:
    """Return exp(-log-probability per word) of the captions, sentence ends included."""
    total = 0.0
    count = 0
    for index in range(len(batches)):
        inputs, targets = batches[index]
        logits = decoder.sequence.predict_on_batch(inputs)["words"]
        losses = ops.sparse_categorical_crossentropy(targets["words"], logits, from_logits=True)
        total += float(ops.sum(losses))
        count += len(targets["words"])
    return math.exp(total / count)


def keras_step(decoder: Decoder) -> Step:
    """Return a Decoder's step as a function of arrays."""

    def step(*inputs: np.ndarray) -> list[np.ndarray]:
        return [np.array(output) for output in decoder.step.predict_on_batch(inputs)]

    return step


def next_word_with_states(step: Step, context: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the `next_word` of picaption.device.recognition.beam_search for one image.

    next_word: history int32 [n, T], complete captions behind START -> log-probabilities float32
    [n, V]. It remembers the LSTM's state after every caption that it was asked about, so that a
    word costs one step; ask about a caption without its last word first.

    Args:
        step: Of a Decoder, over arrays.
        context: float32 [1, H], of the image.
    """
    states = {(): (np.tanh(context[0]), np.zeros_like(context[0]))}

    def next_word(history: np.ndarray) -> np.ndarray:
        captions = [(START_ID, *row[row != START_ID].tolist()) for row in history]
        before = [states[words[:-1]] for words in captions]
        h, s = (np.stack(rows) for rows in zip(*before))
        last_words = np.array([words[-1] for words in captions], np.int32)
        logits, h, s = step(last_words, h, s, context)
        states.update(zip(captions, zip(h, s)))
        return log_softmax(logits)

    return next_word
