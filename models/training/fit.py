"""Fitting captioner, tagger and encoder together: the joint model, its losses and the fit."""

import math
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from picaption.device.recognition.classifier import Classifier

from ..data.batches import Batches
from ..networks.captioner import Captioner
from ..run_folder import save_weights

#: Whether XLA compiles the steps of a fit: JAX crawls without it; TensorFlow's depthwise
#: convolutions are slow on a CPU with it.
JIT_COMPILE = keras.backend.backend() == "jax"

_BACKUP = re.compile(r"epoch_([0-9]+)\.weights\.h5")

#: The weight of each loss. The losses are means over words, tags and classes; the weights bring
#: them to a like size.
LOSS_WEIGHTS = {"words": 1.0, "tags": 20.0, "labels": 30.0}


def smoothed_cross_entropy(smoothing: float) -> Callable[[Any, Any], Any]:
    """Return a loss: cross-entropy of word ids against logits with label smoothing.

    Args:
        smoothing: The share of the probability that is spread over all words.
    """

    def loss(words: Any, logits: Any) -> Any:
        # One-hot words are larger than word ids, but their loss is one fused operation, a quarter
        # faster.
        one_hot = ops.one_hot(ops.cast(words, "int32"), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            one_hot, logits, from_logits=True, label_smoothing=smoothing
        )

    return loss


def known_binary_crossentropy(labels: Any, logits: Any) -> Any:
    """Return the binary cross-entropy of logits, the mean over the classes of each image.

    Args:
        labels: 0, 1, or UNKNOWN_LABEL, which counts nothing, [B, C].
        logits: [B, C].
    """
    labels = ops.cast(labels, logits.dtype)
    is_known = ops.cast(labels >= 0, logits.dtype)
    losses = ops.binary_crossentropy(ops.maximum(labels, 0), logits, from_logits=True)
    return ops.mean(is_known * losses, axis=-1)


def perplexity(captioner: Captioner, batches: Batches) -> float:
    """Return exp(-log-probability per word) of the captions, sentence ends included."""
    total = 0.0
    count = 0
    for index in range(len(batches)):
        inputs, targets, weights = batches[index]
        context = ops.take(captioner.context(inputs["image"]), inputs["row"], axis=0)
        logits = captioner.next_word([ops.convert_to_tensor(inputs["history"]), context])
        is_word = weights["words"] > 0
        losses = ops.sparse_categorical_crossentropy(targets["words"], logits, from_logits=True)
        total += float(ops.sum(losses * is_word))
        count += is_word.sum()
    return math.exp(total / count)


class NameDistillation(layers.Layer):
    """Adds the loss of forgetting the names: what the network told apart before it was tuned.

    The loss is weight * KL(p0 || p), where p0 are the probabilities of the names by the features of
    the untuned network and p those by the features of the tuned one, both by the layer that came
    with the network's weights; p's copy of it is tuned too (Hinton et al., "Distilling the
    knowledge in a neural network", 2015; Li and Hoiem, "Learning without forgetting", ECCV 2016).
    It needs no labels. The features pass through unchanged.
    """

    def __init__(self, classifier: Classifier, untuned: keras.Model, weight: float) -> None:
        """Create the layer.

        Args:
            classifier: The network's own last layer, of features as they are.
            untuned: The encoder as it was; it is not trained.
            weight: Of the loss.
        """
        super().__init__(name="name_distillation")
        untuned.trainable = False
        self.untuned = untuned
        self.weight = weight
        self.kernel_before = ops.convert_to_tensor(classifier.features)
        self.bias_before = ops.convert_to_tensor(classifier.bias)
        self.names = layers.Dense(
            len(classifier.bias),
            kernel_initializer=lambda shape, dtype: ops.cast(self.kernel_before, dtype),
            bias_initializer=lambda shape, dtype: ops.cast(self.bias_before, dtype),
        )

    def call(self, features: Any, image: Any) -> Any:
        """Return features [B, F] as they are, and add the loss of the images they are of."""
        logits = self.untuned(image, training=False) @ self.kernel_before + self.bias_before
        before = ops.softmax(logits)
        forgotten = before * (ops.log_softmax(logits) - ops.log_softmax(self.names(features)))
        self.add_loss(self.weight * ops.mean(ops.sum(forgotten, axis=-1)))
        return features


