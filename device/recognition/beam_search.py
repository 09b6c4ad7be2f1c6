"""Beam search over an n-gram model, one small function per rule."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from ..bundle.metadata import Beam
from ..bundle.vocabulary import END_ID, START_ID, UNKNOWN_ID
from .guidance import WordBonuses


class Hypothesis(NamedTuple):
    """A finished caption.

    Attributes:
        words: word ids, without start and end.
        log_probability: of the words and the end, without the bonuses of a guided search.
        score: what captions are ranked by.
    """

    words: tuple[int, ...]
    log_probability: float
    score: float


@dataclass
class Beams:
    """The open hypotheses, one a row; the rows that are not in use are impossible.

    Attributes:
        history: the last words of each, int32 [width, order-1].
        totals: log-probabilities, and the bonuses of a guided search, float32 [width].
        words: the word ids of each.
    """

    history: np.ndarray
    totals: np.ndarray
    words: list[tuple[int, ...]]


#: A way to go on: the row of a hypothesis, the id of the next word, and their total.
Candidate = tuple[int, int, float]


def beam_search(
    next_word: Callable[[np.ndarray], np.ndarray],
    order: int,
    beam: Beam,
    tag_scores: np.ndarray | None = None,
    bonuses: WordBonuses | None = None,
) -> list[Hypothesis]:
    """Return the best captions.

    A caption's score is its log-probability divided by a power of its length, the end included.
    No word pair occurs twice in a caption, and none ends before `min_words`. One that would go on
    beyond `max_words` is cut there, and only where no other has ended.

    Args:
        next_word: history int32 [width, order-1] -> log-probabilities float32 [width, V].
        order: of the n-grams.
        beam: the settings of the search.
        tag_scores: how far the image calls for each word, float32 [V]. With them, finished
            captions are ranked by score + `beam.tag_weight` * the sum over their different words:
            among likely sentences, the words in the image choose (Fang et al., "From Captions to
            Visual Concepts and Back", CVPR 2015). They do not guide the search itself, where they
            would make captions short.
        bonuses: what the words get in the search besides their log-probabilities, and finished
            captions in the choice among them; None for nothing.

    Returns:
        Up to `beam.width` of them, best first.
    """
    beams = create_beams(beam.width, order)
    finished: list[Hypothesis] = []
    for length in range(beam.max_words + 1):
        scores = next_word(beams.history)
        forbid_special_words(scores, may_end=length >= beam.min_words)
        forbid_repeated_pairs(scores, beams.words)
        if bonuses is not None:
            bonuses.add(scores, beams.words)
        scores += beams.totals[:, None]
        open_candidates: list[Candidate] = []
        for row, word_id, total in best_candidates(scores, beam.width):
            if word_id == END_ID:
                finished.append(finish(beams.words[row], total, beam))
            elif len(open_candidates) < beam.width:
                open_candidates.append((row, word_id, total))
        if length == beam.max_words:
            # A caption cut short is better than none.
            finished = finished or cut_short(scores[:, END_ID], beams.words, beam)
            break
        if not open_candidates or is_decided(open_candidates[0][2], finished, length, beam):
            break
        gather_beams(beams, open_candidates)
    if bonuses is not None:
        finished = [settle_bonuses(hypothesis, bonuses) for hypothesis in finished]
    if tag_scores is not None:
        finished = [add_tag_scores(hypothesis, tag_scores, beam) for hypothesis in finished]
    return sorted(finished, key=attrgetter("score"), reverse=True)[: beam.width]


def create_beams(width: int, order: int) -> Beams:
    """Return Beams with one hypothesis, the start of a sentence."""
    history = np.full((width, order - 1), START_ID, np.int32)
    totals = np.full(width, -np.inf, np.float32)
    totals[0] = 0
    return Beams(history, totals, [()] * width)


def forbid_special_words(scores: np.ndarray, may_end: bool) -> None:
    """Make words that no caption holds impossible in `scores`, float32 [width, V], in place."""
    scores[:, START_ID] = -np.inf
    scores[:, UNKNOWN_ID] = -np.inf
    if not may_end:
        scores[:, END_ID] = -np.inf


def forbid_repeated_pairs(scores: np.ndarray, words: list[tuple[int, ...]]) -> None:
    """Make words impossible that would repeat a word pair of their hypothesis, in place."""
    for row, caption in enumerate(words):
        if caption and caption[-1] in caption[:-1]:
            repeated = [after for word, after in zip(caption, caption[1:]) if word == caption[-1]]
            scores[row, repeated] = -np.inf


def best_candidates(scores: np.ndarray, width: int) -> list[Candidate]:
    """Return the best possible candidates, best first: enough for the next beams.

    Args:
        scores: total log-probabilities of every continuation, float32 [width, V].
        width: at most so many of the best can be ends, so twice as many always suffice.
    """
    size = scores.shape[1]
    flat = scores.ravel()
    indices = top_candidates(flat, 2 * width)
    candidates = []
    for loss, index in sorted(zip((-flat[indices]).tolist(), indices.tolist()))[: 2 * width]:
        if loss == np.inf:
            break
        row, word_id = divmod(index, size)
        candidates.append((row, word_id, -loss))
    return candidates


def top_candidates(values: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the `count` greatest values and of few more, in ascending order.

    The values are cut into many parts; all those are returned that are not below the count-th of
    the parts' maxima. It takes a fifth of the time of np.argpartition.

    Args:
        values: float32 [N].
        count: how many are needed.
    """
    parts = 8 * count
    rows = len(values) // parts
    if not rows:
        return np.arange(len(values))
    maxima = values[: rows * parts].reshape(rows, parts).max(axis=0)
    maxima.sort()
    return np.flatnonzero(values >= maxima[-count])


def finish(words: tuple[int, ...], log_probability: float, beam: Beam) -> Hypothesis:
    """Return the hypothesis of `words` and the end."""
    score = log_probability / (len(words) + 1) ** beam.length_penalty
    return Hypothesis(words, float(log_probability), score)


def cut_short(totals: np.ndarray, words: list[tuple[int, ...]], beam: Beam) -> list[Hypothesis]:
    """Return the open hypotheses, ended where they are; `totals` with the end, float32 [width]."""
    return [
        finish(caption, total, beam) for caption, total in zip(words, totals) if np.isfinite(total)
    ]


def is_decided(best_total: float, finished: list[Hypothesis], length: int, beam: Beam) -> bool:
    """Return whether the best open candidate loses even if it ends now and for nothing."""
    if not finished:
        return False
    bound = best_total / (length + 2) ** beam.length_penalty
    return bound < max(hypothesis.score for hypothesis in finished)


def gather_beams(beams: Beams, candidates: list[Candidate]) -> None:
    """Replace the hypotheses by `candidates`, at most as many as there are rows, in place."""
    count = len(candidates)
    unused = len(beams.words) - count
    rows, word_ids, totals = zip(*candidates)
    if beams.history.size:  # A unigram model has no history.
        beams.history[:count, :-1] = beams.history[list(rows), 1:]
        beams.history[:count, -1] = word_ids
    beams.words = [beams.words[row] + (word_id,) for row, word_id, _ in candidates] + [()] * unused
    beams.totals.fill(-np.inf)
    beams.totals[:count] = totals


def settle_bonuses(hypothesis: Hypothesis, bonuses: WordBonuses) -> Hypothesis:
    """Return the hypothesis with an honest log-probability, and the choice's bonus in its score."""
    words = hypothesis.words
    return Hypothesis(
        words,
        hypothesis.log_probability - bonuses.total(words),
        hypothesis.score + bonuses.choice_score(words),
    )


def add_tag_scores(hypothesis: Hypothesis, tag_scores: np.ndarray, beam: Beam) -> Hypothesis:
    """Return the hypothesis with what the image's tags say for it in its score."""
    called_for = tag_scores[list(set(hypothesis.words))].sum()
    score = hypothesis.score + beam.tag_weight * called_for
    return Hypothesis(hypothesis.words, hypothesis.log_probability, score)
