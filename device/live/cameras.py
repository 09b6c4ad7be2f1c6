"""Several cameras of a live run: opened at the same time, each with a status of its own."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import NamedTuple

from ..addresses import without_secrets
from ..config.settings import CameraConfig, Config, camera_configs
from ..errors import CameraError, PicaptionError
from ..log import one_line
from ..sources.round_robin import RoundRobinReader
from ..sources.source import Source, SourceStatus
from ..sources.video_file import PlayedSource

#: So long the run waits for cameras to open before it begins with those that have.
OPENING_SECONDS = 1.0

#: Returns the source that a text names, as a Config asks.
SourceOpener = Callable[[str, Config], Source]


class OpenedName(NamedTuple):
    """How a camera's source is called, and what the camera calls itself."""

    source: str
    model: str


class Cameras:
    """The cameras of a Config, open or being opened.

    Args:
        config: The settings, with a camera at least.
        open_source: Returns the source that a text names, as a Config asks.

    Attributes:
        reader: Their frames in turn; who closes it closes the cameras.

    Raises:
        PicaptionError: A source is none of a camera, or there is no such source.
    """

    reader: RoundRobinReader

    def __init__(self, config: Config, open_source: SourceOpener) -> None:
        self._open_source = open_source
        configs = camera_configs(config)
        self._names = {
            own.camera_name: OpenedName(without_secrets(own.source), "") for own in configs
        }
        reopen = {own.camera_name: partial(self._reopen, own) for own in configs}
        opening = {own.camera_name: _start(partial(self._open, own)) for own in configs}
        try:
            opened = _wait(opening)
        except BaseException:
            for future in opening.values():
                future.add_done_callback(_close_source)
            raise
        stalls = {own.camera_name: own.stall for own in configs}
        self.reader = RoundRobinReader(opened, reopen, stalls, config.retries)

    def status(self, name: str, is_paused: bool = False) -> SourceStatus:
        """Return what is known of a camera now; any thread may ask.

        Args:
            name: The camera's name.
            is_paused: Whether its frames are left alone.
        """
        reader = self.reader.readers[name]
        opened = self._names[name]
        return SourceStatus(
            one_line(opened.source),
            one_line(opened.model),
            reader.problem,
            reader.failures,
            is_paused,
        )

    def _open(self, config: CameraConfig) -> Source:
        source = self._open_source(config.source, config)
        if not source.live:
            if source.stills or not source.rate:
                source.close()
                raise PicaptionError(
                    f"camera {config.camera_name!r}: {source.name} is not a camera: give a camera, "
                    "a stream or a video file"
                )
            source = PlayedSource(source)
        self._names[config.camera_name] = OpenedName(source.name, getattr(source, "model", ""))
        return source

    def _reopen(self, config: CameraConfig) -> Source:
        try:
            return self._open(config)
        except CameraError:
            raise
        except PicaptionError as error:
            # Of one of several, whatever is wrong is no reason to end the run.
            raise CameraError(str(error)) from None


def _start(open_camera: Callable[[], Source]) -> "Future[Source]":
    """Open a camera in a thread of its own."""
    future: Future[Source] = Future()

    def run() -> None:
        try:
            future.set_result(open_camera())
        except BaseException as error:  # it belongs to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name="open", daemon=True).start()
    return future


def _wait(
    opening: Mapping[str, "Future[Source]"],
) -> dict[str, Source | CameraError | Callable[[], Source]]:
    """Return what each camera has come to after a moment: open, failed, or still being opened.

    Raises:
        PicaptionError: There is no such source.
    """
    end = time.monotonic() + OPENING_SECONDS
    opened: dict[str, Source | CameraError | Callable[[], Source]] = {}
    for name, future in opening.items():
        try:
            opened[name] = future.result(max(0.0, end - time.monotonic()))
        except FutureTimeoutError:
            opened[name] = partial(_finish, future)
        except CameraError as error:
            opened[name] = error
        except PicaptionError as error:
            prefix = f"camera {name!r}"
            message = str(error)
            if not message.startswith(prefix):
                message = f"{prefix}: {message}"
            raise PicaptionError(message) from None
    return opened


def _finish(future: "Future[Source]") -> Source:
    """Return the source of a camera that was still being opened."""
    try:
        return future.result()
    except CameraError:
        raise
    except PicaptionError as error:
        raise CameraError(str(error)) from None


def _close_source(future: "Future[Source]") -> None:
    """Close a source that nobody reads."""
    if future.exception() is None:
        future.result().close()
