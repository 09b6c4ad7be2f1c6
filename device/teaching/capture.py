"""Images for a class, taken with a camera."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

from ..images import write_image
from ..sources.source import Source
from .examples import class_name


def capture(camera: Source, folder: Path, count: int, interval: float) -> list[Path]:
    """Write frames of a camera to a folder, as JPEGs with numbers that are not there yet.

    Args:
        camera: an open source.
        folder: the folder; it is made if need be.
        count: how many frames to write.
        interval: seconds from one frame to the next.

    Returns:
        The paths of the frames: fewer than `count` if the camera ends before.
    """
    class_name(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    unused_paths = _unused_paths(folder)
    while len(paths) < count:
        due = time.monotonic() + interval
        frame = camera.read()
        while camera.live and frame is not None and time.monotonic() < due:
            frame = camera.read()  # The frames that a camera has buffered are old.
        if frame is None:
            break
        path = next(unused_paths)
        write_image(path, frame)
        paths.append(path)
    return paths


def _unused_paths(folder: Path) -> Iterator[Path]:
    """Yield the paths of the numbers that no image in `folder` has."""
    for number in itertools.count():
        path = folder / f"{number:04}.jpg"
        if not path.exists():
            yield path
