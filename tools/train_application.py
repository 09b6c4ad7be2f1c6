"""Train a network of keras.applications from nothing on class folders, for some minutes.

    python -m tools.train_application MobileNetV3Large imagenette/train imagenette/val net.keras

docs/reports/quantization.md needs networks whose accuracy means something, and no package ships the
published weights of most. The networks that scale pixels themselves are meant, from 0 to 255.
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from picaption.device.log import say
from picaption.models.backend import load_keras

load_keras()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from picaption.models.data.batches import augment  # noqa: E402
from picaption.models.data.readers import load_images, read_folders  # noqa: E402

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
BATCH = 32
#: The share of all steps in which the learning rate rises.
WARMUP_SHARE = 0.25
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.1
#: How fast batch normalization forgets: the 0.99 and 0.999 that the networks are published with are
#: for a million images.
BATCH_NORMALIZATION_MOMENTUM = 0.9


def train(
    model: keras.Model, images: np.ndarray, classes: np.ndarray, epochs: int, learning_rate: float
) -> list[float]:
    """Train a classifier in place.

    Args:
        model: Takes pixels from 0 to 255, and returns probabilities.
        images: uint8 [N, H, W, 3].
        classes: The index of each image's class, [N].
        epochs: Passes over the images.
        learning_rate: AdamW's largest.

    Returns:
        The mean loss of each epoch.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORMALIZATION_MOMENTUM
    steps = epochs * math.ceil(len(images) / BATCH)
    warmup = int(steps * WARMUP_SHARE)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY, clipnorm=1.0)
    loss_function = keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING)

    @tf.function(reduce_retracing=True)
    def step(batch: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_function(targets, model(batch, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    count = model.output_shape[-1]
    losses = []
    start = time.monotonic()
    for epoch in range(epochs):
        batches = shuffled(images, classes, count, np.random.default_rng(epoch))
        losses.append(float(np.mean([step(*map(tf.constant, batch)) for batch in batches])))
        seconds = time.monotonic() - start
        say(f"epoch {epoch + 1} of {epochs}: loss {losses[-1]:.3f}, {seconds:.0f} s")
    return losses


def shuffled(
    images: np.ndarray, classes: np.ndarray, count: int, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield an epoch's batches: augmented images, float32, and their classes, one-hot."""
    one_hot = np.eye(count, dtype=np.float32)
    order = random.permutation(len(images))
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        batch = np.stack([augment(images[row], random) for row in rows])
        yield batch.astype(np.float32), one_hot[classes[rows]]


def read_classes(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return images uint8 [N, size, size, 3], indices of their classes [N], and their number."""
    dataset, images = load_images(read_folders(folder), size, size, "stretch")
    indices = [dataset.classes.index(record.labels[0]) for record in dataset.records]
    return images, np.array(indices), len(dataset.classes)


@click.command()
@click.argument("name")
@click.argument("train_folder", type=FOLDER)
@click.argument("test_folder", type=FOLDER)
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--size", default=64, show_default=True, help="The side of its images.")
@click.option("--epochs", default=12, show_default=True)
@click.option("--learning-rate", default=2e-3, show_default=True)
def main(
    name: str,
    train_folder: Path,
    test_folder: Path,
    output: Path,
    size: int,
    epochs: int,
    learning_rate: float,
) -> None:
    """Train the network NAME on TRAIN_FOLDER, and write it to OUTPUT."""
    keras.utils.set_random_seed(1)
    images, classes, count = read_classes(train_folder, size)
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(size, size, 3), classes=count)
    train(model, images, classes, epochs, learning_rate)
    test_images, test_classes, _ = read_classes(test_folder, size)
    scores = model.predict(test_images.astype(np.float32), verbose=0)
    model.save(output)
    say(f"{output}: top-1 {100 * (scores.argmax(1) == test_classes).mean():.1f}")


if __name__ == "__main__":
    main()
