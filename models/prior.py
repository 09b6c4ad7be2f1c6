"""Counted n-grams as a prior of the captioner: what people write, beside what the picture calls for."""

import numpy as np

from device.bundle import log_softmax
from device.errors import PicaptionError
from device.vocabulary import UNKNOWN
from models.ngram import next_word


class WithPrior:
    """A model (a bundle, or models.run.KerasModel) whose next word also depends on counted n-grams, log-linearly:

        P(w | h, image) = P_model(w | h, image) * P_counted(w | h) ** weight / Z

    counted, vocabulary: as models.arpa.read_arpa gives them; a word that they do not have counts as unknown. All
    else is the model's own. Raises PicaptionError where the model has no captioner.
    """

    def __init__(self, model, counted, vocabulary, weight):
        if model.vocabulary is None:
            raise PicaptionError("this model has no captioner that a prior could help")
        self._model, self._counted, self._weight = model, next_word(counted), np.float32(weight)
        self._numbers = np.array([vocabulary.numbers.get(word, UNKNOWN) for word in model.vocabulary.words])

    def __getattr__(self, name):
        return getattr(self._model, name)

    def next_word(self, history, context):
        """Return log-probabilities float32 [beam, V] of the word after each history, int32 [beam, order-1]."""
        prior = self._counted(self._numbers[history])[:, self._numbers]
        return log_softmax(self._model.next_word(history, context) + self._weight * prior)
