"""How good captions and classes are: the figures that the field reports."""

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from picaption.device.errors import PicaptionError
from picaption.device.images import quiet_stderr
from picaption.device.recognition.classifier import l2_normalize

from ..data.tokenizer import tokenize

_ARTICLES = "a an the"
_PREPOSITIONS = """
against alongside among amongst amid at atop beside between beneath during for from in into near of
on onto to toward towards under underneath upon via with within without
"""
_CONJUNCTIONS = "and as because but if nor or than that when where whereas while"
#: Words that a finished sentence does not end in. Those that are adverbs just as often ("he looks
#: up", "she waits outside") are not among them.
UNFINISHED = frozenset(f"{_ARTICLES} {_PREPOSITIONS} {_CONJUNCTIONS}".split())

#: Rows of features that are compared with all others at once.
NEIGHBOUR_BATCH = 256

#: Sentences by image.
Sentences = Mapping[str, Sequence[str]]


def caption_scores(
    captions: Mapping[str, str], references: Sentences
) -> tuple[dict[str, Any], dict[str, float]]:
    """Score captions against human ones.

    By pycocoevalcap: BLEU-1 to BLEU-4 (Papineni et al., ACL 2002), METEOR (Denkowski and Lavie, WMT
    2014; with Java only), ROUGE-L (Lin, 2004) and CIDEr (Vedantam et al., CVPR 2015). CIDEr weighs
    a word by how few images' captions have it: of a single image it is 0.

    Args:
        captions: A caption by image.
        references: Human captions by image, of every image in `captions` at least.

    Returns:
        The scores in per cent, rounded to two digits, with "tokenizer": "ptb" (the Penn Treebank's,
        as on the COCO server; needs Java) or "simple" (picaption.models.data.tokenizer); and the
        CIDEr of every image, whose mean is the score.

    Raises:
        PicaptionError: There is nothing to score, pycocoevalcap is missing, or Java fails.
    """
    try:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError:
        raise PicaptionError(
            "caption scores need pycocoevalcap: pip install 'picaption[convert]'"
        ) from None
    has_java = shutil.which("java") is not None
    split = ptb_tokenize if has_java else simple_tokenize
    candidates = split({name: [caption] for name, caption in captions.items()})
    references = split({name: list(references[name]) for name in captions})
    if not any(any(sentences) for sentences in references.values()):
        raise PicaptionError("there are no words to compare captions with; check the captions file")
    bleu, _ = Bleu(4).compute_score(references, candidates, verbose=0)
    scores = {f"BLEU-{order}": score for order, score in enumerate(bleu, 1)}
    if has_java:
        scores["METEOR"] = _meteor(references, candidates)
    scores["ROUGE-L"] = Rouge().compute_score(references, candidates)[0]
    scores["CIDEr"], cider = Cider().compute_score(references, candidates)
    figures: dict[str, Any] = {name: percent(score) for name, score in scores.items()}
    figures["tokenizer"] = "ptb" if has_java else "simple"
    return figures, {name: percent(score) for name, score in zip(references, cider)}


def _meteor(references: Sentences, candidates: Sentences) -> float:
    """Return METEOR, 0 to 1, by its Java program."""
    from pycocoevalcap.meteor.meteor import Meteor

    meteor = _call_java(Meteor)
    try:
        return _call_java(meteor.compute_score, references, candidates)[0]
    except PicaptionError:
        # A compute_score that fails keeps the lock, and Meteor's end would wait for it.
        if meteor.lock.locked():
            meteor.lock.release()
        with suppress(OSError):
            meteor.meteor_p.stdin.close()
        raise


def simple_tokenize(sentences: Sentences) -> dict[str, list[str]]:
    """Return the sentences with words of picaption.models.data.tokenizer, a space between two."""
    return {
        name: [" ".join(tokenize(sentence)) for sentence in image_sentences]
        for name, image_sentences in sentences.items()
    }


