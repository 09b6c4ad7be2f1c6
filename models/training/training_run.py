"""What the stages of a training run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from picaption.device.bundle.metadata import Metadata
from picaption.device.bundle.names import NamedClass
from picaption.device.bundle.vocabulary import Vocabulary

from ..data.batches import Examples
from ..data.dataset import TrainingData
from ..data.readers import Record
from ..data.synthetic_images import SyntheticImages
from ..settings import Settings

if TYPE_CHECKING:
    from ..networks.external import ExternalNetwork


@dataclass(frozen=True)
class CaptionWords:
    """What a run learned from the words of its captions.

    vocabulary: the words that the captioner knows
    tags: the words that the tagger scores
    prompts: beginnings of sentences (picaption.device.bundle.word_evidence)
    """

    vocabulary: Vocabulary
    tags: tuple[str, ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class Features:
    """The encoder's features of the images of TrainingData.

    float32 [N, F] or, for attention, float16 [N, G, F]; None where there are no such images.
    """

    captions: np.ndarray | None
    captions_dev: np.ndarray | None
    labels: np.ndarray | None
    labels_dev: np.ndarray | None
    named: np.ndarray | None = None


@dataclass(frozen=True)
class NamedPhotographs:
    """Photographs of named classes that choose settings.

    features: the encoder's, float [N, F] or [N, G, F]
    classes: what each shows
    """

    features: np.ndarray
    classes: tuple[NamedClass, ...]


@dataclass
class TrainingRun:
    """A training run under way; every stage reads what earlier ones filled in.

    settings: of the recipe
    data_root: the folder that the settings' paths start from
    folder: the run's folder, where every stage leaves its result
    external: the external network that the settings name, or None
    data: the images with their captions and labels
    labelled_captions: how many labelled images have captions of their own, and borrowed ones
    text: captions without images that others borrow, without those of dev images
    words: None without captions
    classes: names of the classes
    metadata: of the bundle to come
    encoder: trained, or as its weights are
    features: of the images, by the encoder
    train, dev: all captions over the features; None without captions, or without dev captions
    synthetic: images that are known by their captions alone, or None
    named: photographs of named classes; None without names
    """

    settings: Settings
    data_root: Path
    folder: Path
    external: ExternalNetwork | None = None
    data: TrainingData = field(init=False)
    labelled_captions: dict[str, int] = field(default_factory=dict)
    text: tuple[Record, ...] = ()
    words: CaptionWords | None = None
    classes: tuple[str, ...] = ()
    metadata: Metadata = field(init=False)
    encoder: keras.Model = field(init=False)
    features: Features = field(init=False)
    train: Examples | None = None
    dev: Examples | None = None
    synthetic: SyntheticImages | None = None
    named: NamedPhotographs | None = None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The captioner's words, None without captions."""
        return self.words.vocabulary if self.words else None
