"""Batches for training: images or their cached features, with words, tags and labels as targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import keras
import numpy as np

from picaption.device.bundle.vocabulary import END_ID, START_ID

#: Captions with these words are no longer true of the mirrored image.
SIDED_WORDS = frozenset(("left", "right"))

#: The n-grams of a batch are a multiple of this: backends that compile a training step do it once
#: for each of the few sizes.
PADDING_MULTIPLE = 512
#: The target of a label that is unknown: a nan would spoil the gradients of the others.
UNKNOWN_LABEL = -1.0


@dataclass(frozen=True)
class Examples:
    """N images or their features with their captions, tags and labels.

    Attributes:
        inputs: Images, uint8 [N, S, S, 3], or features, float [N, F] or [N, G, F].
        captions: The captions of each image, each a list of word ids without start and end; an
            image may have none.
        tags: float32 [N, tags], 1 where any of the image's captions has the word.
        sided: bool [N], true where a caption says left or right, so that the image must not be
            mirrored.
        labels: float32 [N, classes] of 0 and 1, nan where unknown; None without classes.
    """

    inputs: np.ndarray
    captions: Sequence[Sequence[Sequence[int]]]
    tags: np.ndarray
    sided: np.ndarray
    labels: np.ndarray | None = None


def take(examples: Examples, rows: Sequence[int]) -> Examples:
    """Return the Examples of some of the images.

    Args:
        examples: Of N images.
        rows: Which of them, in their new order.
    """
    rows = list(rows)
    return Examples(
        examples.inputs[rows],
        [examples.captions[row] for row in rows],
        examples.tags[rows],
        examples.sided[rows],
        None if examples.labels is None else examples.labels[rows],
    )


def join(*parts: Examples) -> Examples:
    """Return several Examples as one.

    Where only some have labels, those of the other images are unknown.
    """
    classes = next((part.labels.shape[1] for part in parts if part.labels is not None), 0)
    labels = []
    for part in parts:
        unknown = np.full((len(part.captions), classes), np.nan, np.float32)
        labels.append(unknown if part.labels is None else part.labels)
    return Examples(
        np.concatenate([part.inputs for part in parts]),
        [captions for part in parts for captions in part.captions],
        np.concatenate([part.tags for part in parts]),
        np.concatenate([part.sided for part in parts]),
        np.concatenate(labels) if classes else None,
    )


def windows(words: Sequence[int], order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return every n-gram of a caption as histories and next words.

    Args:
        words: k word ids without start and end.
        order: n.

    Returns:
        The histories, int32 [k+1, order-1], the first of which are padded with START, and the word
        after each, int32 [k+1], the last of which is END.
    """
    padded = np.array([START_ID] * (order - 1) + list(words) + [END_ID], np.int32)
    ngrams = np.lib.stride_tricks.sliding_window_view(padded, order)
    return ngrams[:, :-1], ngrams[:, -1]


def augment(image: np.ndarray, random: np.random.Generator, mirror: bool = True) -> np.ndarray:
    """Crop, stretch, perhaps mirror, and relight an image at random.

    Args:
        image: uint8 [H, W, 3].
        random: Draws how.
        mirror: Mirror every second image.

    Returns:
        An image of the same shape.
    """
    full_height, full_width = image.shape[:2]
    width, height = random.uniform(0.75, 1.0, 2) * (full_width, full_height)
    left = random.uniform(0, full_width - width)
    top = random.uniform(0, full_height - height)
    scale_x = full_width / width
    scale_y = full_height / height
    transform = np.array([[scale_x, 0, -left * scale_x], [0, scale_y, -top * scale_y]])
    if mirror and random.random() < 0.5:
        transform[0] = [-scale_x, 0, full_width - 1 + left * scale_x]
    moved = cv2.warpAffine(
        image, transform, (full_width, full_height), borderMode=cv2.BORDER_REFLECT
    )
    contrast = random.uniform(0.75, 1.25)
    return cv2.convertScaleAbs(moved, alpha=contrast, beta=random.uniform(-20, 20))


