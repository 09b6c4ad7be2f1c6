"""Fitting captioner, tagger and encoder together."""

import math
import sys

import keras
from keras import layers, ops

#: Whether XLA compiles the steps of a fit: JAX crawls without; on TensorFlow its depthwise convolutions are slow on a CPU.
COMPILED = keras.backend.backend() == "jax"


def smoothed_cross_entropy(smoothing):
    """Return a loss: cross-entropy of word numbers against logits, `smoothing` of it spread over all words."""

    def loss(words, logits):
        # One-hot words are larger than word numbers, but their loss is one fused operation, a quarter faster.
        told = ops.one_hot(ops.cast(words, "int32"), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            told, logits, from_logits=True, label_smoothing=smoothing
        )

    return loss


def perplexity(captioner, batches):
    """Return exp(-log-probability a word), ends counted, of the captions of `batches` (picaption.models.data.batches.Batches)."""
    total = count = 0
    for index in range(len(batches)):
        inputs, targets, weights = batches[index]
        context = ops.take(captioner.context(inputs["image"]), inputs["row"], axis=0)
        logits = captioner.next_word([ops.convert_to_tensor(inputs["history"]), context])
        given = weights["words"] > 0
        losses = ops.sparse_categorical_crossentropy(targets["words"], logits, from_logits=True)
        total += float(ops.sum(losses * given))
        count += given.sum()
    return math.exp(total / count)


def joint_model(captioner, encoder=None, classes=0):
    """Return a model over the batches of `picaption.models.data.batches.Batches`.

    Without `encoder` it takes cached features; with it, pictures, and the encoder is trained too. With
    `classes`, a linear head over the features learns the labels beside the captions.
    """
    source = encoder or captioner.context
    image = keras.Input(source.input_shape[1:], name="image")
    history = keras.Input(captioner.next_word.input_shape[0][1:], dtype="int32", name="history")
    row = keras.Input((), dtype="int32", name="row")
    features = encoder(image) if encoder else image
    context = captioner.context(features)
    words = captioner.next_word([history, ops.take(context, row, axis=0)])
    outputs = {"words": words, "tags": captioner.tagger(context)}
    if classes:
        seen = layers.GlobalAveragePooling1D()(features) if len(features.shape) == 3 else features
        outputs["labels"] = layers.Dense(classes, name="labels")(layers.Dropout(0.3)(seen))
    return keras.Model({"image": image, "history": history, "row": row}, outputs)


def compile_joint(model, learning_rate, smoothing, labels=False):
    """Compile a joint model: words by smoothed cross-entropy, tags and `labels` by binary cross-entropy.

    The weights bring the three, which are means over words, tags and classes, to a like size.
    """
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    losses = {"words": smoothed_cross_entropy(smoothing), "tags": binary}
    weights = {"words": 1.0, "tags": 20.0}
    if labels:
        losses["labels"], weights["labels"] = binary, 30.0
    model.compile(
        keras.optimizers.AdamW(learning_rate, weight_decay=1e-4, clipnorm=1.0),
        loss=losses,
        loss_weights=weights,
        jit_compile=COMPILED,
    )


def fit(model, batches, dev, epochs, patience, folder, watched="val_loss"):
    """Fit `model`, keeping the weights of the epoch with the lowest dev loss (the last one without `dev`).

    watched: the figure that stands for it, once it has not fallen for `patience` epochs the fit ends.

    After every epoch all that is needed to go on is kept in `folder`, and its figures in history.csv; an
    interrupted fit that is called again goes on with the next epoch.
    """
    folder.mkdir(exist_ok=True)
    callbacks = [
        keras.callbacks.BackupAndRestore(folder / "backup"),
        keras.callbacks.CSVLogger(folder / "history.csv", append=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    if dev:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                watched, patience=patience, mode="min", restore_best_weights=True
            )
        )
    model.fit(
        batches,
        epochs=epochs,
        validation_data=dev,
        callbacks=callbacks,
        verbose=1 if sys.stderr.isatty() else 2,
    )
