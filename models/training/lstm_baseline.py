"""An LSTM decoder on the same features as the captioner's: the yardstick that reads the whole caption so far.

Built like Show and Tell (Vinyals et al., CVPR 2015), with the picture where it serves best: it gives the LSTM's first
state, and is merged with its output (Tanti et al., "Where to put the image in an image caption generator", Natural
Language Engineering 24, 2018). With e the embedding of the word before and f the picture's features,

    h_0 = tanh(c)   s_0 = 0        h_t, s_t = LSTM(e, h_t-1, s_t-1)        c = C f + b

    P(w_t | ...) = softmax(U relu(h_t + c) + u)

It is trained on captions by cross-entropy as the captioner is. Bundles know nothing of it.
"""

import math
import os
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from picaption.device.bundle.bundle import log_softmax
from picaption.device.bundle.vocabulary import END_ID, START_ID

from ..data.batches import Batches
from . import fit


@dataclass(frozen=True)
class Decoder:
    """The LSTM decoder as three models that share their weights.

    context: features [batch, F] -> [batch, H]
    step: word int32 [n], h and c [n, H], the LSTM's state, and context [n or 1, H] -> logits [n, V], h and c after it
    sequence: the batches of Captions -> {"words": logits [W, V]}
    """

    context: keras.Model
    step: keras.Model
    sequence: keras.Model


def build_lstm(features, words, embedding, hidden, dropout):
    """Build an untrained Decoder for `features` features and `words` words, its dropout where build_captioner's is."""
    image = keras.Input((features,), name="image")
    context = keras.Model(
        image, layers.Dense(hidden, name="context")(layers.Dropout(dropout)(image)), name="context"
    )
    embed, cell = (
        layers.Embedding(words, embedding, name="embedding"),
        layers.LSTMCell(hidden, name="cell"),
    )
    output = layers.Dense(words, name="logits")

    word, given = (
        keras.Input((), dtype="int32", name="word"),
        keras.Input((hidden,), name="context"),
    )
    state = [keras.Input((hidden,), name=name) for name in ("h", "c")]
    told, after = cell(embed(word), state)
    step = keras.Model([word, *state, given], [output(ops.relu(told + given)), *after], name="step")

    caption = keras.Input((None,), dtype="int32", name="caption")
    row, place = (keras.Input((), dtype="int32", name=name) for name in ("row", "place"))
    seen = ops.take(context(image), row, axis=0)
    first = [ops.tanh(seen), ops.zeros_like(seen)]
    told = layers.RNN(cell, return_sequences=True)(
        layers.Dropout(dropout / 2)(embed(caption)), initial_state=first
    )
    # Padding has no logits: they are what costs most.
    told = ops.take(ops.reshape(ops.relu(told + seen[:, None]), (-1, hidden)), place, axis=0)
    inputs = {"image": image, "caption": caption, "row": row, "place": place}
    return Decoder(
        context, step, keras.Model(inputs, {"words": output(layers.Dropout(dropout)(told))})
    )


def equal_hidden(weights, features, words, embedding):
    """Return the hidden size at which build_lstm's Decoder has `weights` weights, rounded to a whole number."""
    # 4 H^2 + linear H + fixed weights: context, the cell's four gates and logits; embeddings and the logits' biases.
    linear, fixed = (features + 1) + 4 * (embedding + 1) + words, words * embedding + words
    return round((math.sqrt(linear**2 + 16 * (weights - fixed)) - linear) / 8)


class Captions(Batches):
    """Batches of whole captions of Examples with features [N, F]; each picture has a caption.

    Inputs: `image`, the features [B, F]; `caption` int32 [N, T], START and the words, padded to the longest of all;
    `row` int32 [N], the picture in the batch that each speaks of; `place` int32 [W], where in all the captions, one
    after the other, a word is to be told. Targets: `words` int32 [W], ends included.
    """

    def __init__(self, examples, **options):
        # The same in every batch: Keras settles on an array's shape by the first two.
        self.steps = 1 + max(len(caption) for told in examples.captions for caption in told)
        super().__init__(examples, self.steps + 1, **options)

    def __getitem__(self, index):
        rows = self.parts[index]
        owners, captions = zip(*self.drawn(rows))
        padded = np.full((len(captions), self.steps), START_ID, np.int32)
        for line, caption in zip(padded, captions):
            line[1 : len(caption) + 1] = caption
        lengths = np.array([len(caption) + 1 for caption in captions])
        inputs = {
            "image": self.examples.inputs[rows],
            "caption": padded,
            "row": np.array(owners, np.int32),
            "place": np.flatnonzero(np.arange(self.steps) < lengths[:, None]).astype(np.int32),
        }
        return inputs, {
            "words": np.concatenate([[*caption, END_ID] for caption in captions]).astype(np.int32)
        }


def train_lstm(settings, train, dev, words, hidden, epochs, folder):
    """Return a Decoder of size `hidden` trained by cross-entropy on Examples of cached features, as the captioner is.

    Its weights are left in `folder`. An interrupted training that is called again goes on, a finished one is not
    done again.
    """
    keras.utils.set_random_seed(settings.seed)
    decoder = build_lstm(train.inputs.shape[1], words, settings.embedding, hidden, settings.dropout)
    model, path = decoder.sequence, folder / "lstm.weights.h5"
    if path.exists():
        model.load_weights(path)
        return decoder
    batches = Captions(train, batch=settings.batch, each=settings.each, seed=settings.seed)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, epochs * len(batches))
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-4, clipnorm=1.0),
        loss={"words": fit.smoothed_cross_entropy(settings.smoothing)},
        jit_compile=False,
    )
    fit.fit(
        model,
        batches,
        Captions(dev, batch=settings.batch, training=False),
        epochs,
        settings.patience,
        folder,
    )
    partial = folder / "partial.weights.h5"
    model.save_weights(partial)
    os.replace(partial, path)
    return decoder


def perplexity(decoder, batches):
    """Return exp(-log-probability a word), ends counted, of the captions of `batches`, which are Captions."""
    total = count = 0
    for index in range(len(batches)):
        inputs, targets = batches[index]
        logits = decoder.sequence.predict_on_batch(inputs)["words"]
        total += float(
            ops.sum(ops.sparse_categorical_crossentropy(targets["words"], logits, from_logits=True))
        )
        count += len(targets["words"])
    return math.exp(total / count)


def keras_step(decoder):
    """Return a Decoder's step as a function of arrays, for `stateful`."""
    return lambda *inputs: [np.array(output) for output in decoder.step.predict_on_batch(inputs)]


def stateful(step, context):
    """Return `next_word` for picaption.device.recognition.beam_search.beam_search with one picture's `context`, float32 [1, H].

    next_word: history int32 [n, T], whole captions behind START -> log-probabilities float32 [n, V]. It knows the
    LSTM's state after all that it was asked before, so that a word costs one step; a caption with a new word is to be
    asked after the caption without it. `step` is as in Decoder, over arrays.
    """
    states = {(): (np.tanh(context[0]), np.zeros_like(context[0]))}

    def next_word(history):
        read = [(START_ID, *row[row != START_ID].tolist()) for row in history]
        h, c = (np.stack(rows) for rows in zip(*(states[words[:-1]] for words in read)))
        logits, h, c = step(np.array([words[-1] for words in read], np.int32), h, c, context)
        states.update(zip(read, zip(h, c)))
        return log_softmax(logits)

    return next_word
