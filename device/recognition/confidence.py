"""A caption's confidence: how likely every object that it names is in the image.

Logistic regression on a few inputs, with the weights of the bundle
(picaption.device.bundle.metadata.Confidence):

    z = bias + weights . inputs        confidence = 1 / (1 + exp(-z))

The score of the named class that is the least likely says most. How likely the captioner holds its
words says little: it is as sure of an object that it only expects there. Of a caption that names no
class nothing is known: its confidence stays below the threshold.
"""

import math
from collections.abc import Sequence

import numpy as np

from ..bundle.metadata import Confidence, Metadata
from ..bundle.object_words import ClassPhrases, named_classes

#: The inputs, by the names of their weights, in the order of `confidence_inputs`.
INPUTS = ("lowest_score", "other_score", "word_log_probability", "objects", "lowest_tag")
#: Which of them is the number of classes that a caption names.
OBJECTS = INPUTS.index("objects")
#: Scores are taken as 1 - LARGEST_SCORE to LARGEST_SCORE, whose log-odds are bounded.
LARGEST_SCORE = 0.99
#: No caption names more objects than count.
MAX_OBJECTS = 5
#: How far below the threshold a caption stays that names no class.
BELOW_THRESHOLD = 0.001
#: The mean log-probability of words counts down to this.
LOWEST_LOG_PROBABILITY = -5.0


def index_object_tags(metadata: Metadata) -> dict[str, int]:
    """Return which of a bundle's tags are words for its classes, by the word."""
    words = {word for phrases in metadata.object_words for text in phrases for word in text.split()}
    return {tag: index for index, tag in enumerate(metadata.tags) if tag in words}


def confidence_inputs(
    words: Sequence[str],
    log_probability: float,
    class_scores: np.ndarray,
    phrases: ClassPhrases,
    tag_scores: Sequence[float] = (),
) -> np.ndarray:
    """Return the inputs of a caption's confidence, float64 [5], in the order of INPUTS.

    These are the log-odds of the lowest score of the classes that the caption names, and of the
    highest score of the others, 0 where there are none; the mean log-probability of the words and
    the end; how many classes it names; and the log-odds of its lowest tag, 0 without one.

    Args:
        words: The caption's words.
        log_probability: Natural logarithm, summed over the words and the end.
        class_scores: Probabilities of the classes, float32 [C].
        phrases: What the words name (picaption.device.bundle.object_words).
        tag_scores: The scores of those words that are tags and words for classes.
    """
    named = list(named_classes(words, phrases))
    is_other = np.ones(len(class_scores), bool)
    is_other[named] = False
    named_scores = class_scores[named]
    other_scores = class_scores[is_other]
    return np.array(
        [
            log_odds(float(named_scores.min())) if len(named_scores) else 0.0,
            log_odds(float(other_scores.max())) if len(other_scores) else 0.0,
            max(LOWEST_LOG_PROBABILITY, log_probability / (len(words) + 1)),
            min(MAX_OBJECTS, len(named)),
            log_odds(min(tag_scores)) if tag_scores else 0.0,
        ]
    )


def log_odds(score: float) -> float:
    """Return log(p / (1 - p)) of a score, 0 to 1, which counts as at most LARGEST_SCORE sure."""
    bounded = min(LARGEST_SCORE, max(1 - LARGEST_SCORE, score))
    return math.log(bounded / (1 - bounded))


def confidence_weights(confidence: Confidence) -> np.ndarray:
    """Return the weights of the inputs, float64 [5], in the order of INPUTS."""
    return np.array([getattr(confidence, name) for name in INPUTS])


def caption_confidence(confidence: Confidence, inputs: np.ndarray) -> float:
    """Return a caption's confidence, 0 to 1.

    Args:
        confidence: Weights, of a bundle's metadata.
        inputs: Of `confidence_inputs`.
    """
    if not inputs[OBJECTS]:
        return max(0.0, confidence.threshold - BELOW_THRESHOLD)
    logit = confidence.bias + float(confidence_weights(confidence) @ inputs)
    return 1 / (1 + math.exp(-min(700.0, max(-700.0, logit))))
