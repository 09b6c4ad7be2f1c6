"""Events: a program runs, an address gets the recognition, or a snapshot is saved.

That is when something appears: a word of the caption, a certain class, or another caption.
"""

import logging
import math
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...config.checks import PLACEHOLDERS
from ...config.hours import parse_hours
from ...config.settings import Event
from ...recognition.result import Recognition
from ..jpeg import encode_jpeg
from ..sink import RecognizedFrame
from ..subjects import has_class, has_words
from .images import TemporaryImages
from .programs import ProgramRunner
from .snapshots import SnapshotFolder
from .webhooks import WebhookPoster

logger = logging.getLogger(__name__)

_FIELD = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")


class _Watch:
    """An event, whether what it names was there in the last frame, and when it may happen again.

    Args:
        event: The event.
        quiet_hours: When no event happens that has no hours of its own.
    """

    def __init__(self, event: Event, quiet_hours: str = "") -> None:
        self.event = event
        self._hours = parse_hours(event.quiet_hours or quiet_hours)
        self._before: bool | str = False
        self._due = -math.inf

    def happens(self, recognition: Recognition, threshold: float, now: float) -> bool:
        """Return whether the event happens with this frame, and take note of it."""
        subject = _subject(self.event, recognition, threshold)
        appeared = bool(subject) and subject != self._before
        self._before = subject
        if not appeared or now < self._due or self._is_quiet(recognition):
            return False
        self._due = now + self.event.every
        return True

    def _is_quiet(self, recognition: Recognition) -> bool:
        """Return whether a frame was captured in the quiet hours, by this computer's clock."""
        if self._hours is None:
            return False
        return self._hours.contains(datetime.fromtimestamp(recognition.captured_at).time())


class EventRunner:
    """Does what the Events say when what they name appears: it was not there a frame before.

    A class is there if it is certain: it is the best one, or its score reaches the threshold. What
    appears less than an event's `every` seconds after that event's last time is left out.

    Args:
        events: What to do, and when.
        threshold: The bundle's `label_threshold`.
        programs: Runs the programs; it is closed with this sink.
        clock: Returns seconds that never go back.
        quiet_hours: When no event happens that has no hours of its own, such as 22:00-07:00.
        snapshots: Where snapshots are saved; it is closed with this sink.
        by_camera: Which of the events each of several cameras has, by the cameras' names; None:
            there is one source.

    Raises:
        PicaptionError: An address is none.
    """

    def __init__(
        self,
        events: Sequence[Event],
        threshold: float,
        programs: ProgramRunner | None = None,
        clock: Callable[[], float] = time.monotonic,
        quiet_hours: str = "",
        snapshots: SnapshotFolder | None = None,
        by_camera: Mapping[str, Sequence[Event]] | None = None,
    ) -> None:
        for event in dict.fromkeys(events):
            if event.run and not shutil.which(event.run[0]):
                logger.warning(
                    "event: there is no program %r; install it, or write its whole path",
                    event.run[0],
                )
        addresses = [event.post for event in events if event.post]
        self._poster = WebhookPoster(addresses) if addresses else None
        groups: dict[str | None, Sequence[Event]] = {}
        if by_camera is None:
            groups[None] = events
        else:
            groups.update(by_camera)
        # What is there before one camera need not be there before another.
        self._watches = {
            name: [_Watch(event, quiet_hours) for event in group] for name, group in groups.items()
        }
        self._threshold = threshold
        self._programs = programs or ProgramRunner()
        self._images = TemporaryImages()
        self._snapshots = snapshots
        self._clock = clock

    def write(self, recognized: RecognizedFrame) -> None:
        """Do what is due, without waiting for programs and servers."""
        self._programs.reap()
        now = self._clock() if recognized.seconds is None else recognized.seconds
        for watch in self._watches.get(recognized.recognition.camera_name, ()):
            if watch.happens(recognized.recognition, self._threshold, now):
                self._do(watch.event, recognized)

    def _do(self, event: Event, recognized: RecognizedFrame) -> None:
        if event.run:
            self._run(event, recognized)
        elif event.post and self._poster:
            jpeg = encode_jpeg(recognized.image) if event.image else None
            self._poster.put(event.post, recognized.json() | {"event": _to_json(event)}, jpeg)
        if event.save and self._snapshots:
            name = event.class_ or event.word or "caption"
            self._snapshots.save(recognized, name, _to_json(event))

    def _run(self, event: Event, recognized: RecognizedFrame) -> None:
        if not any("{picture}" in argument for argument in event.run[1:]):
            self._programs.run(arguments(event, recognized.recognition))
        elif self._programs.has_room(event.run[0]):
            path = self._images.write(recognized.image)
            self._programs.run(arguments(event, recognized.recognition, path), path)

    def close(self) -> None:
        """Give what is under way a moment, then end it."""
        self._programs.close()
        self._images.close()
        if self._poster:
            self._poster.close()
        if self._snapshots:
            self._snapshots.close()


def arguments(event: Event, recognition: Recognition, path: str = "") -> list[str]:
    """Return the event's program and arguments, with the fields in the arguments filled in.

    These are {caption}, {confidence}, {class}, {word}, {score}, {time}, {picture} and {camera},
    which is "" of a single source. The confidence is the caption's, "" where it has none. The class
    is the event's, otherwise the best certain one, and the score is that class'. The program itself
    stays as it is: what a camera shows does not choose it.

    Args:
        event: The event.
        recognition: What was recognised.
        path: The picture's.
    """
    scores = {label.name: label.score for label in recognition.classes}
    best = "" if recognition.unsure else next(iter(scores), "")
    name = event.class_ or best
    captured_at = datetime.fromtimestamp(recognition.captured_at).astimezone()
    caption = recognition.caption
    confidence = caption.confidence if caption else None
    values = {
        "caption": caption.text if caption else "",
        "confidence": "" if confidence is None else f"{confidence:.2f}",
        "class": name,
        "word": event.word,
        "score": f"{scores[name]:.2f}" if name in scores else "",
        "time": captured_at.isoformat(timespec="seconds"),
        "picture": path,
        "camera": recognition.camera_name or "",
    }

    def fill(argument: str) -> str:
        filled = _FIELD.sub(lambda match: values[match[1]], argument)
        if filled.startswith("-") and not argument.startswith("-"):
            return f" {filled}"  # What a bundle calls a class chooses no option of the program.
        return filled

    program, *rest = event.run
    return [program, *map(fill, rest)]


def _subject(event: Event, recognition: Recognition, threshold: float) -> bool | str:
    """Return whether the event's word or class is there; of a caption event the caption's text."""
    if event.class_:
        return _is_certain(event.class_, recognition, threshold)
    if not recognition.caption:
        return False
    if event.word:
        return has_words(event.word, recognition)
    return recognition.caption.text


def _is_certain(name: str, recognition: Recognition, threshold: float) -> bool:
    if recognition.certain or recognition.certain_names:
        return has_class(name, recognition)
    return not recognition.unsure and any(
        label.name == name and (rank == 0 or label.score >= threshold)
        for rank, label in enumerate(recognition.classes)
    )


def _to_json(event: Event) -> dict[str, Any]:
    """Return what an event waits for, as a post names it."""
    if event.caption:
        return {"caption": True}
    if event.word:
        return {"word": event.word}
    return {"class": event.class_}
