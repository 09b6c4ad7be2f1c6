"""What the clients of the page are sent: images, events, history and chart.

A Feed belongs to the event loop of the server's thread: nothing is locked. Frames are turned into
what clients are sent once for all of them, and only while there are any.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from ... import board
from ...images import encode_image, shrink_to_fit
from ..sink import RecognizedFrame

#: Images and events a second at most.
MAX_RATE = 15
#: Pixels of an image's longer side at most.
IMAGE_SIDE = 1280
#: The quality of its JPEG.
JPEG_QUALITY = 80
#: Captions that are remembered.
MAX_HISTORY = 50
#: How long the chart is; it has a point a second.
CHART_SECONDS = 300
#: How often the board's own figures are read.
BOARD_SECONDS = 2


class ChartPoint(NamedTuple):
    """A point of the chart: seconds since the epoch, frames per second, latency in ms."""

    time: float
    fps: float
    latency_ms: float


@dataclass(frozen=True)
class HistoryEntry:
    """A caption that was shown, and its frame as a small JPEG."""

    number: int
    time: float
    text: str
    thumbnail: bytes

    def to_json(self) -> dict[str, Any]:
        """Return what clients are sent; they ask for the thumbnail by its number."""
        return {"number": self.number, "time": self.time, "text": self.text}


@dataclass(frozen=True)
class Offer:
    """A frame for the clients.

    Attributes:
        recognized: The frame; its image is retained if `with_image`.
        fps: Frames per second, once they are known.
        latency_ms: From its capture to its result.
        with_image: Whether a client watches the images.
    """

    recognized: RecognizedFrame
    fps: float | None
    latency_ms: float
    with_image: bool


class Feed:
    """What the clients of the page are sent.

    Attributes:
        history: The last captions.
        chart: The points of the chart.
        streams: How many streams are open, by what they send: "images" or "events".
        wants_frame: Whether `publish` waits for a frame, to be passed to `offer`.
        closed: Whether the streams end.
    """

    def __init__(self) -> None:
        self.history: deque[HistoryEntry] = deque(maxlen=MAX_HISTORY)
        self.chart: deque[ChartPoint] = deque(maxlen=CHART_SECONDS)
        self.streams = {"images": 0, "events": 0}
        self.wants_frame = False
        self.closed = False
        # From the clock: no thumbnail has the address of one that a page showed before.
        self._next_number = int(time.time() * 1e3)
        self._published = 0
        self._event: str | None = None
        self._image: bytes | None = None
        self._offer: Offer | None = None
        self._has_clients = asyncio.Event()
        self._arrived = asyncio.Event()
        self._changed = asyncio.Event()

    @contextmanager
    def open_stream(self, content: str) -> Iterator[None]:
        """Count a stream of "images" or "events" while it is open."""
        self.streams[content] += 1
        self._has_clients.set()
        try:
            yield
        finally:
            self.streams[content] -= 1
            if not any(self.streams.values()):
                self._has_clients.clear()

    def remember(self, recognized: RecognizedFrame, thumbnail: bytes) -> None:
        """Add an entry to the history."""
        recognition = recognized.recognition
        text = recognition.shown_text or ""
        if not text and recognition.classes:
            text = recognition.classes[0].name
        entry = HistoryEntry(self._next_number, recognition.captured_at, text, thumbnail)
        self.history.append(entry)
        self._next_number += 1

    def thumbnail(self, number: int) -> bytes | None:
        """Return the thumbnail of that entry of the history; None if there is none any more."""
        return next((entry.thumbnail for entry in self.history if entry.number == number), None)

    def offer(self, offer: Offer) -> None:
        """Take the frame that `publish` waits for."""
        self._offer = offer
        self._arrived.set()

    def close(self) -> None:
        """End the streams."""
        self.closed = True
        self._changed.set()

    async def publish(self) -> None:
        """Turn the newest frame into what the clients are sent, for ever, while there are any."""
        figures: dict[str, Any] = {}
        measured_at = -float(BOARD_SECONDS)
        while True:
            await self._has_clients.wait()
            self._arrived.clear()
            self.wants_frame = True
            await self._arrived.wait()
            offer = self._offer
            self._offer = None
            start = time.monotonic()
            if start - measured_at >= BOARD_SECONDS:
                figures = {"temperature": board.temperature(), "throttled": board.throttled()}
                measured_at = start
            if offer:
                self._publish_offer(offer, figures)
            seconds = time.monotonic() - start
            # On a slow board this thread takes no more than half of a core.
            await asyncio.sleep(max(1 / MAX_RATE - seconds, seconds))

    def _publish_offer(self, offer: Offer, figures: dict[str, Any]) -> None:
        fps = offer.fps and round(offer.fps, 2)
        rates = {"fps": fps, "latency_ms": round(offer.latency_ms, 1)}
        self._event = json.dumps(offer.recognized.json() | rates | figures)
        self._image = None
        if offer.with_image:
            image = shrink_to_fit(offer.recognized.annotated(), IMAGE_SIDE)
            self._image = encode_image(image, ".jpg", JPEG_QUALITY)
        self._published += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def images(self) -> AsyncIterator[bytes]:
        """Yield the parts of a multipart stream of JPEGs, with the boundary "picture"."""
        yield b"--picture\r\n"
        async for is_new in self._updates():
            if is_new and self._image:
                length = b"Content-Length: %d\r\n\r\n" % len(self._image)
                # The boundary goes with the image that it ends: browsers show none before.
                yield b"".join(
                    (b"Content-Type: image/jpeg\r\n", length, self._image, b"\r\n--picture\r\n")
                )

    async def events(self) -> AsyncIterator[str]:
        """Yield server-sent events: the history and the chart, as far as they are new, and frames.

        A client gets all of the history and the chart at first.
        """
        last_number = 0
        last_time = 0.0
        yield "retry: 2000\n\n"
        async for is_new in self._updates():
            entries = [entry.to_json() for entry in self.history if entry.number > last_number]
            if entries:
                last_number = entries[-1]["number"]
                yield f"event: history\ndata: {json.dumps(entries)}\n\n"
            points = [point for point in self.chart if point.time > last_time]
            if points:
                last_time = points[-1].time
                yield f"event: chart\ndata: {json.dumps(points)}\n\n"
            if is_new:
                yield f"data: {self._event}\n\n"

    async def _updates(self) -> AsyncIterator[bool]:
        """Yield at once, and again whenever a frame was published: whether one was.

        A client that was busy meanwhile misses frames.
        """
        first = self._published
        while not self.closed:
            current = self._published
            yield current > first
            if current == self._published and not self.closed:
                await self._changed.wait()
