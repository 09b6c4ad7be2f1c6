"""The words' evidence: how far a picture calls for each word that the captioner knows.

A caption is one of many that would do, and says little of what could be said. So the captioner is asked: after each prompt of the
bundle, words that much can follow ("on top of a"), how likely is every word? It takes one call, whatever is said in the end.
"""

import numpy as np

from .prompts import encode_prompts

#: What a word's probability is measured against when it becomes evidence: below it, a word counts for next to nothing.
REFERENCE_PROBABILITY = 0.001
#: The evidence of a word that is surely called for.
MAX_WORD_EVIDENCE = float(np.log1p(1 / REFERENCE_PROBABILITY))


def compute_word_evidence(model, context):
    """Return the words' evidence for a picture, the context of which is given, float32 [V]: the mean over the prompts of
    log(1 + p / CALLED), with p the probability of the word after the prompt."""
    asked = encode_prompts(model.vocabulary, model.metadata.prompts, model.metadata.order)
    likely = np.exp(model.next_word(asked, context))
    likely /= np.float32(REFERENCE_PROBABILITY)
    return np.log1p(likely, out=likely).mean(axis=0)
