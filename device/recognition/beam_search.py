"""Beam search over an n-gram model."""

from dataclasses import dataclass

import numpy as np

from ..bundle.vocabulary import END_ID, START_ID, UNKNOWN_ID


@dataclass(frozen=True)
class Hypothesis:
    """A caption's word numbers, without start and end, and its log-probability, that of the end included."""

    words: tuple[int, ...]
    log_probability: float


def beam_search(next_word, order, beam, evidence=None):
    """Return up to `beam.width` captions as Hypothesis, best first.

    next_word: history int32 [width, order-1] -> log-probabilities float32 [width, V]
    beam: picaption.device.bundle.metadata.Beam. A caption's score is its log-probability divided by its length, end
    counted, to the power of `length_penalty`. No word pair stands twice in a caption, and none ends
    before `min_words`. One that would go on beyond `max_words` is cut there, and only where no other has ended. The
    search is over when no open caption, did it end at once, would beat the best finished one.
    evidence: float32 [V], how far the picture calls for each word. With it, the captions that the search has finished
    are ranked by their score + `beam.evidence` * the sum over the different words in them: the words that the picture
    calls for choose among sentences that are likely (Fang et al., "From Captions to Visual Concepts and Back", CVPR
    2015). It does not guide the search itself, where it would make captions short.
    """
    width, minimum, maximum = beam.width, beam.min_words, beam.max_words
    history = np.full((width, order - 1), START_ID, np.int32)
    totals = np.full(width, -np.inf, np.float32)
    totals[0] = 0
    words = [()] * width
    finished = []
    for length in range(maximum + 1):
        scores = next_word(history)
        scores[:, START_ID] = scores[:, UNKNOWN_ID] = -np.inf
        if length < minimum:
            scores[:, END_ID] = -np.inf
        for row, said in enumerate(words):
            if said and said[-1] in said[:-1]:
                scores[
                    row, [after for before, after in zip(said, said[1:]) if before == said[-1]]
                ] = -np.inf
        scores += totals[:, None]
        size, flat = scores.shape[1], scores.ravel()
        # At most `width` of the best can be ends, so twice the width always fills the next beam.
        best = top_candidates(flat, 2 * width)
        kept = []
        for loss, place in sorted(zip((-flat[best]).tolist(), best.tolist()))[: 2 * width]:
            if loss == np.inf:
                break
            total, (row, number) = -loss, divmod(place, size)
            if number == END_ID:
                finished.append(_finish(words[row], total, beam))
            elif len(kept) < width:
                kept.append((row, number, total))
        if length == maximum:
            if not finished:  # A caption cut short is better than none.
                finished = [
                    _finish(said, total, beam)
                    for said, total in zip(words, scores[:, END_ID])
                    if np.isfinite(total)
                ]
            break
        # What is open would not beat the best that is finished, could it end now and for nothing.
        if (
            not kept
            or finished
            and kept[0][2] / (length + 2) ** beam.length_penalty
            < max(score for score, _ in finished)
        ):
            break
        rows, numbers, _ = zip(*kept)
        history[: len(kept)] = np.concatenate([history[list(rows)], np.array(numbers)[:, None]], 1)[
            :, 1:
        ]
        words = [words[row] + (number,) for row, number, _ in kept] + [()] * (width - len(kept))
        totals.fill(-np.inf)
        totals[: len(kept)] = [total for _, _, total in kept]
    if evidence is not None:
        finished = [
            (score + beam.evidence * evidence[list(set(found.words))].sum(), found)
            for score, found in finished
        ]
    finished.sort(key=lambda item: -item[0])
    return [hypothesis for _, hypothesis in finished[:width]]


def top_candidates(values, count):
    """Return the places of the `count` greatest of `values`, float32 [N], and of few others, in order: of all not below the
    count-th of the greatest of so many parts. It takes a fifth of the time that np.argpartition does."""
    parts = 8 * count
    rows = len(values) // parts
    if not rows:
        return np.arange(len(values))
    tops = values[: rows * parts].reshape(rows, parts).max(axis=0)
    tops.sort()
    return np.flatnonzero(values >= tops[-count])


def _finish(words, log_probability, beam):
    score = log_probability / (len(words) + 1) ** beam.length_penalty
    return score, Hypothesis(words, float(log_probability))
