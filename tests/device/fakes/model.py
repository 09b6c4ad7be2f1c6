"""A stand-in for a bundle: it says the same of every image."""

import numpy as np

from picaption.device.bundle.bundle import Encoded
from picaption.device.bundle.metadata import Input, Metadata
from picaption.device.bundle.vocabulary import END_ID, SPECIAL_WORDS, START_ID, Vocabulary

WORDS = ("a", "cat", "with", "green", "eyes")


class StandInModel:
    """Says "a cat with green eyes", cat 0.97 and dog 0.04, tags cat and eyes 0.80."""

    labels = ("cat", "dog")
    vocabulary = Vocabulary((*SPECIAL_WORDS, *WORDS))
    metadata = Metadata(
        "stand-in", input=Input(8, 8), order=2, prompts=("a",), tags=("cat", "eyes")
    )

    names = ()

    def encode(self, image):
        return Encoded(
            np.ones((1, 4), np.float32),
            np.zeros((1, 2), np.float32),
            np.full(2, 0.8, np.float32),
        )

    def next_word(self, history, context):
        ids = [START_ID, *self.vocabulary.encode(WORDS), END_ID]
        after = dict(zip(ids, ids[1:]))
        scores = np.full((len(history), len(self.vocabulary)), -9, np.float32)
        rows = np.arange(len(history))
        scores[rows, [after.get(word, END_ID) for word in history[:, -1].tolist()]] = -0.5
        return scores

    def classify(self, features, word_evidence):
        return np.array([0.97, 0.04], np.float32)