def joint_model(
    captioner: Captioner,
    encoder: keras.Model | None = None,
    classes: int = 0,
    distillation: NameDistillation | None = None,
) -> keras.Model:
    """Build a model over the inputs and targets of picaption.models.data.batches.Batches.

    Args:
        captioner: Its context, next word and tags are trained.
        encoder: Is trained too, and the batches hold images; None: they hold cached features.
        classes: With this many classes, a linear head over the features learns the labels beside
            the captions.
        distillation: Keeps the names of a network that is tuned known; its features are those of
            the mean of the feature map.
    """
    source = encoder or captioner.context
    image = keras.Input(source.input_shape[1:], name="image")
    history = keras.Input(captioner.next_word.input_shape[0][1:], dtype="int32", name="history")
    row = keras.Input((), dtype="int32", name="row")
    features = encoder(image) if encoder else image
    if distillation:
        features = distillation(features, image)
    context = captioner.context(features)
    words = captioner.next_word([history, ops.take(context, row, axis=0)])
    outputs = {"words": words, "tags": captioner.tagger(context)}
    if classes:
        if len(features.shape) == 3:
            features = layers.GlobalAveragePooling1D()(features)
        outputs["labels"] = layers.Dense(classes, name="labels")(layers.Dropout(0.3)(features))
    return keras.Model({"image": image, "history": history, "row": row}, outputs)


def compile_joint(
    model: keras.Model, learning_rate: Any, smoothing: float, has_labels: bool = False
) -> None:
    """Compile a joint model: cross-entropy for words, binary cross-entropy for tags and labels.

    Args:
        model: Of `joint_model`.
        learning_rate: A number or a Keras schedule.
        smoothing: Label smoothing of the words.
        has_labels: Whether the model has a head for labels.
    """
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    losses: dict[str, Any] = {"words": smoothed_cross_entropy(smoothing), "tags": binary}
    if has_labels:
        losses["labels"] = known_binary_crossentropy
    model.compile(
        keras.optimizers.AdamW(learning_rate, weight_decay=1e-4, clipnorm=1.0),
        loss=losses,
        loss_weights={name: LOSS_WEIGHTS[name] for name in losses},
        jit_compile=JIT_COMPILE,
    )


class Backup(keras.callbacks.Callback):
    """Leaves the weights after every epoch, until the fit ends, so that it can be continued.

    Keras' own backup writes over its only file: a fit that is killed meanwhile leaves one that
    cannot be read.

    Args:
        folder: For the backup; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def restore(self, model: keras.Model) -> int:
        """Give a compiled model the weights of the last epoch; return how many are done."""
        backups = self._backups()
        if not backups:
            return 0
        # An optimizer that is not built yet would not read its moments.
        model.optimizer.build(model.trainable_variables)
        model.load_weights(backups[max(backups)])
        return max(backups)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write a backup in place of those before."""
        self._folder.mkdir(exist_ok=True)
        before = self._backups()
        save_weights(self.model, self._folder / f"epoch_{epoch + 1}.weights.h5")
        for path in before.values():
            path.unlink()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Remove the backup: what was fitted is in the model."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _backups(self) -> dict[int, Path]:
        """Return the backups by the number of epochs that are done."""
        matches = ((_BACKUP.fullmatch(path.name), path) for path in self._folder.glob("*"))
        return {int(match[1]): path for match, path in matches if match}


def fit_model(
    model: keras.Model,
    batches: keras.utils.PyDataset,
    dev: keras.utils.PyDataset | None,
    epochs: int,
    patience: int,
    folder: Path,
    monitor: str = "val_loss",
) -> None:
    """Fit a compiled model and leave it with the weights of its best epoch.

    Every epoch leaves a backup and its figures (history.csv) in `folder`; an interrupted fit that
    is called again continues with the next epoch.

    Args:
        model: A compiled model.
        batches: Training batches.
        dev: Batches that choose the best epoch; without them the last epoch counts.
        epochs: The most epochs.
        patience: The fit ends when `monitor` has not fallen for this many epochs.
        folder: For the backup and the figures; made if need be.
        monitor: The figure that is lowest in the best epoch.
    """
    folder.mkdir(exist_ok=True)
    backup = Backup(folder / "backup")
    callbacks = [
        backup,
        keras.callbacks.CSVLogger(folder / "history.csv", append=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    if dev:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor, patience=patience, mode="min", restore_best_weights=True
            )
        )
    model.fit(
        batches,
        epochs=epochs,
        initial_epoch=backup.restore(model),
        validation_data=dev,
        callbacks=callbacks,
        verbose=1 if sys.stderr.isatty() else 2,
    )


def average_weights(model: keras.Model, start: Sequence[np.ndarray], share: float) -> None:
    """Set a model to a weighted mean of its weights and those that its training started from.

    Between the two lies a better model than either (Wortsman et al., "Robust fine-tuning of
    zero-shot models", CVPR 2022): a fine-tuned encoder forgets what ImageNet taught it, and
    self-critical training alone makes captions short and alike once a beam searches for them.

    Args:
        model: The trained model.
        start: The weights that its training started from, as `model.get_weights()` lists them.
        share: The share of the trained weights, 0 to 1.
    """
    model.set_weights(
        [
            share * trained + (1 - share) * initial
            for trained, initial in zip(model.get_weights(), start)
        ]
    )