class Batches(keras.utils.PyDataset):
    """Shuffled batches of Examples, as (inputs, targets, weights).

    Inputs: `image`, the images or features [B, ...], `history` int32 [N, order-1] and `row`
    int32 [N], the image in the batch that each n-gram belongs to. Targets: `words` int32 [N],
    `tags`, and, where the examples have them, `labels`, UNKNOWN_LABEL where unknown. A weight of
    zero takes an image out of the losses that it has no answer for. The n-grams are padded to a
    multiple of PADDING_MULTIPLE by n-grams of weight zero; the weights of the others make up for
    them in the mean.
    """

    def __init__(
        self,
        examples: Examples,
        order: int,
        batch: int = 64,
        captions_per_image: int = 3,
        training: bool = True,
        seed: int = 0,
        **workers: Any,
    ) -> None:
        """Create the batches.

        Args:
            examples: Images or features.
            order: n, of the n-grams.
            batch: Images in a batch.
            captions_per_image: Captions that are drawn for every batch.
            training: Shuffle, augment and draw captions; otherwise all in order.
            seed: Of the random numbers.
            workers: Options of keras.utils.PyDataset.
        """
        super().__init__(**workers)
        self.examples = examples
        self.order = order
        self.captions_per_image = captions_per_image
        self.training = training
        self.seed = seed
        self.epoch = 0
        total = len(examples.inputs)
        self.count = max(1, total // batch if training else -(-total // batch))
        self.on_epoch_end()

    def __len__(self) -> int:
        return self.count

    def on_epoch_end(self) -> None:
        """Shuffle again, by seed and epoch."""
        self.random = np.random.default_rng([self.seed, self.epoch])
        rows = np.arange(len(self.examples.inputs))
        if self.training:
            rows = self.random.permutation(len(rows))
        self.batch_rows = np.array_split(rows, self.count)
        self.epoch += 1

    def __getitem__(self, index: int) -> tuple[dict, dict, dict]:
        rows = self.batch_rows[index]
        examples = self.examples
        histories = [np.zeros((0, self.order - 1), np.int32)]
        words = [np.zeros(0, np.int32)]
        owners = [np.zeros(0, np.int32)]
        for position, caption in self.draw_captions(rows):
            history, next_words = windows(caption, self.order)
            histories.append(history)
            words.append(next_words)
            owners.append(np.full(len(next_words), position, np.int32))
        count = sum(map(len, words))
        padding = -count % PADDING_MULTIPLE if count else PADDING_MULTIPLE
        inputs = {
            "image": self._inputs(rows),
            "history": pad_rows(histories, padding),
            "row": pad_rows(owners, padding),
        }
        targets = {"words": pad_rows(words, padding), "tags": examples.tags[rows]}
        # A loss is the sum of the weighted terms, divided by their number.
        is_real = np.arange(count + padding) < count
        has_captions = [bool(examples.captions[row]) for row in rows]
        weights = {
            "words": is_real * np.float32((count + padding) / max(count, 1)),
            "tags": np.array(has_captions, np.float32),
        }
        if examples.labels is not None:
            labels = examples.labels[rows]
            weights["labels"] = (~np.isnan(labels).all(1)).astype(np.float32)
            targets["labels"] = np.nan_to_num(labels, nan=UNKNOWN_LABEL)
        return inputs, targets, weights

    def draw_captions(self, rows: np.ndarray) -> list[tuple[int, Sequence[int]]]:
        """Return the captions that a batch has of the images `rows`, each with its position."""
        drawn = []
        for position, row in enumerate(rows):
            captions = self.examples.captions[row]
            indices = list(range(len(captions)))
            if self.training:
                order = self.random.permutation(len(captions))
                indices = order[: self.captions_per_image].tolist()
            drawn += [(position, captions[index]) for index in indices]
        return drawn

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        inputs = self.examples.inputs
        if inputs.ndim < 4 or not self.training:
            return inputs[rows]
        sided = self.examples.sided
        return np.stack([augment(inputs[row], self.random, not sided[row]) for row in rows])


def pad_rows(arrays: Sequence[np.ndarray], padding: int) -> np.ndarray:
    """Return arrays as one, with `padding` rows of zeros behind them."""
    joined = np.concatenate(arrays)
    return np.pad(joined, [(0, padding)] + [(0, 0)] * (joined.ndim - 1))


class LabelledImages(keras.utils.PyDataset):
    """Batches of (images uint8 [B, S, S, 3], labels float32 [B, classes]).

    A label is UNKNOWN_LABEL where it is unknown.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch: int,
        seed: int | None,
        **workers: Any,
    ) -> None:
        """Create the batches.

        Args:
            images: uint8 [N, S, S, 3].
            labels: float32 [N, classes] of 0 and 1, nan where unknown.
            batch: Images in a batch.
            seed: Of the order and the augmentation; None for neither.
            workers: Options of keras.utils.PyDataset.
        """
        super().__init__(**workers)
        self.images = images
        self.labels = labels
        self.batch = batch
        self.seed = seed
        self.epoch = 0
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch)

    def on_epoch_end(self) -> None:
        """Shuffle again, by seed and epoch."""
        self.random = np.random.default_rng([self.seed or 0, self.epoch])
        self.order = np.arange(len(self.images))
        if self.seed is not None:
            self.order = self.random.permutation(len(self.images))
        self.epoch += 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * self.batch : (index + 1) * self.batch]
        images = self.images[rows]
        if self.seed is not None:
            images = np.stack([augment(image, self.random) for image in images])
        return images, np.nan_to_num(self.labels[rows], nan=UNKNOWN_LABEL)