def ptb_tokenize(sentences: Sentences) -> dict[str, list[str]]:
    """Return the sentences with the Penn Treebank tokenizer's words, without punctuation.

    Raises:
        PicaptionError: Java fails.
    """
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    # One line a sentence: whatever else Java takes for the end of a line becomes a space.
    lines = {
        name: [{"caption": " ".join(sentence.split())} for sentence in image_sentences]
        for name, image_sentences in sentences.items()
    }
    tokenizer = _call_java(PTBTokenizer)
    words = _call_java(tokenizer.tokenize, lines)
    counts = {name: len(image_lines) for name, image_lines in lines.items()}
    word_counts = {name: len(image_words) for name, image_words in words.items()}
    lost_all = any(map(any, sentences.values())) and not any(map(any, words.values()))
    if word_counts != counts or lost_all:
        raise PicaptionError(
            "the tokenizer's Java fails: try `java -version`, and fix it or take it off the PATH"
        )
    return words


def _call_java(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that runs Java, without Java's stderr; raise PicaptionError if it fails."""
    try:
        with quiet_stderr():
            return function(*arguments)
    except (OSError, ValueError) as error:
        raise PicaptionError(
            f"a caption score's Java fails ({error}): try `java -version`, and mend it or take it "
            "off the PATH"
        ) from None


def mean_average_precision(scores: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean average precision, 0 to 1, and the average precision of each class.

    Average precision is the sum over the thresholds of (recall - recall before) * precision, not
    interpolated; images of equal score pass a threshold together.

    Args:
        scores: [N, C], higher is likelier.
        truth: bool [N, C].

    Returns:
        The mean, and float64 [C]. A class without a positive is nan and does not count.

    Raises:
        ValueError: The shapes differ, or a score is nan.
    """
    return average_precision_of_samples(scores, truth)(np.ones(len(scores), int))


def average_precision_of_samples(
    scores: np.ndarray, truth: np.ndarray
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Return a function that measures samples of the same images, which are sorted only once.

    It takes how often each image is in the sample, int [N], and returns what
    `mean_average_precision` does for it. The parameters are those of that function.
    """
    scores = np.asarray(scores)
    truth = np.asarray(truth, bool)
    if scores.shape != truth.shape or scores.ndim != 2:
        raise ValueError(
            f"scores {scores.shape} and truth {truth.shape} are not both [pictures, classes]"
        )
    if np.isnan(scores).any():
        raise ValueError("there are scores that are not a number")
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, 0)
    hits = np.take_along_axis(truth, order, 0)
    # The last rank of those that share a score: there its threshold is passed.
    is_last = np.vstack([ranked[:-1] != ranked[1:], np.ones_like(ranked[:1], bool)])
    last = np.where(is_last, np.arange(len(scores))[:, None], len(scores))
    last = np.minimum.accumulate(last[::-1], axis=0)[::-1]
    ranks, classes = np.nonzero(hits)
    last_ranks = last[ranks, classes]
    images = order[ranks, classes]

    def measure(counts: np.ndarray) -> tuple[float, np.ndarray]:
        sampled = counts[order]
        passed = np.cumsum(sampled, axis=0)
        hits_passed = np.cumsum(sampled * hits, axis=0)
        precision = hits_passed[last_ranks, classes] / np.maximum(passed[last_ranks, classes], 1)
        total = np.bincount(classes, counts[images] * precision, scores.shape[1])
        positives = hits_passed[-1]
        by_class = np.full(scores.shape[1], np.nan)
        np.divide(total, positives, out=by_class, where=positives > 0)
        mean = float(np.nanmean(by_class)) if positives.any() else float("nan")
        return mean, by_class

    return measure


def top_k_accuracy(scores: np.ndarray, truth: np.ndarray, k: int) -> float:
    """Return the share of images, 0 to 1, whose class is among the k best scores.

    Args:
        scores: [N, C]; of equal ones the first count.
        truth: The class id of each image, int [N].
        k: How many scores count.
    """
    best = np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
    return float((best == np.asarray(truth)[:, None]).any(axis=1).mean())


def expected_calibration_error(scores: np.ndarray, truth: np.ndarray, bins: int = 15) -> float:
    """Return by how much scores differ from the share that is true, on average, 0 to 1.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
        scores: 0 to 1, of any shape.
        truth: Whether each is true, of the same shape.
        bins: Scores are compared in this many bins of equal width.
    """
    scores = np.ravel(scores)
    truth = np.ravel(truth).astype(np.float64)
    bin_ids = np.minimum((scores * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(bin_ids, scores - truth, bins)).sum() / scores.size)


def precision_and_recall(scores: np.ndarray, truth: np.ndarray, k: int) -> tuple[float, float]:
    """Return precision and recall of each image's k best tags, 0 to 1, their means over the images.

    Precision is the share of the k that are true; recall the share of the true ones that are among
    the k, so an image of more than k cannot reach 1. An image without true tags has precision 0 and
    does not count in the recall, which is nan if no image counts.

    Args:
        scores: [N, tags]; of equal ones the first count.
        truth: bool [N, tags].
        k: How many scores count.

    Raises:
        ValueError: The shapes differ.
    """
    scores = np.asarray(scores)
    truth = np.asarray(truth, bool)
    if scores.shape != truth.shape or scores.ndim != 2:
        raise ValueError(
            f"scores {scores.shape} and truth {truth.shape} are not both [pictures, tags]"
        )
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(truth, best, 1).sum(1)
    positives = truth.sum(1)
    has_tags = positives > 0
    recall = float("nan")
    if has_tags.any():
        recall = float((hits[has_tags] / positives[has_tags]).mean())
    return float(hits.mean() / best.shape[1]), recall


def nearest_neighbours(features: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return the index of the most similar candidate for each row of features.

    Args:
        features: [N, F].
        candidates: [M, F].

    Returns:
        int [N]: the candidate with the largest cosine; of equal ones the first.
    """
    features = l2_normalize(np.asarray(features))
    candidates = l2_normalize(np.asarray(candidates))
    parts = np.split(features, range(NEIGHBOUR_BATCH, len(features), NEIGHBOUR_BATCH))
    return np.concatenate([(part @ candidates.T).argmax(1) for part in parts])


def mean_words(captions: Sequence[str]) -> float:
    """Return the mean number of words of captions, rounded to two digits."""
    return round(sum(len(tokenize(caption)) for caption in captions) / max(1, len(captions)), 2)


def style_figures(
    captions: Sequence[str], training: Collection[str] | None = None
) -> dict[str, float]:
    """Return how captions are worded, which the scores do not measure.

    Args:
        captions: The captions.
        training: The captions of the training images.

    Returns:
        `mean_words`; in per cent, how many captions are `unfinished` (end in an article,
        preposition or conjunction) and `repeating` (have a pair of neighbouring words twice); how
        many are `distinct`; and, with `training`, how many per cent are `new`: none of those word
        for word.
    """
    sentences = [tuple(tokenize(caption)) for caption in captions]
    count = max(1, len(sentences))
    unfinished = sum(not UNFINISHED.isdisjoint(words[-1:]) for words in sentences)
    repeating = sum(_has_repeated_pair(words) for words in sentences)
    figures = {
        "mean_words": mean_words(captions),
        "unfinished": percent(unfinished / count),
        "repeating": percent(repeating / count),
        "distinct": len(set(sentences)),
    }
    if training is not None:
        known = {tuple(tokenize(caption)) for caption in training}
        figures["new"] = percent(sum(words not in known for words in sentences) / count)
    return figures


def _has_repeated_pair(words: Sequence[str]) -> bool:
    pairs = Counter(zip(words, words[1:]))
    return max(pairs.values(), default=0) > 1


def percent(share: float | np.floating) -> float:
    """Return a share of 1 in per cent, rounded to two digits."""
    return round(100 * float(share), 2)
