"""What the loop's frames leave for the thread that publishes: the newest, events, a picture."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...recognition.result import Recognition
from ..control import LoopState
from ..sink import RecognizedFrame
from ..subjects import Subject, missing_class, missing_word

#: The rate is measured over so many frames.
RATE_FRAMES = 10
#: Seconds between two pictures at least.
IMAGE_SECONDS = 1.0
#: Events that wait to be published at most.
MAX_EVENTS = 64


class Watched(NamedTuple):
    """A name that is watched, and whether it is there; None: that is not known."""

    name: str
    present: bool | None


class Headline(NamedTuple):
    """What is published at once when it differs.

    Attributes:
        text: That of the caption, why there is none, or "".
        class_name: The best certain class, or "".
        scene: The number of the scene.
        watched: What is watched, and whether it is there.
        captions: How many captions were made at someone's request.
    """

    text: str
    class_name: str
    scene: int
    watched: tuple[Watched, ...]
    captions: int


@dataclass(frozen=True)
class FrameNews:
    """A frame to publish, and the frames per second then."""

    recognized: RecognizedFrame
    headline: Headline
    fps: float | None


@dataclass(frozen=True)
class EventNews:
    """Something that happened.

    Attributes:
        event_type: One of picaption.device.outputs.mqtt.components.EVENT_TYPES.
        name: What appeared or went; "" for others.
        recognition: Of the frame with which it happened.
        at: When, on the monotonic clock.
    """

    event_type: str
    name: str
    recognition: Recognition
    at: float

    def to_json(self) -> dict[str, Any]:
        """Return what is published."""
        caption = self.recognition.caption
        name = self.recognition.camera_name
        camera = {} if name is None else {"camera_name": name}
        return camera | {
            "event_type": self.event_type,
            "name": self.name,
            "caption": caption.text if caption else None,
            "confidence": caption.confidence if caption else None,
            "scene": self.recognition.scene,
            "captured_at": round(self.recognition.captured_at, 3),
        }


class Intake:
    """Takes frames from the loop, in next to no time; the thread reads the attributes.

    Args:
        subjects: What is watched.
        clock: Returns seconds that never go back.

    Attributes:
        newest: The newest frame.
        events: What happened and is not published yet; the thread takes from its left.
        imaged: The newest frame whose image is to be published; it is retained.
        wants_image: Whether pictures are wanted now.
        is_image_due: Set by the thread: the next frame's image is wanted though nothing changed.
        sightings: When each subject was last there, in seconds since the epoch, by its name.
    """

    def __init__(
        self, subjects: Sequence[Subject], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.newest: FrameNews | None = None
        self.events: deque[EventNews] = deque(maxlen=MAX_EVENTS)
        self.imaged: RecognizedFrame | None = None
        self.wants_image = False
        self.is_image_due = False
        self.sightings: dict[str, float] = {}
        self._subjects = tuple(subjects)
        self._clock = clock
        self._times: deque[float] = deque(maxlen=RATE_FRAMES)
        self._state: LoopState | None = None
        self._known = (True,) * len(self._subjects)
        self._present: dict[str, bool] = {}
        self._imaged_headline: Headline | None = None
        self._imaged_at = float("-inf")

    def write(
        self,
        recognized: RecognizedFrame,
        state: LoopState | None = None,
        looked_for: Subject | None = None,
    ) -> None:
        """Take the next frame.

        Args:
            recognized: The frame.
            state: What holds in the loop; None: not known.
            looked_for: What is looked for at someone's request.
        """
        now = self._clock()
        self._times.append(now)
        seconds = now - self._times[0]
        fps = round((len(self._times) - 1) / seconds, 2) if seconds else None
        if state is not self._state:
            self._state = state
            self._known = tuple(_is_known(subject, state) for subject in self._subjects)
        recognition = recognized.recognition
        watched = self._watch(recognition, looked_for)
        for subject, entry in zip(self._subjects, watched):
            if entry.present:
                self.sightings[subject.name] = recognition.captured_at
        certain = recognition.classes and not recognition.unsure
        headline = Headline(
            recognition.text or "",
            recognition.classes[0].name if certain else "",
            recognition.scene,
            watched,
            _count_captions(state, recognition.camera_name),
        )
        self._note_events(headline, recognition, now)
        self._offer_image(recognized, headline, now)
        self.newest = FrameNews(recognized, headline, fps)

    def _watch(self, recognition: Recognition, looked_for: Subject | None) -> tuple[Watched, ...]:
        """Return what is watched; of a frame in which nothing can be seen nothing is known."""
        is_blind = recognition.silence is not None
        watched = [
            Watched(
                subject.name,
                None if is_blind or not is_known else subject.is_present(recognition),
            )
            for subject, is_known in zip(self._subjects, self._known)
        ]
        if self._state is not None:  # Home Assistant's text may name another one.
            watched.append(Watched("", None))
        if looked_for is not None:
            present = None if is_blind else looked_for.is_present(recognition)
            watched[-1] = Watched(looked_for.name, present)
        return tuple(watched)

    def _note_events(self, headline: Headline, recognition: Recognition, now: float) -> None:
        before = self.newest.headline if self.newest else None
        if recognition.silence is None:
            if before is None or headline.scene != before.scene:
                self.events.append(EventNews("scene", "", recognition, now))
            is_asked = before is not None and headline.captions != before.captions
            if headline.text and (before is None or headline.text != before.text or is_asked):
                self.events.append(EventNews("caption", "", recognition, now))
        for name, present in headline.watched:
            if present is None or present == self._present.get(name, False):
                continue
            self._present[name] = present
            event_type = "appeared" if present else "gone"
            self.events.append(EventNews(event_type, name, recognition, now))

    def _offer_image(self, recognized: RecognizedFrame, headline: Headline, now: float) -> None:
        """Retain the image if somebody may want it: it is of something new, and not too soon."""
        if not self.wants_image or now - self._imaged_at < IMAGE_SECONDS:
            return
        if headline == self._imaged_headline and not self.is_image_due:
            return
        self.is_image_due = False
        self._imaged_headline = headline
        self._imaged_at = now
        recognized.retain_image()
        self.imaged = recognized


def _count_captions(state: LoopState | None, camera_name: str | None) -> int:
    """Return how many captions were made at someone's request, of one of several cameras."""
    if state is None:
        return 0
    if camera_name is None:
        return state.captions
    return state.camera_captions.get(camera_name, 0)


def _is_known(subject: Subject, state: LoopState | None) -> bool:
    """Return whether the bundle in use has the class or the words."""
    if state is None:
        return True
    if subject.is_class:
        return not missing_class(subject.name, state.labels)
    return not missing_word(subject.name, state.words)
