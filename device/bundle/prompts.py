"""The prompts after which a captioner is asked for the words of an image."""

from functools import lru_cache

import numpy as np

from .vocabulary import START_ID, Vocabulary


@lru_cache(maxsize=4)
def encode_prompts(vocabulary: Vocabulary, texts: tuple[str, ...], order: int) -> np.ndarray:
    """Return prompts as histories; cached, since every frame asks for the same ones.

    Args:
        vocabulary: The captioner's words.
        texts: The prompts, words with spaces between.
        order: The captioner's n-gram order.

    Returns:
        What next_word takes, int32 [prompts, order-1], padded with START_ID on the left.

    Raises:
        ValueError: A prompt is longer than a history, or has a word that the vocabulary lacks.
    """
    histories = np.full((len(texts), order - 1), START_ID, np.int32)
    for history, text in zip(histories, texts):
        words = text.split()
        unknown = [word for word in words if word not in vocabulary.word_ids]
        if unknown:
            raise ValueError(f"the prompt {text!r} has the unknown word {unknown[0]!r}")
        if len(words) >= order:
            raise ValueError(f"the prompt {text!r} is too long")
        history[order - 1 - len(words) :] = vocabulary.encode(words)
    return histories
