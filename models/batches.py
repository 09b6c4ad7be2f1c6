"""Batches for training: pictures or their cached features, with words, tags and labels as targets.

A batch holds captioned and labelled pictures together; a weight of zero takes a picture out of the
losses that it has no answer for.
"""

from dataclasses import dataclass

import cv2
import keras
import numpy as np

from device.vocabulary import END, START

#: Captions with these words are no longer true of the mirrored picture.
SIDED = frozenset(("left", "right"))


@dataclass(frozen=True)
class Captioned:
    """Pictures (uint8 [N, S, S, 3]) or features (float32 [N, F]) with captions.

    captions: for each picture a list of captions, each a list of word numbers without start and end
    tags: float32 [N, tags], 1 where any of the picture's captions has the word
    sided: bool [N], true where a caption says left or right, so that the picture must not be mirrored
    """

    inputs: np.ndarray
    captions: list
    tags: np.ndarray
    sided: np.ndarray


@dataclass(frozen=True)
class Labelled:
    """Pictures (uint8 [N, S, S, 3]) or features (float32 [N, F]) with labels, float32 [N, classes]."""

    inputs: np.ndarray
    labels: np.ndarray


def windows(words, order):
    """Return every n-gram of a caption as (history int32 [k+1, order-1], next word int32 [k+1]).

    The history before the first word is padded with START; the last word to be told is END.
    """
    padded = np.array([START] * (order - 1) + list(words) + [END], np.int32)
    grams = np.lib.stride_tricks.sliding_window_view(padded, order)
    return grams[:, :-1], grams[:, -1]


def augment(image, random, mirror=True):
    """Return `image` (uint8 [S, S, 3]) cropped, stretched, perhaps mirrored, and lit differently."""
    size = image.shape[0]
    width, height = random.uniform(0.75, 1.0, 2) * size
    left, top = random.uniform(0, size - width), random.uniform(0, size - height)
    scale_x, scale_y = size / width, size / height
    transform = np.array([[scale_x, 0, -left * scale_x], [0, scale_y, -top * scale_y]])
    if mirror and random.random() < 0.5:
        transform[0] = [-scale_x, 0, size - 1 + left * scale_x]
    moved = cv2.warpAffine(image, transform, (size, size), borderMode=cv2.BORDER_REFLECT)
    return cv2.convertScaleAbs(moved, alpha=random.uniform(0.75, 1.25), beta=random.uniform(-20, 20))


class Batches(keras.utils.PyDataset):
    """Shuffled batches of captioned pictures, each with as many labelled ones as go round evenly.

    Inputs: `image` (the pictures or features [B, ...]), `history` int32 [N, order-1] and `row` int32 [N],
    the picture in the batch that each n-gram speaks of. Targets: `words` int32 [N], `tags`, and, with
    `labelled`, `labels`. `each` captions a picture are drawn anew for every batch.
    """

    def __init__(self, captioned, order, labelled=None, batch=32, each=3, training=True, seed=0, **workers):
        super().__init__(**workers)
        self.captioned, self.labelled, self.order, self.each = captioned, labelled, order, each
        self.training, self.seed, self.epoch = training, seed, 0
        self.count = max(1, len(captioned.inputs) // batch if training else -(-len(captioned.inputs) // batch))
        self.on_epoch_end()

    def __len__(self):
        return self.count

    def on_epoch_end(self):
        """Shuffle anew, by seed and epoch."""
        self.random = np.random.default_rng([self.seed, self.epoch])
        self.parts = self._split(len(self.captioned.inputs))
        self.labelled_parts = self.labelled and self._split(len(self.labelled.inputs))
        self.epoch += 1

    def _split(self, total):
        order = self.random.permutation(total) if self.training else np.arange(total)
        return np.array_split(order, self.count)

    def __getitem__(self, index):
        rows = self.parts[index]
        images = self._inputs(self.captioned.inputs, rows, self.captioned.sided)
        grams, words, owners = [], [], []
        for position, row in enumerate(rows):
            captions = self.captioned.captions[row]
            chosen = self.random.permutation(len(captions))[:self.each] if self.training else range(len(captions))
            for caption in chosen:
                history, following = windows(captions[caption], self.order)
                grams.append(history)
                words.append(following)
                owners.append(np.full(len(following), position, np.int32))
        tags, said = self.captioned.tags[rows], np.ones(len(rows), np.float32)
        targets, weights = {}, {}
        if self.labelled:
            more = self.labelled_parts[index]
            images = np.concatenate([images, self._inputs(self.labelled.inputs, more)])
            labels = self.labelled.labels[more]
            targets["labels"] = np.concatenate([np.zeros((len(rows), labels.shape[1]), np.float32), labels])
            weights["labels"] = np.concatenate([np.zeros(len(rows), np.float32), np.ones(len(more), np.float32)])
            tags = np.concatenate([tags, np.zeros((len(more), tags.shape[1]), np.float32)])
            said = np.concatenate([said, np.zeros(len(more), np.float32)])
        words = np.concatenate(words)
        targets |= {"words": words, "tags": tags}
        weights |= {"words": np.ones(len(words), np.float32), "tags": said}
        return {"image": images, "history": np.concatenate(grams), "row": np.concatenate(owners)}, targets, weights

    def _inputs(self, inputs, rows, sided=None):
        if inputs.ndim == 2 or not self.training:
            return inputs[rows]
        return np.stack([augment(inputs[row], self.random, sided is None or not sided[row]) for row in rows])


class Pictures(keras.utils.PyDataset):
    """Batches of (pictures, labels): shuffled and augmented, or, with `seed` None, as they are."""

    def __init__(self, labelled, batch, seed, **workers):
        super().__init__(**workers)
        self.labelled, self.batch, self.seed, self.epoch = labelled, batch, seed, 0
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.order) // self.batch)

    def on_epoch_end(self):
        """Shuffle anew, by seed and epoch."""
        self.random = np.random.default_rng([self.seed or 0, self.epoch])
        total = len(self.labelled.inputs)
        self.order = np.arange(total) if self.seed is None else self.random.permutation(total)
        self.epoch += 1

    def __getitem__(self, index):
        rows = self.order[index * self.batch:(index + 1) * self.batch]
        pictures = self.labelled.inputs[rows]
        if self.seed is not None:
            pictures = np.stack([augment(picture, self.random) for picture in pictures])
        return pictures, self.labelled.labels[rows]
