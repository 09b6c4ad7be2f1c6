"""From a picture to a Recognition: the one way a frame takes, here and in training code."""

import os
import time
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ..bundle.bundle import Bundle, default_bundle
from ..bundle.vocabulary import sentence
from ..bundle.word_evidence import compute_word_evidence
from ..errors import PicaptionError
from ..images import resize
from .beam_search import beam_search
from .result import Caption, Recognition, Score

#: How many classes and at most how many tags a Recognition names.
TOP_CLASSES, TOP_TAGS = 3, 5


def best_caption(model, encoded, beam=None):
    """Return the best caption of a picture, the Encoded of which is given, as a picaption.device.recognition.beam_search.Hypothesis.

    Raises PicaptionError where there is no caption, which takes a vocabulary of next to no words.
    """
    beam, tags = beam or model.metadata.beam, None
    if beam.evidence and encoded.tags is not None:
        tags = np.zeros(len(model.vocabulary), np.float32)
        tags[tag_numbers(model.vocabulary, model.metadata.tags)] = encoded.tags
    found = beam_search(
        lambda history: model.next_word(history, encoded.context), model.metadata.order, beam, tags
    )
    if not found:
        raise PicaptionError(
            "the captioner knows too few words for captions of min_words; convert it with a lower one"
        )
    return found[0]


@lru_cache(maxsize=4)
def tag_numbers(vocabulary, tags):
    """Return the numbers of the words `tags` in a Vocabulary, int [T]; kept, for each frame asks."""
    return np.array(vocabulary.encode(tags))


class Recognizer:
    """Says what a picture shows: `Recognizer(path)(image) -> Recognition`.

    `model` is the path of a bundle or an object with the interface of picaption.device.bundle.bundle.Bundle; `threads` is
    how many the runtime may use (None: its own choice). Raises PicaptionError where the bundle is unusable.
    """

    def __init__(self, model, threads=None, beam=None):
        self.model = Bundle(model, threads) if isinstance(model, (str, os.PathLike)) else model
        self.beam = beam or self.model.metadata.beam
        self._kept = {}

    def __call__(self, image, frame=0, captured_at=None):
        """Return the Recognition of `image`, RGB uint8 [height, width, 3] of any size."""
        return self.recognize(image, frame, captured_at)[0]

    def recognize(self, image, frame=0, captured_at=None, judge=None):
        """Return (Recognition, Encoded): what calling gives, and the features and all tags' scores behind it.

        judge: an object with `tell` and `name`, in place of this one.
        """
        model, clock, judge = self.model, time.perf_counter, judge or self
        captured_at = time.time() if captured_at is None else captured_at
        start = clock()
        picture = self.prepare(image, self._kept)
        resized = clock()
        encoded = model.encode(picture)
        seen = clock()
        caption, evidence = judge.tell(encoded)
        told = clock()
        tags, classes, unsure, scene = judge.name(
            encoded.tags, self._classify(encoded.features, evidence)
        )
        done = clock()
        timings = {
            "preprocess": resized - start,
            "encode": seen - resized,
            "caption": told - seen,
            "classify": done - told,
            "total": done - start,
        }
        timings = {stage: seconds * 1e3 for stage, seconds in timings.items()}
        return Recognition(
            caption, tags, classes, timings, frame, captured_at, unsure, scene
        ), encoded

    def tell(self, encoded):
        """Return the Caption of a picture, the Encoded of which is given, and the words' evidence, where there are classes for
        which it speaks; None and None without a captioner."""
        if encoded.context is None:
            return None, None
        said = best_caption(self.model, encoded, self.beam)
        words = self.model.vocabulary.decode(said.words)
        return Caption(sentence(words), words, said.log_probability), self.evidence(
            encoded
        ) if self.model.labels else None

    def class_scores(self, image):
        """Return the classes' probabilities for `image`, float32 [classes]."""
        encoded = self.model.encode(self.prepare(image))
        return self._classify(encoded.features, self.evidence(encoded))

    def evidence(self, encoded):
        """Return the words' evidence for a picture, float32 [V] (see picaption.device.bundle.word_evidence), or None without a captioner."""
        return (
            None if encoded.context is None else compute_word_evidence(self.model, encoded.context)
        )

    def prepare(self, image, kept=None):
        """Return `image` in the shape that `encode` takes; `kept` as picaption.device.images.resize takes it."""
        wanted = self.model.metadata.input
        return resize(image, wanted.height, wanted.width, wanted.resize, kept)

    def _classify(self, features, evidence):
        return (
            self.model.classify(features, evidence)
            if self.model.labels
            else np.empty(0, np.float32)
        )

    def name(self, tags, classes):
        """Return (tags, classes, unsure, scene) of a Recognition for scores of tags, float32 [T], or None, and classes, [C]."""
        metadata, told = self.model.metadata, ()
        if tags is not None:
            told = tuple(
                tag
                for tag in best_scores(metadata.tags, tags, TOP_TAGS)
                if tag.score >= metadata.tag_threshold
            )
        unsure = bool(len(classes) and classes.max() < metadata.label_threshold)
        return told, best_scores(self.model.labels, classes, TOP_CLASSES), unsure, 0


def open_recognizer(bundle=None, threads=None, beam=None):
    """Return the Recognizer of the bundle at that path, the shipped one for None, with so many threads and a beam that wide."""
    model = Bundle(bundle or default_bundle(), threads)
    return Recognizer(model, beam=beam and replace(model.metadata.beam, width=beam))


def best_scores(names, scores, count):
    """Return the `count` highest of `scores` with their names, best first, as a tuple of Score."""
    order = np.argsort(-scores, kind="stable")[:count]
    return tuple(Score(names[index], float(scores[index])) for index in order)
