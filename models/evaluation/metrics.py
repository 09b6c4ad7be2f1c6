"""How good captions and classes are: the figures that the field reports."""

import shutil
from collections import Counter
from contextlib import suppress

import numpy as np

from picaption.device.errors import PicaptionError
from picaption.device.images import quiet_stderr

from ..data.tokenizer import tokenize

#: Articles, prepositions and conjunctions that a finished sentence does not end in. Those that are adverbs just
#: as often ("he looks up", "she waits outside") are not among them.
UNFINISHED = frozenset(
    """
a an the
against alongside among amongst amid at atop beside between beneath during for from in into near of on onto to toward
towards under underneath upon via with within without
and as because but if nor or than that when where whereas while
""".split()
)


def caption_scores(captions, references):
    """Return (scores, each): the scores of captions against what people said of the same pictures, in per cent.

    captions: {picture: caption}; references: {picture: captions}, with every picture of `captions`. `each` is
    {picture: its CIDEr}, whose mean is the score. `scores` is a dict that holds BLEU-1 to BLEU-4 (Papineni et
    al. 2002), METEOR (Denkowski and Lavie 2014; only where Java is there), ROUGE-L (Lin 2004) and CIDEr (Vedantam
    et al. 2015), by pycocoevalcap, rounded to two digits, and "tokenizer": "ptb" (Penn Treebank's, as the COCO
    server takes it; Java) or "simple" (picaption.models.data.tokenizer).
    CIDEr weighs words by how few pictures they are told of: of a single picture it is 0. Raises
    PicaptionError where there is nothing to score, and where pycocoevalcap is missing or Java fails.
    """
    try:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.meteor.meteor import Meteor
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError:
        raise PicaptionError(
            "caption scores need pycocoevalcap: pip install 'picaption[convert]'"
        ) from None
    java = shutil.which("java") is not None
    split = ptb_tokenize if java else simple_tokenize
    told = split({name: [caption] for name, caption in captions.items()})
    references = split({name: list(references[name]) for name in captions})
    if not any(any(sentences) for sentences in references.values()):
        raise PicaptionError("there are no words to compare captions with; check the captions file")
    bleu, _ = Bleu(4).compute_score(references, told, verbose=0)
    scores = {f"BLEU-{n}": score for n, score in enumerate(bleu, 1)}
    if java:
        meteor = checked_java(Meteor)
        try:
            scores["METEOR"] = checked_java(lambda: meteor.compute_score(references, told)[0])
        except PicaptionError:
            if (
                meteor.lock.locked()
            ):  # A compute_score that fails keeps it, and Meteor's end would wait for it.
                meteor.lock.release()
            with suppress(OSError):
                meteor.meteor_p.stdin.close()
            raise
    scores["ROUGE-L"] = Rouge().compute_score(references, told)[0]
    scores["CIDEr"], each = Cider().compute_score(references, told)
    scores = {name: percent(score) for name, score in scores.items()} | {
        "tokenizer": "ptb" if java else "simple"
    }
    return scores, {name: percent(score) for name, score in zip(references, each)}


def simple_tokenize(sentences):
    """Return {picture: [sentence, ...]} with each sentence's words as picaption.models.data.tokenizer finds them, a space between."""
    return {
        name: [" ".join(tokenize(sentence)) for sentence in each]
        for name, each in sentences.items()
    }


