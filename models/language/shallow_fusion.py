"""Counted n-grams in decoding: as a prior of the captioner, and in its place as a baseline.

The prior is `picaption evaluate --prior`, and this module alone knows of it. The ablation of
models/pretrained/previous.md decided against it: with a weight of 0.2 CIDEr falls from 52.6 to
51.2, since the captioner has learned how people write. No bundle uses it.
"""

from typing import Any

import numpy as np

from picaption.device.bundle.bundle import Encoded, log_softmax
from picaption.device.bundle.metadata import Metadata
from picaption.device.bundle.names import NamedClass
from picaption.device.bundle.vocabulary import UNKNOWN_ID, Vocabulary
from picaption.device.errors import PicaptionError
from picaption.device.recognition.model import Model

from .ngram import NGramModel, next_word_function


class CountedModel:
    """Counted n-grams as a picaption.device.recognition.model.Model.

    It is the baseline: every image has the same caption.
    """

    def __init__(self, counted: NGramModel, vocabulary: Vocabulary) -> None:
        """Create the model of what picaption.models.language.arpa.read_arpa returns."""
        self.metadata = Metadata("image-free", order=counted.order)
        self.labels: tuple[str, ...] = ()
        self.vocabulary: Vocabulary | None = vocabulary
        self.names: tuple[NamedClass, ...] = ()
        self._counted = next_word_function(counted)

    def encode(self, image: np.ndarray) -> Encoded:
        """Return the same Encoded for every image."""
        nothing = np.zeros((1, 1), np.float32)
        return Encoded(nothing, nothing, None)

    def next_word(self, history: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Return log-probabilities float32 [beam, V] after histories int32 [beam, order-1]."""
        return self._counted(history)

    def classify(self, features: np.ndarray, word_evidence: np.ndarray | None) -> np.ndarray:
        """Return no probabilities: there are no classes."""
        return np.zeros(0, np.float32)

    def name_scores(self, features: np.ndarray) -> np.ndarray:
        """Return no probabilities: there are no names."""
        return np.zeros(0, np.float32)


class ShallowFusion:
    """A model whose next word also depends on counted n-grams, log-linearly.

    P(w | h, image) = P_model(w | h, image) * P_counted(w | h) ** weight / Z (Gulcehre et al., "On
    Using Monolingual Corpora in Neural Machine Translation", 2015). All else is the model's own.
    """

    def __init__(
        self, model: Model, counted: NGramModel, vocabulary: Vocabulary, weight: float
    ) -> None:
        """Put a prior beside a model.

        Args:
            model: A bundle, or a picaption.models.run_folder.FloatModel.
            counted: As picaption.models.language.arpa.read_arpa returns it.
            vocabulary: Its words; one of the model's that is not among them counts as unknown.
            weight: How much the prior counts.

        Raises:
            PicaptionError: The model has no captioner.
        """
        if model.vocabulary is None:
            raise PicaptionError("this model has no captioner that a prior could help")
        self._model = model
        self._counted = next_word_function(counted)
        self._weight = np.float32(weight)
        self._word_ids = np.array(
            [vocabulary.word_ids.get(word, UNKNOWN_ID) for word in model.vocabulary.words]
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def next_word(self, history: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Return log-probabilities float32 [beam, V] after histories int32 [beam, order-1]."""
        prior = self._counted(self._word_ids[history])[:, self._word_ids]
        return log_softmax(self._model.next_word(history, context) + self._weight * prior)
