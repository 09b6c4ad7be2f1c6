"""The prompts by which a captioner is asked for the words of an image."""

from functools import lru_cache

import numpy as np

from .vocabulary import START_ID


@lru_cache(maxsize=4)
def encode_prompts(vocabulary, texts, order):
    """Return the prompts `texts` as the histories that next_word takes, int32 [P, order-1]; kept, for each frame asks.

    Raises ValueError where one is longer than that, or has a word that the vocabulary lacks.
    """
    histories = np.full((len(texts), order - 1), START_ID, np.int32)
    for history, text in zip(histories, texts):
        words = text.split()
        unknown = [word for word in words if word not in vocabulary.word_ids]
        if unknown or len(words) >= order:
            raise ValueError(
                f"the prompt {text!r} "
                + (f"has the unknown word {unknown[0]!r}" if unknown else "is too long")
            )
        history[order - 1 - len(words) :] = vocabulary.encode(words)
    return histories
