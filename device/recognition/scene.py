"""What one camera shows: captions last as long as their scene, and scores are steady."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..bundle.bundle import Encoded
from .recognizer import TOP_CLASSES, TOP_TAGS, Recognizer
from .result import Caption, Recognition, Score
from .silence import LEAVE_FACTOR
from .smoothing import Average, Smoother
from .stopwatch import Stopwatch


class SmoothedScores(NamedTuple):
    """The names that a frame shows, by their averages within the scene, as in a Recognition."""

    tags: tuple[Score, ...]
    classes: tuple[Score, ...]
    unsure: bool
    certain: tuple[bool, ...] = ()
    certain_names: tuple[str, ...] = ()


class SceneTracker:
    """Recognises the frames of one camera.

    Every frame is encoded, tagged and classified. It is captioned only where a new scene begins:
    where its features are further than the bundle's `scene_threshold` from those of the last
    captioned frame, by cosine distance; and again where that caption is old. In the same scene, a
    new caption replaces the old one only if its confidence is higher, or, where captions have none,
    if it is likelier. Where there is nothing to see, nothing is said: neither the caption of
    before, nor its classes.

    Args:
        recognizer: recognises single frames.
        caption_every: seconds after which a caption is old.
        smoothing: seconds over which the scores of tags and classes are averaged in a scene.
        clock: returns seconds that never go back.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        caption_every: float = math.inf,
        smoothing: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        metadata = recognizer.model.metadata
        self._recognizer = recognizer
        self._caption_every = caption_every
        self._clock = clock
        self._threshold = metadata.scene_threshold
        self._tags = Smoother(metadata.tag_threshold, smoothing)
        self._classes = Smoother(metadata.label_threshold, smoothing)
        self._names = Average(smoothing)
        self._scene = 0
        self._changed = True
        self._silent = False
        self._due = True
        self._requested = False
        # Of the frame that was captioned last; its features are of unit length.
        self._features: np.ndarray | None = None
        self._captioned_at = 0.0
        self._caption: Caption | None = None
        self._word_evidence: np.ndarray | None = None

    def __call__(
        self,
        image: np.ndarray,
        frame: int = 0,
        captured_at: float | None = None,
        camera: dict[str, Any] | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> Recognition:
        """Return the Recognition of the next frame; its `scene` counts from 1.

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
        # What follows a silent frame has to be clearly better, so that nothing flickers.
        factor = LEAVE_FACTOR if self._silent else 1.0
        prepared, silence = self._recognizer.look(image, stopwatch, factor)
        if silence is not None:
            self.fall_silent()
            return self._recognizer.say_nothing(
                silence, stopwatch, frame, captured_at, camera, self._scene
            )
        self._silent = False
        encoded = self._recognizer.encode_prepared(prepared, stopwatch)
        name_scores = self._recognizer.name_scores(encoded)
        if name_scores is not None:
            stopwatch.lap("names")
        scores = self.classify(encoded)
        smoothed = self.smooth(encoded.tags, scores)
        stopwatch.lap("classify")
        caption = self.caption(encoded, scores, name_scores)
        stopwatch.lap("caption")
        return Recognition(
            caption=caption,
            tags=smoothed.tags,
            classes=smoothed.classes,
            timings=stopwatch.timings(),
            frame=frame,
            captured_at=captured_at,
            unsure=smoothed.unsure,
            scene=self._scene,
            camera=camera,
            names=self.smooth_names(name_scores),
            certain=smoothed.certain,
            certain_names=smoothed.certain_names,
            threshold=self._recognizer.model.metadata.label_threshold if smoothed.classes else None,
            encoded=encoded,
        )

    def fall_silent(self) -> None:
        """End the scene: its caption and averages are forgotten.

        The silent frames are a scene of their own, and what can be seen after them is a new one.
        """
        self._scene += not self._silent
        self._silent = True
        self._requested = False
        self._features = None
        self._caption = None
        self._word_evidence = None

    def caption_next(self) -> None:
        """Caption the next frame: its caption replaces that of the scene, surer or not."""
        self._requested = True

    def classify(self, encoded: Encoded) -> np.ndarray:
        """Return the classes' probabilities of a frame, float32 [C], and note whether it is new.

        The word evidence is that of the frame that is captioned: this one where a new scene begins
        or the caption is old.

        Args:
            encoded: the Encoded of the frame.
        """
        features = encoded.features[0]
        length = max(math.sqrt(features @ features), 1e-6)
        self._changed = (
            self._features is None
            or 1 - float(features @ self._features) / length > self._threshold
        )
        now = self._clock()
        is_old = now - self._captioned_at >= self._caption_every
        self._due = self._changed or self._requested or is_old
        if self._due:
            self._word_evidence = self._recognizer.class_evidence(encoded)
            self._features = features / length
            self._captioned_at = now
        return self._recognizer.classify(encoded, self._word_evidence)

    def caption(
        self,
        encoded: Encoded,
        class_scores: np.ndarray,
        name_scores: np.ndarray | None = None,
    ) -> Caption | None:
        """Return the Caption of the scene that a frame shows.

        Args:
            encoded: the Encoded of the frame.
            class_scores: what `classify` returned for it, float32 [C].
            name_scores: what `Recognizer.name_scores` returned for it, float32 [names], or None.
        """
        if self._due:
            caption = self._recognizer.caption(encoded, class_scores, name_scores)
            if self._changed or self._requested or _likelier(caption, self._caption):
                self._caption = caption
            self._requested = False
            self._scene += self._changed
        return self._caption

    def smooth(self, tag_scores: np.ndarray | None, class_scores: np.ndarray) -> SmoothedScores:
        """Return the best tags and classes, by their averages within the scene.

        Args:
            tag_scores: this frame's, float32 [T]; None without a captioner.
            class_scores: this frame's, float32 [C].
        """
        now = self._clock()
        model = self._recognizer.model
        tags: tuple[Score, ...] = ()
        if tag_scores is not None:
            self._tags.add(tag_scores, now, restart=self._changed)
            tags = _named(self._tags, model.metadata.tags, self._tags.ranked_on(TOP_TAGS))
        self._classes.add(class_scores, now, restart=self._changed)
        indices = self._classes.ranked(TOP_CLASSES)
        classes = _named(self._classes, model.labels, indices)
        certain_indices = self._classes.on.nonzero()[0].tolist()
        certain = tuple([index in certain_indices for index in indices])
        certain_names = tuple([model.labels[index] for index in certain_indices])
        unsure = bool(classes) and not certain_names
        return SmoothedScores(tags, classes, unsure, certain, certain_names)

    def smooth_names(self, scores: np.ndarray | None) -> tuple[Score, ...]:
        """Return the names that are certain by the averages of their scores within the scene.

        Args:
            scores: this frame's, float32 [names]; None without names.
        """
        if scores is None:
            return ()
        self._names.add(scores, self._clock(), restart=self._changed)
        return self._recognizer.best_names(self._names.scores)


def _likelier(new: Caption | None, old: Caption | None) -> bool:
    """Return whether a caption is better than another of its scene: surer, or likelier."""
    if new is None or old is None:
        return False
    if new.confidence is not None and old.confidence is not None:
        return new.confidence > old.confidence
    return new.log_probability > old.log_probability


def _named(smoother: Smoother, names: Sequence[str], indices: Sequence[int]) -> tuple[Score, ...]:
    return tuple([Score(names[index], smoother.scores.item(index)) for index in indices])
