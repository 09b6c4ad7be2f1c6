"""What a camera sees, frame by frame: a caption lasts as long as its scene, and scores are steady."""

import math
import time

from .recognizer import TOP_CLASSES, TOP_TAGS
from .result import Score
from .smoothing import Smoother


class SceneTracker:
    """Recognises the frames of one camera: `Watcher(recognizer)(image, frame, captured_at) -> Recognition`.

    Every frame is encoded, tagged and classified. It is captioned where its features are further than the bundle's
    `scene_threshold` from those of the last caption, by cosine distance, or where that caption is `every` seconds old
    (by default, it never is too old). In the same scene, a new caption takes the place of the old one only if it is likelier.
    Within a scene, the scores of tags and classes are averages over about `smoothing` seconds (see picaption.device.recognition.smoothing).
    """

    def __init__(self, recognizer, every=math.inf, smoothing=0.0):
        self._recognizer, self._every = recognizer, every
        metadata = recognizer.model.metadata
        self._threshold = metadata.scene_threshold
        self._tags = Smoother(metadata.tag_threshold, smoothing)
        self._classes = Smoother(metadata.label_threshold, smoothing)
        self._caption = self._evidence = self._features = None
        self._told_at, self._scene, self._changed = 0.0, 0, True

    def __call__(self, image, frame=0, captured_at=None):
        """Return the Recognition of `image`, RGB uint8 [height, width, 3] of any size; its `scene` counts from 1."""
        return self._recognizer.recognize(image, frame, captured_at, self)[0]

    def tell(self, encoded):
        """Return the Caption of the scene that the Encoded shows, and its words' evidence (see picaption.device.bundle.word_evidence)."""
        features, now = encoded.features[0], time.monotonic()
        length = max(math.sqrt(features @ features), 1e-6)
        self._changed = (
            self._features is None
            or 1 - float(features @ self._features) / length > self._threshold
        )
        if self._changed or now - self._told_at >= self._every:
            caption, self._evidence = self._recognizer.tell(encoded)
            if self._changed or caption and caption.log_probability > self._caption.log_probability:
                self._caption = caption
            self._scene += self._changed
            self._features, self._told_at = features / length, now
        return self._caption, self._evidence

    def name(self, tags, classes):
        """Return (tags, classes, unsure, scene) of a Recognition for the scores of this frame, float32 [T], or None, and [C]."""
        now, model, told = time.monotonic(), self._recognizer.model, ()
        if tags is not None:
            self._tags.add(tags, now, self._changed)
            told = self._scores(self._tags, model.metadata.tags, self._tags.ranked_on(TOP_TAGS))
        self._classes.add(classes, now, self._changed)
        named = self._scores(self._classes, model.labels, self._classes.ranked(TOP_CLASSES))
        return told, named, bool(named) and not self._classes.on.any(), self._scene

    def _scores(self, smoother, names, places):
        return tuple([Score(names[place], smoother.scores.item(place)) for place in places])
