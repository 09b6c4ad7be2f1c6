"""The words' evidence: how far a picture calls for each word that the captioner knows.

A caption is one of many that would do, and says little of what could be said. So the captioner is asked: after each prompt of the
bundle, words that much can follow ("on top of a"), how likely is every word? It takes one call, whatever is said in the end.
"""

from functools import lru_cache

import numpy as np

from .vocabulary import START

#: What a word's probability is measured against when it becomes evidence: below it, a word counts for next to nothing.
CALLED = 0.001
#: The evidence of a word that is surely called for.
CERTAIN = float(np.log1p(1 / CALLED))


def evidence_of(model, context):
    """Return the words' evidence for a picture, the context of which is given, float32 [V]: the mean over the prompts of
    log(1 + p / CALLED), with p the probability of the word after the prompt."""
    asked = prompts(model.vocabulary, model.metadata.prompts, model.metadata.order)
    likely = np.exp(model.next_word(asked, context))
    likely /= np.float32(CALLED)
    return np.log1p(likely, out=likely).mean(axis=0)


@lru_cache(maxsize=4)
def prompts(vocabulary, texts, order):
    """Return the prompts `texts` as the histories that next_word takes, int32 [P, order-1]; kept, for each frame asks.

    Raises ValueError where one is longer than that, or has a word that the vocabulary lacks.
    """
    histories = np.full((len(texts), order - 1), START, np.int32)
    for history, text in zip(histories, texts):
        words = text.split()
        unknown = [word for word in words if word not in vocabulary.numbers]
        if unknown or len(words) >= order:
            raise ValueError(f"the prompt {text!r} " + (f"has the unknown word {unknown[0]!r}" if unknown else "is too long"))
        history[order - 1 - len(words):] = vocabulary.encode(words)
    return histories
