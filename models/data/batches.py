"""Batches for training: pictures or their cached features, with words, tags and labels as targets."""

from dataclasses import dataclass

import cv2
import keras
import numpy as np

from picaption.device.bundle.vocabulary import END_ID, START_ID

#: Captions with these words are no longer true of the mirrored picture.
SIDED = frozenset(("left", "right"))

#: The n-grams of a batch are a multiple of this: backends that compile a step do it once for each of the few sizes.
PADDED = 512


@dataclass(frozen=True)
class Examples:
    """Pictures (uint8 [N, S, S, 3]) or features (float [N, F] or [N, G, F]) with what is known of them.

    captions: for each picture a list of captions, each a list of word numbers without start and end; it may be empty
    tags: float32 [N, tags], 1 where any of the picture's captions has the word
    sided: bool [N], true where a caption says left or right, so that the picture must not be mirrored
    labels: float32 [N, classes] of 0 and 1, a row of nan where they are not known; None without classes
    """

    inputs: np.ndarray
    captions: list
    tags: np.ndarray
    sided: np.ndarray
    labels: np.ndarray | None = None


def join(*parts):
    """Return several Examples as one, None of none; where only some have labels, those of the others are not known."""
    if not parts:
        return None
    classes = next((part.labels.shape[1] for part in parts if part.labels is not None), 0)
    labels = [
        np.full((len(part.captions), classes), np.nan, np.float32)
        if part.labels is None
        else part.labels
        for part in parts
    ]
    return Examples(
        np.concatenate([part.inputs for part in parts]),
        [told for part in parts for told in part.captions],
        np.concatenate([part.tags for part in parts]),
        np.concatenate([part.sided for part in parts]),
        np.concatenate(labels) if classes else None,
    )


def windows(words, order):
    """Return every n-gram of a caption as (history int32 [k+1, order-1], next word int32 [k+1]).

    The history before the first word is padded with START; the last word to be told is END.
    """
    padded = np.array([START_ID] * (order - 1) + list(words) + [END_ID], np.int32)
    grams = np.lib.stride_tricks.sliding_window_view(padded, order)
    return grams[:, :-1], grams[:, -1]


def augment(image, random, mirror=True):
    """Return `image` (uint8 [H, W, 3]) cropped, stretched, perhaps mirrored, and lit differently."""
    full_height, full_width = image.shape[:2]
    width, height = random.uniform(0.75, 1.0, 2) * (full_width, full_height)
    left, top = random.uniform(0, full_width - width), random.uniform(0, full_height - height)
    scale_x, scale_y = full_width / width, full_height / height
    transform = np.array([[scale_x, 0, -left * scale_x], [0, scale_y, -top * scale_y]])
    if mirror and random.random() < 0.5:
        transform[0] = [-scale_x, 0, full_width - 1 + left * scale_x]
    moved = cv2.warpAffine(
        image, transform, (full_width, full_height), borderMode=cv2.BORDER_REFLECT
    )
    return cv2.convertScaleAbs(
        moved, alpha=random.uniform(0.75, 1.25), beta=random.uniform(-20, 20)
    )


class Batches(keras.utils.PyDataset):
    """Shuffled batches of Examples.

    Inputs: `image` (the pictures or features [B, ...]), `history` int32 [N, order-1] and `row` int32 [N],
    the picture in the batch that each n-gram speaks of. Targets: `words` int32 [N], `tags`, and, where the
    examples have them, `labels`; a weight of zero takes a picture out of the losses that it has no answer for.
    `each` captions a picture are drawn anew for every batch. Behind the n-grams stand some of weight zero, up to a
    multiple of PADDED, the others having so much more.
    """

    def __init__(
        self, examples, order, batch=64, captions_per_image=3, training=True, seed=0, **workers
    ):
        super().__init__(**workers)
        self.examples, self.order = examples, order
        self.captions_per_image = captions_per_image
        self.training, self.seed, self.epoch = training, seed, 0
        total = len(examples.inputs)
        self.count = max(1, total // batch if training else -(-total // batch))
        self.on_epoch_end()

    def __len__(self):
        return self.count

    def on_epoch_end(self):
        """Shuffle anew, by seed and epoch."""
        self.random = np.random.default_rng([self.seed, self.epoch])
        total = len(self.examples.inputs)
        self.parts = np.array_split(
            self.random.permutation(total) if self.training else np.arange(total), self.count
        )
        self.epoch += 1

    def __getitem__(self, index):
        rows, examples = self.parts[index], self.examples
        histories, words, owners = [np.zeros((0, self.order - 1), np.int32)], [[]], [[]]
        for position, caption in self.drawn(rows):
            history, following = windows(caption, self.order)
            histories.append(history)
            words.append(following)
            owners.append(np.full(len(following), position))
        count = sum(map(len, words))
        padding = -count % PADDED if count else PADDED
        history, following, row = (
            np.pad(np.concatenate(parts), [(0, padding)] + [(0, 0)] * dimensions).astype(np.int32)
            for parts, dimensions in ((histories, 1), (words, 0), (owners, 0))
        )
        inputs = {"image": self._inputs(rows), "history": history, "row": row}
        told = np.array([bool(examples.captions[row]) for row in rows], np.float32)
        targets = {"words": following, "tags": examples.tags[rows]}
        # A loss is the sum of the weighted terms by their number.
        given = np.arange(count + padding) < count
        weights = {"words": given * np.float32((count + padding) / max(count, 1)), "tags": told}
        if examples.labels is not None:
            labels = examples.labels[rows]
            weights["labels"] = (~np.isnan(labels[:, 0])).astype(np.float32)
            targets["labels"] = np.nan_to_num(labels)
        return inputs, targets, weights

    def drawn(self, rows):
        """Return (position, caption) of each caption that this batch has of the pictures `rows`, as a list."""
        drawn = []
        for position, row in enumerate(rows):
            captions = self.examples.captions[row]
            chosen = (
                self.random.permutation(len(captions))[: self.captions_per_image]
                if self.training
                else range(len(captions))
            )
            drawn += [(position, captions[number]) for number in chosen]
        return drawn

    def _inputs(self, rows):
        inputs, sided = self.examples.inputs, self.examples.sided
        if inputs.ndim < 4 or not self.training:
            return inputs[rows]
        return np.stack([augment(inputs[row], self.random, not sided[row]) for row in rows])


class Pictures(keras.utils.PyDataset):
    """Batches of (pictures uint8 [B, S, S, 3], labels float32 [B, classes]): shuffled and augmented, or, with `seed`
    None, as they are."""

    def __init__(self, pictures, labels, batch, seed, **workers):
        super().__init__(**workers)
        self.pictures, self.labels, self.batch, self.seed, self.epoch = (
            pictures,
            labels,
            batch,
            seed,
            0,
        )
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.order) // self.batch)

    def on_epoch_end(self):
        """Shuffle anew, by seed and epoch."""
        self.random = np.random.default_rng([self.seed or 0, self.epoch])
        total = len(self.pictures)
        self.order = np.arange(total) if self.seed is None else self.random.permutation(total)
        self.epoch += 1

    def __getitem__(self, index):
        rows = self.order[index * self.batch : (index + 1) * self.batch]
        pictures = self.pictures[rows]
        if self.seed is not None:
            pictures = np.stack([augment(picture, self.random) for picture in pictures])
        return pictures, self.labels[rows]
