"""Counted n-grams beside the captioner, as its prior, and in its place: what people write, whatever the picture."""

import numpy as np

from picaption.device.bundle.bundle import Encoded, log_softmax
from picaption.device.bundle.metadata import Metadata
from picaption.device.bundle.vocabulary import UNKNOWN_ID
from picaption.device.errors import PicaptionError

from .ngram import next_word


class CountedModel:
    """Counted n-grams behind the interface of picaption.device.bundle.bundle.Bundle: the yardstick that says the same of every picture.

    counted, vocabulary: as picaption.models.language.arpa.read_arpa gives them.
    """

    def __init__(self, counted, vocabulary):
        self.metadata = Metadata("image-free", order=counted.order)
        self.labels, self.vocabulary, self._counted = (), vocabulary, next_word(counted)

    def encode(self, image):
        """Return the Encoded of any picture: there is nothing in it."""
        nothing = np.zeros((1, 1), np.float32)
        return Encoded(nothing, nothing, None)

    def next_word(self, history, context):
        """Return log-probabilities float32 [beam, V] of the word after each history, int32 [beam, order-1]."""
        return self._counted(history)


class ShallowFusion:
    """A model (a bundle, or picaption.models.run_folder.FloatModel) whose next word also depends on counted n-grams, log-linearly:

        P(w | h, image) = P_model(w | h, image) * P_counted(w | h) ** weight / Z

    counted, vocabulary: as picaption.models.language.arpa.read_arpa gives them; a word that they do not have counts as unknown. All
    else is the model's own. Raises PicaptionError where the model has no captioner.
    """

    def __init__(self, model, counted, vocabulary, weight):
        if model.vocabulary is None:
            raise PicaptionError("this model has no captioner that a prior could help")
        self._model, self._counted, self._weight = model, next_word(counted), np.float32(weight)
        self._numbers = np.array(
            [vocabulary.word_ids.get(word, UNKNOWN_ID) for word in model.vocabulary.words]
        )

    def __getattr__(self, name):
        return getattr(self._model, name)

    def next_word(self, history, context):
        """Return log-probabilities float32 [beam, V] of the word after each history, int32 [beam, order-1]."""
        prior = self._counted(self._numbers[history])[:, self._numbers]
        return log_softmax(self._model.next_word(history, context) + self._weight * prior)
