"""Word evidence: how strongly an image calls for each word that the captioner knows.

A caption is one of many that would fit, and holds little of what could be said. So the captioner
is asked how likely every word is after each prompt of the bundle, beginnings such as "on top of a"
that many words can follow. It takes a single call, whatever the caption is.
"""

from typing import Protocol

import numpy as np

from .metadata import Metadata
from .prompts import encode_prompts
from .vocabulary import Vocabulary

#: A word less likely than this after a prompt counts for next to nothing.
REFERENCE_PROBABILITY = 0.001
#: The evidence of a word that is certain after every prompt.
MAX_WORD_EVIDENCE = float(np.log1p(1 / REFERENCE_PROBABILITY))


class CaptionModel(Protocol):
    """What word evidence takes of a model; picaption.device.bundle.bundle.Bundle is one."""

    metadata: Metadata
    vocabulary: Vocabulary | None

    def next_word(self, history: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Return log-probabilities float32 [N, V] of the word after each history."""
        ...


def compute_word_evidence(model: CaptionModel, context: np.ndarray) -> np.ndarray:
    """Return an image's word evidence, the mean over the prompts of log(1 + p / REFERENCE).

    Args:
        model: The captioner, with its prompts and vocabulary.
        context: The image's context, as `encode` returns it, float32 [1, C].

    Returns:
        The evidence of every word, float32 [V]; p is its probability after a prompt.
    """
    assert model.vocabulary is not None
    histories = encode_prompts(model.vocabulary, model.metadata.prompts, model.metadata.order)
    return mean_evidence(model.next_word(histories, context))


def mean_evidence(log_probabilities: np.ndarray) -> np.ndarray:
    """Return the evidence of words by their log-probabilities after P prompts.

    Args:
        log_probabilities: float32 [..., P, V].

    Returns:
        float32 [..., V].
    """
    evidence = np.exp(log_probabilities)
    evidence /= np.float32(REFERENCE_PROBABILITY)
    return np.log1p(evidence, out=evidence).mean(axis=-2)
