"""Small stand-ins for the device tests: a recognition, sources and a sink that keep count."""

import time
from types import SimpleNamespace

import numpy as np

from picaption.device.errors import CameraError
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.recognition.result import Caption, Recognition, Score
from picaption.device.sources.capture import LatestFrameReader, SequentialReader

#: Red, and large enough for the outputs.
FRAME = np.full((240, 480, 3), (200, 10, 20), np.uint8)


def recognition(
    text="a cat with green eyes",
    classes=(("cat", 0.97), ("dog", 0.04)),
    tags=("cat", "eyes"),
    confidence=None,
    doubted=False,
    **changes,
):
    """Return a Recognition that says so; its caption is unsure if `doubted`."""
    caption = Caption(text, tuple(text.split()), -4.5, confidence, doubted) if text else None
    values = {"timings": {"encode": 9.0, "total": 12.25}, "frame": 3, "captured_at": 1700000000.5}
    return Recognition(
        caption,
        tuple(Score(tag, 0.8) for tag in tags),
        tuple(Score(*score) for score in classes),
        **(values | changes),
    )


def silent(**changes):
    """Return a Recognition of a frame in which it is too dark to tell."""
    return recognition(None, (), (), unsure=True, silence="too dark to tell", **changes)


def recognized(*args, image=FRAME, **changes):
    """Return a RecognizedFrame of `image`, with the `recognition` of the rest."""
    return RecognizedFrame(image, recognition(*args, **changes))


class Counter:
    """Frames that hold their number in every pixel: of `count`, then the end, or `error`."""

    name = "counter"
    stills = False
    rate = None
    metadata = None

    def __init__(self, count, live=True, pause=0.0, error=None, shape=(24, 32)):
        self.count = count
        self.live = live
        self.pause = pause
        self.error = error
        self.shape = shape
        self.number = 0
        self.closed = 0
        self.buffers = set()

    def read(self, into=None):
        time.sleep(self.pause)
        if self.number == self.count:
            if self.error:
                raise CameraError(self.error)
            return None
        frame = np.empty((*self.shape, 3), np.uint8) if into is None else into
        self.buffers.add(frame.ctypes.data)
        frame[:] = self.number % 256
        self.number += 1
        return frame

    def close(self):
        self.closed += 1


class Collector:
    """A sink that collects what it gets: (the image's first value, Recognition)."""

    def __init__(self):
        self.got = []
        self.closed = 0

    def write(self, recognized):
        assert not self.closed
        self.got.append((int(recognized.image[0, 0, 0]), recognized.recognition))

    def close(self):
        self.closed += 1


def parts(source, recognize, *sinks, max_fps=0, power_save=False):
    """Return the parts of a live run over a source."""
    reader = LatestFrameReader(lambda: source) if source.live else SequentialReader(source)
    return SimpleNamespace(
        reader=reader,
        recognize=recognize,
        trackers={},
        sinks=dict(enumerate(sinks)),
        max_fps=max_fps,
        power_save=power_save,
    )
