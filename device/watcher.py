"""What a camera sees, frame by frame: a caption lasts as long as its scene."""

import math
import time

from device.head import unit


class Watcher:
    """Recognises the frames of one camera: `Watcher(recognizer)(image, frame, captured_at) -> Recognition`.

    Every frame is encoded, tagged and classified. It is captioned where its features are further than the bundle's
    `scene_threshold` from those of the last caption, by cosine distance, or where that caption is `every` seconds old
    (by default, it never is too old). In the same scene, a new caption takes the place of the old one only if it is likelier.
    """

    def __init__(self, recognizer, every=math.inf):
        self._recognizer, self._every = recognizer, every
        self._threshold = recognizer.model.metadata.scene_threshold
        self._caption = self._evidence = self._scene = None
        self._told_at = 0.0

    def __call__(self, image, frame=0, captured_at=None):
        """Return the Recognition of `image`, RGB uint8 [height, width, 3] of any size."""
        return self._recognizer.recognize(image, frame, captured_at, self._tell)[0]

    def _tell(self, encoded):
        features, now = unit(encoded.features[0]), time.monotonic()
        changed = self._scene is None or 1 - features @ self._scene > self._threshold
        if changed or now - self._told_at >= self._every:
            caption, self._evidence = self._recognizer.tell(encoded)
            if changed or caption and caption.log_probability > self._caption.log_probability:
                self._caption = caption
            self._scene, self._told_at = features, now
        return self._caption, self._evidence
