"""Finding scenes by what a sentence means: how much likelier it is with the picture than without.

For a sentence s and a picture with the sketch x, the captioner tells log P(s | x). Scenes are
ranked by

    log P(s | x) - log P(s | mean picture) - TYPICALITY_WEIGHT * |s| * typicality(x)
        + TAG_WEIGHT * log P(tags that s names | x)

where the typicality is what the captioner says of any sentence for that picture, a word, less its
mean over all pictures. A picture for which that is below LEAST_FIT a word does not show what the
sentence says: no part of it is as likely as it is of any picture. With
100,000 scenes that takes two steps. First, all are ranked by the tangent of log P(s | x) at the
mean picture, one product with the sketches. Of the best CANDIDATES, the EXACT_WORDS words that the
picture changes most are computed exactly, and the others by their tangents.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..captioner.sketch import HASH_BYTES, Sketcher, parse_sketches
from ..database import reading_errors
from ..reader import HistoryReader

#: Scenes that are ranked exactly.
CANDIDATES = 1000
#: Words of a query that are computed exactly.
EXACT_WORDS = 6
#: What typicality and tags count for; chosen on training pictures of Flickr8k and on pictures of
#: COCO's own dev split (picaption.models.evaluation.retrieval says how good they are on others).
TYPICALITY_WEIGHT = 0.3
TAG_WEIGHT = 0.5
#: The least score of a scene that is found, for each word of the sentence and its end. With it, a
#: caption finds its picture among the first ten of 600 training pictures of Flickr8k in 82.2 % of
#: cases, for 82.7 % without; "a giraffe" finds about 80 % of the pictures of COCO's training list
#: that show one, in the mean over its eighty things, and 8 % of all others.
LEAST_FIT = -0.6
#: A tag less likely than this counts no less.
LEAST_TAG = 1e-3
#: Sketches that are multiplied at a time.
BLOCK_SCENES = 8192


class Ranking(NamedTuple):
    """Scenes, best first.

    Attributes:
        ids: Of the scenes, int64 [N].
        scores: float32 [N].
    """

    ids: np.ndarray
    scores: np.ndarray


class MeaningIndex:
    """The sketches of a history's scenes, in memory: 170 bytes each with the shipped bundle.

    Args:
        sketcher: Of a bundle with a captioner: of the scenes that its encoder has encoded.

    Attributes:
        ids: Of the scenes, int64 [N], ascending.
        sketches: Theirs.
    """

    def __init__(self, sketcher: Sketcher) -> None:
        assert sketcher.captioner is not None
        self._sketcher = sketcher
        self._captioner = sketcher.captioner
        self._tags = {word: index for index, word in enumerate(sketcher.tags)}
        self._state: list[tuple[int, int]] | None = None
        self.ids = np.empty(0, np.int64)
        self.sketches = parse_sketches([], self._captioner.sketch_size)
        self._mean = np.zeros(self._captioner.sketch_size, np.float32)

    def load(self, reader: HistoryReader) -> None:
        """Read the sketches, unless the history is as it was."""
        state = _file_state(reader.path)
        if state == self._state:
            return
        with reading_errors(reader.path):
            rows = reader.connection.execute(
                f"SELECT scene, sketch FROM sketch WHERE substr(sketch, 1, {HASH_BYTES}) = ? "
                "ORDER BY scene",
                [self._sketcher.prefix],
            ).fetchall()
            self.ids = np.array([row[0] for row in rows], np.int64)
            self.sketches = parse_sketches([row[1] for row in rows], self._captioner.sketch_size)
        self._mean = np.zeros(self._captioner.sketch_size, np.float32)
        for rows_of_block in _blocks(len(self.ids)):
            self._mean += self.sketches.floats(rows_of_block).sum(axis=0)
        self._mean /= max(len(self.ids), 1)
        self._state = state

    def rank(self, words: Sequence[str], allowed: np.ndarray | None = None) -> Ranking:
        """Return the scenes that a sentence describes, best first.

        Args:
            words: The sentence.
            allowed: Whether each of the scenes may be among them, bool [N]; None: all.

        Returns:
            Up to CANDIDATES of them that the sentence fits; none where the captioner knows no word.
        """
        positions = self._captioner.positions(words)
        if len(positions) < 2 or not len(self.ids):  # The end alone says nothing.
            return Ranking(np.empty(0, np.int64), np.empty(0, np.float32))
        gradients = self._captioner.gradients(positions, self._mean)
        tangents = self.products(gradients.sum(axis=0))
        if allowed is not None:
            tangents[~allowed] = -np.inf
        rows = best_rows(tangents, CANDIDATES)
        sketches = self.sketches.floats(rows)
        changes = (sketches - self._mean) @ gradients.T
        spread = changes.std(axis=0)
        exact = np.sort(np.argsort(-spread, kind="stable")[:EXACT_WORDS])
        exact_positions = [positions[index] for index in exact]
        scores = self._captioner.log_probabilities(exact_positions, sketches)
        scores -= self._captioner.log_probabilities(exact_positions, self._mean[None])
        changes[:, exact] = scores
        typicality = self.sketches.typicality[rows] - self.sketches.typicality.mean()
        scores = changes.sum(axis=1) - TYPICALITY_WEIGHT * len(positions) * typicality
        scores += TAG_WEIGHT * self._tag_scores(words, sketches)
        order = np.argsort(-scores, kind="stable")
        is_fitting = np.isfinite(tangents[rows]) & (scores >= LEAST_FIT * len(positions))
        order = order[is_fitting[order]]
        return Ranking(self.ids[rows[order]], scores[order])

    def products(self, vector: np.ndarray) -> np.ndarray:
        """Return the products of all sketches with a vector, float32 [S], as float32 [N]."""
        result = np.empty(len(self.ids), np.float32)
        for rows in _blocks(len(self.ids)):
            result[rows] = self.sketches.values[rows].astype(np.float32) @ vector
        return result * self.sketches.scales

    def lengths(self) -> np.ndarray:
        """Return the Euclidean lengths of all sketches, float32 [N], at least a little."""
        result = np.empty(len(self.ids), np.float32)
        for rows in _blocks(len(self.ids)):
            result[rows] = np.linalg.norm(self.sketches.floats(rows), axis=1)
        return np.maximum(result, 1e-6)

    def _tag_scores(self, words: Sequence[str], sketches: np.ndarray) -> np.ndarray:
        """Return the log-probabilities of the tags that a sentence names, float32 [images]."""
        tags = [self._tags[word] for word in dict.fromkeys(words) if word in self._tags]
        if not tags:
            return np.zeros(len(sketches), np.float32)
        probabilities = 1 / (1 + np.exp(-self._captioner.tag_logits(sketches, tags)))
        return np.log(np.maximum(probabilities, LEAST_TAG)).sum(axis=1)


def best_rows(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the highest scores, in no order."""
    if len(scores) <= count:
        return np.arange(len(scores))
    return np.argpartition(-scores, count)[:count]


def _file_state(path: str | os.PathLike[str]) -> list[tuple[int, int]]:
    """Return what changes with every commit: times and sizes of the file and its log."""
    state = []
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(f"{os.fspath(path)}{suffix}")
            state.append((status.st_mtime_ns, status.st_size))
    return state


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, BLOCK_SCENES):
        yield slice(start, min(start + BLOCK_SCENES, count))
