"""From what a user writes to a source: a camera, a stream, a video file, images, or the demo.

A new source is a module with a class that is a Source and an `open_source`, and a line in SOURCES.
"""

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from ..addresses import STREAM_SCHEMES, scheme_of, without_secrets
from ..errors import PicaptionError
from . import csi, demo_frames, image_files, stream, usb, video_file
from .controls import DEFAULT_CONTROLS, Controls
from .source import Source

logger = logging.getLogger(__name__)


class SourceModule(Protocol):
    """A module of SOURCES."""

    def open_source(self, spec: str, controls: Controls) -> Source | None:
        """Return the source that `spec` names; None if it names none of this module's.

        Raises:
            PicaptionError: The source does not work; CameraError if it is a camera.
        """


#: The modules that open sources, in the order in which they are asked.
SOURCES: tuple[SourceModule, ...] = (demo_frames, csi, usb, stream, image_files, video_file)


def open_source(
    spec: str | Path,
    controls: Controls = DEFAULT_CONTROLS,
    sources: Sequence[SourceModule] = SOURCES,
) -> Source:
    """Open the source that `spec` names.

    Args:
        spec: "demo", "picamera2" (or "csi"), a V4L2 camera ("/dev/video0", "0", "usb:0"), the
            address of a stream (rtsp://, http:// and others), a video or image file, a folder of
            images, a pattern of their names ("*.jpg"), or "auto": the first that works of
            picamera2, a V4L2 camera and the demo. Files may be given as file:///PATH and below ~.
        controls: What cameras are asked for; the demo takes its size from them.
        sources: The modules that open sources.

    Raises:
        PicaptionError: There is no such source.
        CameraError: The camera does not work.
    """
    spec = _local_path(str(spec))
    if spec == "auto":
        return _open_first_camera(controls)
    for module in sources:
        source = module.open_source(spec, controls)
        if source is not None:
            return source
    if scheme_of(spec):
        schemes = " ".join(f"{scheme}://" for scheme in STREAM_SCHEMES)
        raise PicaptionError(
            f"there is no source {without_secrets(spec)}; addresses begin with one of {schemes}"
        )
    raise PicaptionError(
        f"there is no source {spec}; give auto, demo, picamera2, /dev/video0, "
        "rtsp://..., http://..., a video file, or a folder or pattern of pictures"
    )


def _local_path(spec: str) -> str:
    """Return the path that file:///PATH or ~/PATH names; any other text as it is."""
    if scheme_of(spec) == "file":
        path = spec.partition("://")[2]
        return unquote(path.removeprefix("localhost"), errors="surrogateescape")
    return os.path.expanduser(spec)


def _open_first_camera(controls: Controls) -> Source:
    """Return the first camera that works, otherwise the demo."""
    cameras: list[Callable[[], Source]] = [partial(csi.Picamera2Source, controls)]
    cameras += [partial(usb.V4L2Camera, path, controls) for path in usb.v4l2_cameras()]
    for open_camera in cameras:
        try:
            return open_camera()
        except PicaptionError as error:
            logger.info("%s", error)
    return demo_frames.Demo(controls.size)
