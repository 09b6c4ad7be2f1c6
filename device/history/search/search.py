"""Searching a history: rankings by words and by meaning become one, and scenes like another."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...bundle.bundle import default_bundle, read_trusted
from ..captioner.sketch import Sketcher
from ..reader import HistoryReader, SceneFilter
from ..scene import Scene
from .likeness import rank_by_likeness
from .meaning import MeaningIndex, Ranking
from .words import Synonyms, rank_by_words, split_words

#: Scenes of a ranking that count.
MAX_RANKED = 1000
#: A scene gets 1 / (RANK_OFFSET + rank) from each ranking (Cormack, Clarke and Buettcher,
#: "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009).
RANK_OFFSET = 60
#: What a hit was found by.
WORDS = "words"
MEANING = "meaning"
LIKENESS = "picture"


@dataclass(frozen=True)
class Hit:
    """A scene that was searched for.

    Attributes:
        scene: The scene.
        score: By what hits are ranked: reciprocal ranks, or the cosine of the pictures' features.
        found_by: By which rankings it was found: "words", "meaning", "picture".
    """

    scene: Scene
    score: float
    found_by: tuple[str, ...]


class HistorySearch:
    """Searches a history by the captioner of a bundle; it remembers sketches between searches.

    One thread at a time may use it.

    Args:
        bundle: The path of the bundle that recognises; None: the shipped one.

    Attributes:
        bundle: Its path.

    Raises:
        PicaptionError: There is no such bundle.
    """

    #: What a ranking counts for beside the others, by its name.
    WEIGHTS: ClassVar[dict[str, float]] = {"words": 0.3, "meaning": 1.0, "picture": 1.0}

    def __init__(self, bundle: str | os.PathLike[str] | None = None) -> None:
        self.bundle = Path(bundle or default_bundle())
        contents = read_trusted(self.bundle)
        sketcher = Sketcher(contents)
        self._synonyms = Synonyms(contents)
        self._index = MeaningIndex(sketcher) if sketcher.captioner else None

    def by_text(
        self,
        reader: HistoryReader,
        query: str,
        wanted: SceneFilter | None = None,
        limit: int = 20,
        like: int | None = None,
    ) -> list[Hit]:
        """Return the scenes that a text describes, best first; those that it does not fit are not.

        Args:
            reader: The history.
            query: A sentence, or some words.
            wanted: Which scenes; None: all.
            limit: How many at most.
            like: A scene that they are to be like as well; None: none.
        """
        words = split_words(query)
        rankings = self.rankings(reader, words, wanted)
        fused = fuse(rankings, self.WEIGHTS)
        if like is not None:
            described = {scene_id for scene_id, _, _ in fused} - {like}
            similar = self._similar(reader, like, wanted).ids.tolist()
            rankings.append((LIKENESS, [number for number in similar if number in described]))
            fused = [hit for hit in fuse(rankings, self.WEIGHTS) if hit[0] in described]
        return self._hits(reader, fused, limit)

    def like(
        self,
        reader: HistoryReader,
        scene_id: int,
        wanted: SceneFilter | None = None,
        limit: int = 20,
    ) -> list[Hit]:
        """Return the scenes whose picture is like that of a scene, the most similar first.

        Args:
            reader: The history.
            scene_id: The scene.
            wanted: Which scenes; None: all.
            limit: How many at most.
        """
        ranking = self._similar(reader, scene_id, wanted)
        scored = zip(ranking.ids.tolist(), ranking.scores.tolist())
        return self._hits(reader, [(number, score, (LIKENESS,)) for number, score in scored], limit)

    def _similar(self, reader: HistoryReader, scene_id: int, wanted: SceneFilter | None) -> Ranking:
        """Return the ranking of scenes by how like a scene's picture theirs is."""
        if self._index is not None:
            self._index.load(reader)
        allowed = None if wanted is None else reader.ids(wanted)
        return rank_by_likeness(reader, scene_id, self._index, allowed)

    def rankings(
        self, reader: HistoryReader, words: Sequence[str], wanted: SceneFilter | None = None
    ) -> list[tuple[str, list[int]]]:
        """Return the ids of scenes, best first, by each way to find them, with its name.

        Args:
            reader: The history.
            words: The query's.
            wanted: Which scenes; None: all.
        """
        allowed = None if wanted is None or wanted == SceneFilter() else reader.ids(wanted)
        rankings = []
        limit = MAX_RANKED if allowed is None else -1
        permitted = None if allowed is None else set(allowed)
        span = (allowed[0], allowed[-1]) if allowed else None
        for ids in rank_by_words(reader, self._synonyms.terms(words), limit, span):
            if permitted is not None:
                ids = [number for number in ids if number in permitted][:MAX_RANKED]
            rankings.append((WORDS, ids))
        if self._index is not None:
            self._index.load(reader)
            mask = None if allowed is None else np.isin(self._index.ids, allowed)
            ranking = self._index.rank(self._synonyms.in_vocabulary(words), mask)
            rankings.append((MEANING, ranking.ids.tolist()))
        return rankings

    def _hits(
        self,
        reader: HistoryReader,
        ranked: Iterable[tuple[int, float, tuple[str, ...]]],
        limit: int,
    ) -> list[Hit]:
        hits: list[Hit] = []
        for scene_id, score, found_by in ranked:
            if len(hits) == limit:
                break
            scene = reader.scene(scene_id)
            if scene is not None:
                hits.append(Hit(scene, score, found_by))
        return hits


def fuse(
    rankings: Iterable[tuple[str, Sequence[int]]], weights: dict[str, float] | None = None
) -> list[tuple[int, float, tuple[str, ...]]]:
    """Return the ids of several rankings as one, with their scores and the rankings' names.

    Args:
        rankings: Names, and ids, best first.
        weights: What a ranking counts for by its name; 1 where it is not there.
    """
    scores: dict[int, float] = {}
    names: dict[int, tuple[str, ...]] = {}
    for name, ids in rankings:
        weight = (weights or {}).get(name, 1.0)
        for rank, scene_id in enumerate(ids, 1):
            scores[scene_id] = scores.get(scene_id, 0.0) + weight / (RANK_OFFSET + rank)
            names[scene_id] = (*names.get(scene_id, ()), name)
    order = sorted(scores, key=lambda scene_id: (-scores[scene_id], -scene_id))
    return [(scene_id, scores[scene_id], names[scene_id]) for scene_id in order]
