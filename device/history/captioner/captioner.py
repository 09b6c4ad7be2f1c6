"""What a captioner says of sentences and many images: log-probabilities, and how they change.

The captioner (picaption.models.networks.captioner) adds what it makes of the words before, t, to
the image's context, c, and takes a softmax over the words:

    log P(w | t, c) = z_w - log sum_v exp(z_v)        z = L relu(t + c) + l        c = C s + b

where the sketch s is the image in few dimensions. For a given sentence, t is the same for all
images, so that only sums, a relu and two products are left for each word and image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...bundle.vocabulary import END_ID, START_ID, UNKNOWN_ID, Vocabulary
from .weights import CaptionerWeights, Layer

#: Images whose scores are computed at a time: their logits stay in the processor's cache.
CHUNK_IMAGES = 128


class Position(NamedTuple):
    """A word of a sentence, after the words before it.

    Attributes:
        word: Its id.
        hidden: What the words before add to the context, float32 [H].
    """

    word: int
    hidden: np.ndarray


class Captioner:
    """A captioner in numpy.

    Args:
        weights: Its layers.
        vocabulary: Its words.
        order: n, of its n-grams.

    Attributes:
        vocabulary: Its words.
        sketch_size: Dimensions of a sketch.
    """

    def __init__(self, weights: CaptionerWeights, vocabulary: Vocabulary, order: int) -> None:
        self.vocabulary = vocabulary
        self._order = order
        self._weights = weights
        self._sketch = weights.context[0]
        if len(weights.context) > 1:
            self._context = weights.context[-1]
        else:  # The context is its own sketch.
            size = len(self._sketch.weights)
            identity = np.eye(size, dtype=np.float32)
            self._context = Layer(identity, np.zeros(size, np.float32))
        self.sketch_size = len(self._sketch.weights)

    def sketch(self, features: np.ndarray) -> np.ndarray:
        """Return the sketches, float32 [..., S], of images' features, float32 [..., F]."""
        return self._sketch(features)

    def positions(self, words: Sequence[str], can_end: bool = True) -> list[Position]:
        """Return the words of a sentence that the captioner knows, each after those before.

        Args:
            words: The sentence; words that are not known count for nothing, and as unknown for
                those behind.
            can_end: Whether its end counts as a word.
        """
        ids = [*self.vocabulary.encode(words)]
        if can_end:
            ids.append(END_ID)
        padded = [START_ID] * (self._order - 1) + ids
        positions = []
        for index, word in enumerate(ids):
            if word == UNKNOWN_ID:
                continue
            history = self._weights.embedding[padded[index : index + self._order - 1]]
            positions.append(Position(word, self._weights.hidden(history.ravel())))
        return positions

    def log_probabilities(self, positions: Sequence[Position], sketches: np.ndarray) -> np.ndarray:
        """Return how likely each word of a sentence is of each image, float32 [images, positions].

        Args:
            positions: Of the sentence.
            sketches: Of the images, float32 [images, S].
        """
        result = np.empty((len(sketches), len(positions)), np.float32)
        for start in range(0, len(sketches), CHUNK_IMAGES):
            part = slice(start, start + CHUNK_IMAGES)
            context = self._context(sketches[part])
            for index, position in enumerate(positions):
                x = np.maximum(context + position.hidden, 0)
                for layer in self._weights.logits:
                    x = layer(x)
                highest = x.max(axis=1)
                word = x[:, position.word] - highest
                x -= highest[:, None]
                np.exp(x, out=x)
                result[part, index] = word - np.log(x.sum(axis=1))
        return result

    def gradients(self, positions: Sequence[Position], sketch: np.ndarray) -> np.ndarray:
        """Return how each word's log-probability changes with the sketch, float32 [positions, S].

        Args:
            positions: Of a sentence.
            sketch: Of the image at which it is known, float32 [S].
        """
        result = np.empty((len(positions), self.sketch_size), np.float32)
        context = self._context(sketch)
        for index, position in enumerate(positions):
            total = context + position.hidden
            x = np.maximum(total, 0)
            for layer in self._weights.logits:
                x = layer(x)
            x = np.exp(x - x.max())
            gradient = -x / x.sum()
            gradient[position.word] += 1
            for layer in reversed(self._weights.logits):
                gradient = gradient @ layer.weights
            result[index] = (gradient * (total > 0)) @ self._context.weights
        return result

    def tag_logits(self, sketches: np.ndarray, tags: Sequence[int]) -> np.ndarray:
        """Return the logits of some tags, float32 [images, tags].

        Args:
            sketches: Of the images, float32 [images, S].
            tags: Their indices.
        """
        x = np.maximum(self._context(sketches), 0)
        *layers, last = self._weights.tags
        for layer in layers:
            x = layer(x)
        return x @ last.weights[tags].T + last.bias[tags]
