"""What an output of the live loop is, and what the loop hands to every one of them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from ..bundle.metadata import Metadata
from ..config.settings import CameraConfig, Config, camera_configs
from ..recognition.result import Recognition
from ..sources.source import SourceStatus
from .control import LoopControl
from .overlay import annotate


class RecognizedFrame:
    """A frame and its Recognition; what several sinks make of them is made once.

    Attributes:
        image: uint8 RGB [height, width, 3], to be read only. The loop reuses its memory once every
            sink's `write` has returned, unless one of them has called `retain_image`.
        recognition: The frame's Recognition.
        seconds: The frame's time in a source that has a rate of its own; None: it is live.
    """

    def __init__(
        self, image: np.ndarray, recognition: Recognition, seconds: float | None = None
    ) -> None:
        self.image = image
        self.recognition = recognition
        self.seconds = seconds
        # Sinks ask from their own threads too.
        self._lock = threading.Lock()
        self._json: dict[str, Any] | None = None
        self._annotated: np.ndarray | None = None
        self._retained = False

    def json(self) -> dict[str, Any]:
        """Return the recognition's JSON form, which all sinks share: do not change it."""
        with self._lock:
            if self._json is None:
                self._json = self.recognition.to_json()
            return self._json

    def annotated(self) -> np.ndarray:
        """Return the image with caption, classes and tags drawn into it, which all sinks share.

        Returns:
            uint8 RGB [height, width, 3] (see picaption.device.outputs.overlay.annotate).
        """
        with self._lock:
            if self._annotated is None:
                self._annotated = annotate(self.image, self.recognition)
            return self._annotated

    def retain_image(self) -> None:
        """Copy the image, at most once, so that it lasts beyond `write`."""
        with self._lock:
            if not self._retained:
                self.image = self.image.copy()
                self._retained = True


class Sink(Protocol):
    """An output of the live loop. The loop calls it from one thread, and waits for it."""

    def write(self, recognized: RecognizedFrame) -> None:
        """Take the next frame and its recognition.

        What it raises ends the run, so a sink that can go on logs its trouble instead.
        """

    def close(self) -> None:
        """Finish what was written and free everything; called once, also after an error."""


@dataclass(frozen=True)
class OutputContext:
    """What an output may want to know of the run, beyond its settings.

    Attributes:
        rate: The source's frames per second; None if it is live.
        bundle: The metadata of the bundle that recognises.
        labels: Its classes; None: not known.
        words: The words that its captions may have; None: not known.
        source_status: Returns what is known of the source now; None: nothing is.
        control: What can be asked of the loop, and what holds in it.
        camera_status: Returns what is known now of one of several cameras, by its name.
    """

    rate: float | None
    bundle: Metadata
    labels: Sequence[str] | None = None
    words: Mapping[str, int] | None = None
    source_status: Callable[[], SourceStatus] | None = None
    control: LoopControl | None = None
    camera_status: Callable[[str], SourceStatus] | None = None

    def of_camera(self, name: str) -> "OutputContext":
        """Return the context of an output that takes the frames of one of several cameras."""
        if self.camera_status is None:
            return self
        return replace(self, source_status=partial(self.camera_status, name))


class ByCamera:
    """An output for each of several cameras, which gets that camera's frames.

    Args:
        sinks: By the cameras' names; they are closed with this one.
    """

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self.sinks = dict(sinks)

    def write(self, recognized: RecognizedFrame) -> None:
        """Pass the frame on to its camera's output."""
        sink = self.sinks.get(recognized.recognition.camera_name or "")
        if sink is not None:
            sink.write(recognized)

    def close(self) -> None:
        """Close all outputs, whatever fails; raises what closing raised."""
        with ExitStack() as stack:
            for sink in self.sinks.values():
                stack.callback(sink.close)


def open_by_camera(
    config: Config,
    context: OutputContext,
    open_one: Callable[[CameraConfig, OutputContext], Sink],
) -> ByCamera:
    """Return an output for each camera of the settings.

    Args:
        config: The settings, with cameras.
        context: What is known of the run.
        open_one: Returns the output for a camera's own settings.

    Raises:
        PicaptionError: One cannot be opened; those that were open by then are closed.
    """
    sinks: dict[str, Sink] = {}
    with ExitStack() as cleanup:
        for own in camera_configs(config):
            sink = open_one(own, context.of_camera(own.camera_name))
            cleanup.callback(sink.close)
            sinks[own.camera_name] = sink
        cleanup.pop_all()
    return ByCamera(sinks)
