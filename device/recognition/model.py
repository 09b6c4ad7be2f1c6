"""What a Recognizer needs of a model: a bundle, or a training run in float32."""

from typing import Protocol

import numpy as np

from ..bundle.bundle import Encoded
from ..bundle.metadata import Metadata
from ..bundle.names import NamedClass
from ..bundle.vocabulary import Vocabulary


class Model(Protocol):
    """An encoder, with a captioner where it has a vocabulary and a classifier where it has labels.

    `picaption.device.bundle.bundle.Bundle` is one, and so is
    `picaption.models.run_folder.FloatModel`.
    """

    metadata: Metadata
    labels: tuple[str, ...]
    vocabulary: Vocabulary | None
    names: tuple[NamedClass, ...]

    def encode(self, image: np.ndarray) -> Encoded:
        """Return the features, context and tags of a uint8 RGB image [height, width, 3]."""
        ...

    def next_word(self, history: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Return log-probabilities float32 [beam, V] after histories int32 [beam, order-1]."""
        ...

    def classify(self, features: np.ndarray, word_evidence: np.ndarray | None) -> np.ndarray:
        """Return class probabilities float32 [C] of features [1, F] and word evidence [V]."""
        ...

    def name_scores(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities of `names`, float32 [names], by features [1, F]."""
        ...
