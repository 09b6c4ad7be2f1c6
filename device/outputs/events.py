"""What is done when a word, a class or another caption appears: a program is run, or an address is sent the recognition."""

import logging
import os
import re
import shutil
import signal
import subprocess
import time
from datetime import datetime

from ..errors import PicaptionError
from .webhooks import WebhookPoster

#: Programs that run at once, and the seconds that each may.
PROGRAMS, SECONDS = 4, 60.0
#: Seconds that `close` gives to programs.
CLOSE = 1.0

_FIELD = re.compile(r"\{(caption|class|word|score|time)\}")
_log = logging.getLogger("picaption")


class EventRunner:
    """A sink that does what the Events say, when what they name appears: was not there a frame before.

    A class is there where it is certain: the best one, or one whose score reaches `threshold`, the bundle's. What appears less
    than an event's `every` seconds after that event came last is let go. seconds: those that a program may run.
    Raises PicaptionError where a program cannot be found or an address is none.
    """

    def __init__(self, events, threshold, seconds=SECONDS):
        self._events, self._threshold, self._seconds = events, threshold, seconds
        self._before, self._due = [None] * len(events), [0.0] * len(events)
        self._running, self._trouble = [], set()
        for event in events:
            if event.run and not shutil.which(event.run[0]):
                raise PicaptionError(
                    f"event: there is no program {event.run[0]!r}; install it, or write its whole path"
                )
        posts = [event.post for event in events if event.post]
        self._poster = WebhookPoster(posts) if posts else None

    def write(self, recognized):
        """Do what is due; programs and servers are not waited for."""
        recognition = recognized.recognition
        self._reap()
        for number, event in enumerate(self._events):
            there = _there(event, recognition, self._threshold)
            appeared, self._before[number] = there and there != self._before[number], there
            if appeared and time.monotonic() >= self._due[number]:
                self._due[number] = time.monotonic() + event.every
                if event.run:
                    self._run(event, recognition)
                else:
                    self._poster.put(event.post, recognized.json() | {"event": _described(event)})

    def close(self):
        """Give what is under way a moment, then end it."""
        end = time.monotonic() + CLOSE
        while self._running and time.monotonic() < end:
            time.sleep(0.02)
            self._reap()
        for process, _ in self._running:
            _kill(process)
            process.wait()
        self._running = []
        if self._poster:
            self._poster.close()

    def _run(self, event, recognition):
        if len(self._running) >= PROGRAMS:
            _log.warning(
                "event: %s is not run: %d programs are running still", event.run[0], PROGRAMS
            )
            return
        try:
            # A session of its own: ctrl-C is not for it, and what it starts can be ended with it.
            process = subprocess.Popen(
                arguments(event, recognition),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: an argument that cannot be one
            if event.run[0] not in self._trouble:
                _log.warning("event: %s cannot be run: %s", event.run[0], error)
            self._trouble.add(event.run[0])
            return
        self._running.append((process, time.monotonic() + self._seconds))

    def _reap(self):
        running = []
        for process, end in self._running:
            if process.poll() is not None:
                continue
            if time.monotonic() > end:
                _log.warning(
                    "event: %s is ended: it has run for %g seconds", process.args[0], self._seconds
                )
                _kill(process)
                end = float("inf")
            running.append((process, end))
        self._running = running


def arguments(event, recognition):
    """Return the event's program and arguments with {caption}, {class}, {word}, {score} and {time} filled in, as they are.

    The class is the event's, otherwise the best certain one, and the score is that class'. The program itself, the first of
    them, stays: what a camera sees does not choose it.
    """
    scores = {label.name: label.score for label in recognition.classes}
    name = event.class_ or (next(iter(scores), "") if not recognition.unsure else "")
    values = {
        "caption": recognition.caption.text if recognition.caption else "",
        "class": name,
        "word": event.word,
        "score": f"{scores[name]:.2f}" if name in scores else "",
        "time": datetime.fromtimestamp(recognition.captured_at)
        .astimezone()
        .isoformat(timespec="seconds"),
    }
    program, *others = event.run
    return [program, *(_FIELD.sub(lambda match: values[match[1]], other) for other in others)]


def _there(event, recognition, threshold):
    """Return what the event waits for as far as it is there: whether the word or class is, or the caption's text."""
    if event.class_:
        return not recognition.unsure and any(
            label.name == event.class_ and (place == 0 or label.score >= threshold)
            for place, label in enumerate(recognition.classes)
        )
    if not recognition.caption:
        return False
    if event.word:
        return f" {event.word} ".lower() in f" {' '.join(recognition.caption.words)} ".lower()
    return recognition.caption.text


def _described(event):
    if event.caption:
        return {"caption": True}
    return {"word": event.word} if event.word else {"class": event.class_}


def _kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
