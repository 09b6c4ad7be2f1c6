"""From an image to a Recognition: the one way of a frame, on the device and in training code.

Look whether there is anything to see, encode the image, classify it with what the captioner expects
to say, caption it by a search that listens to the classes, and name the best tags and classes.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.bundle import Bundle, Encoded, default_bundle
from ..bundle.metadata import Beam, Silence
from ..bundle.names import NameTree
from ..bundle.object_words import index_phrases
from ..bundle.vocabulary import Vocabulary, sentence
from ..bundle.word_evidence import compute_word_evidence
from ..errors import PicaptionError
from ..images import require_image, resize
from .beam_search import Hypothesis, beam_search
from .class_nouns import ClassNamer
from .confidence import caption_confidence, confidence_inputs, index_object_tags
from .guidance import WordBonuses, create_guide
from .model import Model
from .naming import Namer
from .result import Caption, Recognition, Score
from .silence import measure, reason_for_silence
from .stopwatch import Stopwatch

#: How many classes a Recognition names.
TOP_CLASSES = 3
#: How many tags a Recognition names at most.
TOP_TAGS = 5
#: How many names a Recognition has at most.
TOP_NAMES = 3
#: The thresholds of a bundle that says something about every image.
SPEAKS_ALWAYS = Silence()


class Recognizer:
    """Captions, tags and classifies images.

    Args:
        model: the path of a bundle, or a Model.
        threads: how many threads the runtime may use; None leaves the choice to it.
        beam: the beam search in place of the model's own.

    Attributes:
        model: the model.
        beam: the beam search.
        phrases: which classes the words of a caption name.

    Raises:
        PicaptionError: the bundle is unusable.

    Example:
        recognition = Recognizer("everyday.tflite")(read_image("cat.jpg"))
        print(recognition.caption.text)
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str],
        threads: int | None = None,
        beam: Beam | None = None,
    ) -> None:
        if isinstance(model, (str, os.PathLike)):
            model = Bundle(Path(model), threads)
        self.model: Model = model
        self.beam = beam or model.metadata.beam
        self._buffers: dict[str, np.ndarray] = {}
        metadata = model.metadata
        self.phrases = index_phrases(metadata.object_words, metadata.other_things)
        # Without words for the classes, no caption would name any.
        self._confidence = metadata.confidence if metadata.object_words else None
        self._object_tags = index_object_tags(metadata)
        self._name_tree = NameTree(model.names) if model.names else None
        self._guide = create_guide(metadata, model.vocabulary, model.names)
        self._namer: Namer | None = None
        if metadata.naming is not None and metadata.object_words:
            self._namer = Namer(metadata, model.labels, model.names, self.phrases)
        self._class_namer: ClassNamer | None = None
        if any(metadata.class_nouns):
            self._class_namer = ClassNamer(model.labels, metadata.class_nouns)

    def __call__(
        self,
        image: np.ndarray,
        frame: int = 0,
        captured_at: float | None = None,
        camera: dict[str, Any] | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> Recognition:
        """Return the Recognition of an image.

        Args:
            image: uint8 RGB [height, width, 3] of any size.
            frame: the number of the frame.
            captured_at: when it was captured, in seconds since the epoch; None: now.
            camera: what the camera reports about the frame.
            stopwatch: times the frame; None: a new one, from now on.
        """
        stopwatch = stopwatch or Stopwatch()
        if captured_at is None:
            captured_at = time.time()
        prepared, silence = self.look(image, stopwatch)
        if silence is not None:
            return self.say_nothing(silence, stopwatch, frame, captured_at, camera)
        encoded = self.encode_prepared(prepared, stopwatch)
        return self.recognize(encoded, stopwatch, frame, captured_at, camera)

    def look(
        self, image: np.ndarray, stopwatch: Stopwatch, factor: float = 1.0
    ) -> tuple[np.ndarray, str | None]:
        """Prepare an image, and look whether there is anything to see.

        Args:
            image: uint8 RGB [height, width, 3] of any size.
            stopwatch: times it as "preprocess".
            factor: what the bundle's thresholds of silence are multiplied by.

        Returns:
            The image as the model takes it, until the next call; and why nothing can be said about
            it, None if something can.
        """
        prepared = self.prepare(image, self._buffers)
        silence = self.silence(prepared, factor)
        stopwatch.lap("preprocess")
        return prepared, silence

    def silence(self, prepared: np.ndarray, factor: float = 1.0) -> str | None:
        """Return why nothing can be said about a prepared image, None if something can."""
        thresholds = self.model.metadata.silence
        if thresholds == SPEAKS_ALWAYS:
            return None
        return reason_for_silence(measure(prepared), thresholds, factor)

    def say_nothing(
        self,
        silence: str,
        stopwatch: Stopwatch,
        frame: int = 0,
        captured_at: float = 0.0,
        camera: dict[str, Any] | None = None,
        scene: int = 0,
    ) -> Recognition:
        """Return the Recognition of an image that shows nothing, and why it does.

        The stages that are left out have their times, next to nothing, so that every frame of a
        run has the same ones.
        """
        stages = ["encode", "classify", "caption"]
        if self.model.names:
            stages.insert(1, "names")
        for stage in stages:
            stopwatch.lap(stage)
        return Recognition(
            caption=None,
            tags=(),
            classes=(),
            timings=stopwatch.timings(),
            frame=frame,
            captured_at=captured_at,
            unsure=bool(self.model.labels),
            scene=scene,
            camera=camera,
            silence=silence,
        )

    def recognize(
        self,
        encoded: Encoded,
        stopwatch: Stopwatch,
        frame: int = 0,
        captured_at: float = 0.0,
        camera: dict[str, Any] | None = None,
    ) -> Recognition:
        """Return the Recognition of an encoded image; the arguments are those of a call.

        Something is said of it in any case: whether there is anything to see shows before.
        """
        name_scores = self.name_scores(encoded)
        if name_scores is not None:
            stopwatch.lap("names")
        scores = self.classify(encoded, self.class_evidence(encoded))
        stopwatch.lap("classify")
        caption = self.caption(encoded, scores, name_scores)
        stopwatch.lap("caption")
        tags = self._best_tags(encoded.tags)
        classes = best_scores(self.model.labels, scores, TOP_CLASSES)
        threshold = self.model.metadata.label_threshold
        certain = (scores >= threshold).nonzero()[0].tolist()
        return Recognition(
            caption=caption,
            tags=tags,
            classes=classes,
            timings=stopwatch.timings(),
            frame=frame,
            captured_at=captured_at,
            unsure=bool(classes) and not certain,
            camera=camera,
            names=self.best_names(name_scores),
            certain=tuple(score.score >= threshold for score in classes),
            certain_names=tuple([self.model.labels[index] for index in certain]),
            threshold=threshold if classes else None,
            encoded=encoded,
        )

    def encode(self, image: np.ndarray, stopwatch: Stopwatch | None = None) -> Encoded:
        """Return the Encoded of an image, uint8 RGB [height, width, 3] of any size."""
        stopwatch = stopwatch or Stopwatch()
        prepared = self.prepare(image, self._buffers)
        stopwatch.lap("preprocess")
        return self.encode_prepared(prepared, stopwatch)

    def encode_prepared(self, prepared: np.ndarray, stopwatch: Stopwatch) -> Encoded:
        """Return the Encoded of an image in the shape of the model's input."""
        encoded = self.model.encode(prepared)
        stopwatch.lap("encode")
        return encoded

    def caption(
        self,
        encoded: Encoded,
        class_scores: np.ndarray | None = None,
        name_scores: np.ndarray | None = None,
    ) -> Caption | None:
        """Return the Caption of an encoded image; None without a captioner.

        Args:
            encoded: the Encoded of the image.
            class_scores: float32 [C], as `classify` returns them: the search listens to them where
                the bundle says how, and the caption has a confidence; None: neither.
            name_scores: float32 [names], as `name_scores` returns them; None without names.
        """
        vocabulary = self.model.vocabulary
        if vocabulary is None or encoded.context is None:
            return None
        bonuses = None
        if self._guide is not None and class_scores is not None:
            bonuses = self._guide.bonuses(class_scores, name_scores, encoded.tags)
        best, *rest = best_captions(self.model, encoded, self.beam, bonuses)
        words = vocabulary.decode(best.words)
        alternatives = [sentence(vocabulary.decode(hypothesis.words)) for hypothesis in rest]
        caption = Caption(
            sentence(words), words, best.log_probability, alternatives=tuple(alternatives)
        )
        if class_scores is None:
            return caption
        if self._namer is not None:
            if encoded.tags is not None:
                caption = self._namer.with_general_words(caption, encoded.tags)
            caption = self._namer.with_certain_class(caption, class_scores)
        if self._confidence is not None:
            caption = self._with_confidence(caption, class_scores, encoded.tags)
        if self._namer is not None and name_scores is not None:
            caption = self._namer.name_instead(caption, class_scores, name_scores) or caption
        if self._class_namer is not None:
            caption = self._class_namer.rename(caption, class_scores)
        return caption

    def confidence_inputs(
        self, caption: Caption, class_scores: np.ndarray, tag_scores: np.ndarray | None
    ) -> np.ndarray:
        """Return the inputs of a caption's confidence, float64 [5].

        Args:
            caption: the caption.
            class_scores: the classes' probabilities, float32 [C].
            tag_scores: the tags', float32 [T]; None without tags.
        """
        scores = []
        if tag_scores is not None:
            tags = self._object_tags
            scores = [tag_scores.item(tags[word]) for word in caption.words if word in tags]
        return confidence_inputs(
            caption.words, caption.log_probability, class_scores, self.phrases, scores
        )

    def _with_confidence(
        self, caption: Caption, class_scores: np.ndarray, tag_scores: np.ndarray | None
    ) -> Caption:
        """Return a Caption with its confidence; the arguments are those of `confidence_inputs`."""
        assert self._confidence is not None
        inputs = self.confidence_inputs(caption, class_scores, tag_scores)
        confidence = caption_confidence(self._confidence, inputs)
        unsure = confidence < self._confidence.threshold
        return replace(caption, confidence=confidence, unsure=unsure)

    def classify(self, encoded: Encoded, word_evidence: np.ndarray | None) -> np.ndarray:
        """Return the classes' probabilities, float32 [C], of an encoded image.

        Args:
            encoded: the Encoded of the image.
            word_evidence: float32 [V], as `class_evidence` returns it.
        """
        if not self.model.labels:
            return np.empty(0, np.float32)
        return self.model.classify(encoded.features, word_evidence)

    def name_scores(self, encoded: Encoded) -> np.ndarray | None:
        """Return the probabilities of the model's names, float32 [names]; None without names."""
        if not self.model.names:
            return None
        return self.model.name_scores(encoded.features)

    def best_names(self, scores: np.ndarray | None) -> tuple[Score, ...]:
        """Return the names that are certain, the most specific first.

        Args:
            scores: as `name_scores` returns them.
        """
        if scores is None or self._name_tree is None:
            return ()
        threshold = self.model.metadata.name_threshold
        certain = self._name_tree.certain(scores, threshold, TOP_NAMES)
        return tuple([Score(name, score) for name, score in certain])

    def class_scores(self, image: np.ndarray) -> np.ndarray:
        """Return the classes' probabilities, float32 [C], of an image, without its caption."""
        encoded = self.encode(image)
        return self.classify(encoded, self.word_evidence(encoded))

    def class_evidence(self, encoded: Encoded) -> np.ndarray | None:
        """Return the word evidence, float32 [V], for `classify`; None where that needs none."""
        if not self.model.labels:
            return None
        return self.word_evidence(encoded)

    def word_evidence(self, encoded: Encoded) -> np.ndarray | None:
        """Return the word evidence of an encoded image, float32 [V]; None without a captioner."""
        if encoded.context is None:
            return None
        return compute_word_evidence(self.model, encoded.context)

    def prepare(
        self, image: np.ndarray, buffers: dict[str, np.ndarray] | None = None
    ) -> np.ndarray:
        """Return `image` in the shape of the model's input; `buffers` is that of `resize`.

        Raises:
            PicaptionError: it is no uint8 RGB image.
        """
        require_image(image)
        shape = self.model.metadata.input
        return resize(image, shape.height, shape.width, shape.resize, buffers)

    def _best_tags(self, scores: np.ndarray | None) -> tuple[Score, ...]:
        if scores is None:
            return ()
        metadata = self.model.metadata
        best = best_scores(metadata.tags, scores, TOP_TAGS)
        return tuple(tag for tag in best if tag.score >= metadata.tag_threshold)


def open_recognizer(
    bundle: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    beam_width: int | None = None,
) -> Recognizer:
    """Return the Recognizer of a bundle.

    Args:
        bundle: its path; None: the shipped one.
        threads: how many threads the runtime may use; None leaves the choice to it.
        beam_width: hypotheses of the beam search; None: as many as the bundle says.
    """
    model = Bundle(Path(bundle or default_bundle()), threads)
    beam = replace(model.metadata.beam, width=beam_width) if beam_width else None
    return Recognizer(model, beam=beam)


def best_caption(
    model: Model,
    encoded: Encoded,
    beam: Beam | None = None,
    bonuses: WordBonuses | None = None,
) -> Hypothesis:
    """Return the best caption of an encoded image; the arguments are those of `best_captions`."""
    return best_captions(model, encoded, beam, bonuses)[0]


def best_captions(
    model: Model,
    encoded: Encoded,
    beam: Beam | None = None,
    bonuses: WordBonuses | None = None,
) -> list[Hypothesis]:
    """Return the best captions of an encoded image, best first, at least one.

    Args:
        model: a Model with a captioner.
        encoded: the Encoded of the image.
        beam: the beam search; None: the model's own.
        bonuses: what guides the search; None for nothing.

    Raises:
        PicaptionError: there is no caption, which takes a vocabulary of next to no words.
    """
    beam = beam or model.metadata.beam
    context = encoded.context
    assert model.vocabulary is not None and context is not None, "the model has no captioner"
    tag_scores = None
    if beam.tag_weight and encoded.tags is not None:
        tag_scores = np.zeros(len(model.vocabulary), np.float32)
        tag_scores[tag_word_ids(model.vocabulary, model.metadata.tags)] = encoded.tags

    def next_word(history: np.ndarray) -> np.ndarray:
        return model.next_word(history, context)

    captions = beam_search(next_word, model.metadata.order, beam, tag_scores, bonuses)
    if not captions:
        raise PicaptionError(
            "the captioner knows too few words for captions of min_words; "
            "convert it with a lower one"
        )
    return captions


@lru_cache(maxsize=4)
def tag_word_ids(vocabulary: Vocabulary, tags: tuple[str, ...]) -> np.ndarray:
    """Return the word ids of `tags`, int [T]; cached, since each caption needs them."""
    return np.array(vocabulary.encode(tags))


def best_scores(names: Sequence[str], scores: np.ndarray, count: int) -> tuple[Score, ...]:
    """Return the `count` highest of `scores`, float32 [N], with their names, best first."""
    order = np.argsort(-scores, kind="stable")[:count]
    return tuple(Score(names[index], float(scores[index])) for index in order)