def ptb_tokenize(sentences):
    """Return {picture: [sentence, ...]} with the Penn Treebank tokenizer's words, without punctuation; needs Java."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    # One line a sentence: whatever else Java takes for the end of a line becomes a space.
    asked = {
        name: [{"caption": " ".join(sentence.split())} for sentence in each]
        for name, each in sentences.items()
    }
    found = checked_java(lambda: PTBTokenizer().tokenize(asked))
    same = {name: len(each) for name, each in found.items()} == {
        name: len(each) for name, each in asked.items()
    }
    if not same or any(map(any, sentences.values())) and not any(map(any, found.values())):
        raise PicaptionError(
            "the tokenizer's Java fails: try `java -version`, and mend it or take it off the PATH"
        )
    return found


def checked_java(work):
    """Return work(), which talks to Java, and keep what it prints to itself; raises PicaptionError where it fails."""
    try:
        with quiet_stderr():
            return work()
    except (OSError, ValueError) as error:
        raise PicaptionError(
            f"a caption score's Java fails ({error}): try `java -version`, and mend it or take it "
            "off the PATH"
        ) from None


def mean_average_precision(scores, truth):
    """Return (mean, each): each class' average precision, float [classes], and their mean, 0 to 1.

    scores: [N, classes], higher is likelier; truth: bool [N, classes]. Average precision is the sum over the
    thresholds of (recall - recall before) * precision, not interpolated; pictures of equal score pass a
    threshold together. A class without a positive is nan and does not count in the mean. Raises ValueError
    where the shapes differ or a score is nan.
    """
    return precision_of_samples(scores, truth)(np.ones(len(scores), int))


def precision_of_samples(scores, truth):
    """Return a function from how often each picture stands in a sample, int [N], to the sample's mean_average_precision,
    (mean, each), for many samples of the same pictures: these are sorted but once."""
    scores, truth = np.asarray(scores), np.asarray(truth, bool)
    if scores.shape != truth.shape or scores.ndim != 2:
        raise ValueError(
            f"scores {scores.shape} and truth {truth.shape} are not both [pictures, classes]"
        )
    if np.isnan(scores).any():
        raise ValueError("there are scores that are not a number")
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked, hits = np.take_along_axis(scores, order, 0), np.take_along_axis(truth, order, 0)
    # The last rank of those that share a score: there its threshold is passed.
    last = np.where(
        np.vstack([ranked[:-1] != ranked[1:], np.ones_like(ranked[:1], bool)]),
        np.arange(len(scores))[:, None],
        len(scores),
    )
    last = np.minimum.accumulate(last[::-1], axis=0)[::-1]
    places, classes = np.nonzero(hits)
    ends, pictures = last[places, classes], order[places, classes]

    def measure(counts):
        drawn = counts[order]
        seen, found = np.cumsum(drawn, axis=0), np.cumsum(drawn * hits, axis=0)
        precision = found[ends, classes] / np.maximum(seen[ends, classes], 1)
        total, positives = (
            np.bincount(classes, counts[pictures] * precision, scores.shape[1]),
            found[-1],
        )
        each = np.full(scores.shape[1], np.nan)
        np.divide(total, positives, out=each, where=positives > 0)
        return (float(np.nanmean(each)) if positives.any() else float("nan")), each

    return measure


def top_k_accuracy(scores, truth, k):
    """Return the share of pictures, 0 to 1, whose class is among the k best scores; of equal ones the first count.

    scores: [N, classes]; truth: each picture's class number, int [N].
    """
    best = np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
    return float((best == np.asarray(truth)[:, None]).any(axis=1).mean())


def expected_calibration_error(scores, truth, bins=15):
    """Return by how much scores, 0 to 1, differ from the share that is true, in the mean over the scores, 0 to 1.

    scores and truth: arrays of the same shape. Scores are compared in `bins` of equal width (Guo et al., "On Calibration
    of Modern Neural Networks", ICML 2017).
    """
    scores, truth = np.ravel(scores), np.ravel(truth).astype(np.float64)
    bin_of = np.minimum((scores * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(bin_of, scores - truth, bins)).sum() / scores.size)


def precision_and_recall(scores, truth, k):
    """Return (precision, recall) of each picture's k best scores, 0 to 1, their means over the pictures.

    scores: [N, tags], of equal ones the first count; truth: bool [N, tags]. Precision is the share of the k that
    are true, recall the share of the true ones that are among the k, so a picture of more than k cannot reach 1.
    A picture of which nothing is true has precision 0 and does not count in the recall, which is nan where there
    is no other picture. Raises ValueError where the shapes differ.
    """
    scores, truth = np.asarray(scores), np.asarray(truth, bool)
    if scores.shape != truth.shape or scores.ndim != 2:
        raise ValueError(
            f"scores {scores.shape} and truth {truth.shape} are not both [pictures, tags]"
        )
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits, positives = np.take_along_axis(truth, best, 1).sum(1), truth.sum(1)
    some = positives > 0
    recall = float((hits[some] / positives[some]).mean()) if some.any() else float("nan")
    return float(hits.mean() / best.shape[1]), recall


def nearest(features, others):
    """Return the number of the row of `others`, [M, F], that is most like each row of `features`, [N, F]: int [N].

    Alike is what has the largest cosine; of equal ones the first counts.
    """
    features, others = (
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        for rows in (np.asarray(features), np.asarray(others))
    )
    parts = np.split(features, range(256, len(features), 256))
    return np.concatenate([(part @ others.T).argmax(1) for part in parts])


def mean_words(captions):
    """Return how many words a caption has in the mean, rounded to two digits; captions: a sequence of texts."""
    return round(sum(len(tokenize(caption)) for caption in captions) / max(1, len(captions)), 2)


def style(captions, training=None):
    """Return how captions are worded, as a dict: what the scores above do not see.

    captions: a sequence of texts. The dict holds `mean_words`; in per cent, how many are `unfinished` (end in
    an article, preposition or conjunction) and `repeating` (say a pair of neighbouring words twice); how many
    are `distinct`; and with `training`, a set of texts, how many per cent are `new`, that is, none of those
    word for word.
    """
    told = [tuple(tokenize(caption)) for caption in captions]
    count = max(1, len(told))
    pairs = [Counter(zip(words, words[1:])) for words in told]
    figures = {
        "mean_words": mean_words(captions),
        "unfinished": percent(sum(not UNFINISHED.isdisjoint(words[-1:]) for words in told) / count),
        "repeating": percent(sum(max(found.values(), default=0) > 1 for found in pairs) / count),
        "distinct": len(set(told)),
    }
    if training is not None:
        known = {tuple(tokenize(caption)) for caption in training}
        figures["new"] = percent(sum(words not in known for words in told) / count)
    return figures


def percent(share):
    """Return a share of 1 in per cent, as a float of two digits."""
    return round(100 * float(share), 2)
