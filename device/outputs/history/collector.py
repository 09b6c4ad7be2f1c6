"""From frames to scenes worth a row: what changes in a scene is gathered, short ones are joined."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ...history.scene import Scene
from ...recognition.result import Caption, Recognition, Score
from ..sink import RecognizedFrame

#: A scene that begins so soon after the one before is a part of it: a camera that pans would
#: otherwise fill the history with what nobody wants to find.
JOIN_SECONDS = 2.0
#: After so long without a frame, such as in a pause, a scene is another.
GAP_SECONDS = 300.0
#: A scene that lasts so long is remembered before it ends, and again every UPDATE_SECONDS.
HOLD_SECONDS = 120.0
UPDATE_SECONDS = 600.0


class Origin(NamedTuple):
    """Where a scene comes from.

    Attributes:
        camera: What the camera is called.
        bundle: The path of the bundle that recognises; empty where it is not known.
    """

    camera: str
    bundle: str


class WriteRequest(NamedTuple):
    """A scene to be written.

    Attributes:
        scene: As it is now.
        is_complete: Whether it has ended.
    """

    scene: "OpenScene"
    is_complete: bool


@dataclass
class OpenScene:
    """A scene that goes on.

    Attributes:
        begin: When it began, in seconds since the epoch.
        end: When it was seen last.
        origin: Where it comes from.
        first: The Recognition of its first frame.
        best: The frame of its best caption, whose image and features are remembered.
        peaks: The highest scores of the classes that were certain.
        best_changed: Whether `best` is another since the scene was handed on.
    """

    begin: float
    end: float
    origin: Origin
    first: Recognition
    best: RecognizedFrame
    peaks: dict[str, float] = field(default_factory=dict)
    best_changed: bool = True

    def to_scene(self) -> Scene:
        """Return the scene as it is now; the encoder is not known here."""
        recognition = self.best.recognition
        caption = recognition.caption
        return Scene(
            id=round(self.begin * 1000),
            end=round(self.end * 1000),
            camera=self.origin.camera,
            caption=None if caption is None else caption.text,
            confidence=None if caption is None else caption.confidence,
            unsure=caption is not None and caption.unsure,
            alternatives=() if caption is None else caption.alternatives,
            tags=recognition.tags,
            classes=tuple(Score(*peak) for peak in self.peaks.items()),
            silence=recognition.silence,
        )


class SceneCollector:
    """Gathers scenes from frames, in the loop: a frame of a known scene costs next to nothing.

    Args:
        retain_images: Whether the image of a scene's best frame is needed later.
        find_origin: Returns where the frames come from; asked once a scene.
    """

    def __init__(self, retain_images: bool, find_origin: Callable[[], Origin]) -> None:
        self._retain_images = retain_images
        self._find_origin = find_origin
        self._open: OpenScene | None = None
        self._bundle: object = None
        self._scene = 0
        self._caption: Caption | None = None
        self._due = 0.0

    def add(self, recognized: RecognizedFrame, bundle: object = None) -> list[WriteRequest]:
        """Take the next frame.

        Args:
            recognized: The frame.
            bundle: An object of the bundle that recognises; another means another bundle.

        Returns:
            What is to be written now.
        """
        recognition = recognized.recognition
        requests = []
        current = self._open
        if current is None or self._is_new(current, recognition, bundle):
            if current is not None:
                requests.append(WriteRequest(current, True))
            current = self._begin(recognized)
        elif recognition.scene != self._scene or recognition.caption is not self._caption:
            self._choose(current, recognized)
        self._bundle = bundle
        self._scene = recognition.scene
        self._caption = recognition.caption
        current.end = max(current.end, recognition.captured_at)
        _note_classes(current.peaks, recognition)
        if current.end >= self._due:
            self._due = current.end + UPDATE_SECONDS
            copy = dataclasses.replace(current, peaks=dict(current.peaks))
            current.best_changed = False
            requests.append(WriteRequest(copy, False))
        return requests

    def finish(self) -> OpenScene | None:
        """Return the scene that goes on, which ends now; None without any."""
        current = self._open
        self._open = None
        return current

    def _is_new(self, current: OpenScene, recognition: Recognition, bundle: object) -> bool:
        """Return whether a frame is none of the open scene."""
        if bundle is not self._bundle:
            return True
        now = recognition.captured_at
        if not current.begin <= now <= current.end + GAP_SECONDS:  # Or the clock was set.
            return True
        if recognition.scene == self._scene:
            return False
        if recognition.seconds is not None:  # In a video, its own time counts.
            began = current.first.seconds
            return began is None or recognition.seconds - began >= JOIN_SECONDS
        return recognition.file is not None or now - current.begin >= JOIN_SECONDS

    def _begin(self, recognized: RecognizedFrame) -> OpenScene:
        first = recognized.recognition
        begin = first.captured_at
        if self._retain_images:
            recognized.retain_image()
        self._open = OpenScene(begin, begin, self._find_origin(), first, recognized)
        self._due = begin + HOLD_SECONDS
        return self._open

    def _choose(self, current: OpenScene, recognized: RecognizedFrame) -> None:
        """Take a new caption in place of the scene's if it is better."""
        if _worth(recognized.recognition) <= _worth(current.best.recognition):
            return
        if self._retain_images:
            recognized.retain_image()
        current.best = recognized
        current.best_changed = True


def _note_classes(peaks: dict[str, float], recognition: Recognition) -> None:
    """Note the classes that are certain in a frame, and their scores."""
    for score, is_certain in zip(recognition.classes, recognition.certain):
        if is_certain and score.score > peaks.get(score.name, 0.0):
            peaks[score.name] = score.score
    # Of those beyond the best few, no more is known than that they reach the threshold.
    for name in recognition.certain_names:
        if name not in peaks:
            peaks[name] = recognition.threshold or 0.0


def _worth(recognition: Recognition) -> tuple[bool, float]:
    """Return by what one caption of a scene is better than another: a certain one, before none."""
    caption = recognition.caption
    if caption is None:
        return False, 0.0
    if caption.confidence is None:
        return True, caption.log_probability
    return True, caption.confidence
