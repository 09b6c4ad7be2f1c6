"""What the clients of the page are sent: images, events, history and chart.

A Feed belongs to the event loop of the server's thread: nothing is locked. Frames are turned into
what clients are sent once for all of them, and only while there are any.
"""

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from ... import board
from ...images import encode_image, shrink_to_fit
from ...recognition.result import Recognition
from ...sources.source import SourceStatus
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
#: How often the source is asked what is wrong with it.
SOURCE_SECONDS = 0.5
#: What of a recognition stays in the history.
SHOWN_FIELDS = ("caption", "tags", "classes", "unsure", "names", "silence")


class ChartPoint(NamedTuple):
    """A point of the chart: seconds since the epoch, frames per second, latency in ms."""

    time: float
    fps: float
    latency_ms: float


@dataclass(frozen=True)
class HistoryEntry:
    """A scene that was captioned.

    Attributes:
        number: What its images are asked for by.
        time: When its frame was captured, in seconds since the epoch.
        text: What people were shown of it first.
        shown: The SHOWN_FIELDS of its recognition's JSON form.
        image: Its frame as a JPEG.
        thumbnail: The same, small.
    """

    number: int
    time: float
    text: str
    shown: dict[str, Any]
    image: bytes
    thumbnail: bytes

    def to_json(self) -> dict[str, Any]:
        """Return what clients are sent; they ask for the images by its number."""
        return {"number": self.number, "time": self.time, "text": self.text} | self.shown


@dataclass(frozen=True)
class Offer:
    """A frame for the clients.

    Attributes:
        recognized: The frame; its image is retained if `with_image`.
        fps: Frames per second, once they are known.
        latency_ms: From its capture to its result.
        with_image: Whether a client watches the images, annotated or plain.
    """

    recognized: RecognizedFrame
    fps: float | None
    latency_ms: float
    with_image: bool


class Feed:
    """What the clients of the page are sent.

    Args:
        source_status: Returns what is known of the source now; None: nothing is.
        bundle: Returns what the bundle is called that is in use.
        camera_name: Which of several cameras it is of; None: there is one source.
        numbers: What the scenes are numbered by, which the feeds of one server share; None: its
            own.

    Attributes:
        history: The last captions.
        chart: The points of the chart.
        streams: How many streams are open, by what they send: "images" (annotated), "plain images"
            or "events".
        wants_frame: Whether `publish` waits for a frame, to be passed to `offer`.
        closed: Whether the streams end.
    """

    def __init__(
        self,
        source_status: Callable[[], SourceStatus] | None = None,
        bundle: Callable[[], str] = str,
        camera_name: str | None = None,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._source_status = source_status
        self._camera = {} if camera_name is None else {"camera_name": camera_name}
        self._bundle = bundle
        self._source: dict[str, Any] | None = None
        self.history: deque[HistoryEntry] = deque(maxlen=MAX_HISTORY)
        self.chart: deque[ChartPoint] = deque(maxlen=CHART_SECONDS)
        self.streams = {"images": 0, "plain images": 0, "events": 0}
        self.wants_frame = False
        self.closed = False
        self._numbers = numbers or scene_numbers()
        self._published = 0
        self._revision = 0
        self._event: str | None = None
        self._images: dict[str, bytes] = {}
        self._offer: Offer | None = None
        self._has_clients = asyncio.Event()
        self._arrived = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def watches_images(self) -> bool:
        """Whether a client watches images, annotated or plain."""
        return bool(self.streams["images"] or self.streams["plain images"])

    @contextmanager
    def open_stream(self, content: str) -> Iterator[None]:
        """Count a stream of one of the keys of `streams` while it is open."""
        self.streams[content] += 1
        self._has_clients.set()
        try:
            yield
        finally:
            self.streams[content] -= 1
            if not any(self.streams.values()):
                self._has_clients.clear()

    def remember(self, recognized: RecognizedFrame, image: bytes, thumbnail: bytes) -> None:
        """Add an entry to the history: a frame, as a JPEG and as a small one."""
        form = recognized.json()
        recognition = recognized.recognition
        entry = HistoryEntry(
            number=next(self._numbers),
            time=recognition.captured_at,
            text=_headline(recognition),
            shown={name: form[name] for name in SHOWN_FIELDS} | self._camera,
            image=image,
            thumbnail=thumbnail,
        )
        self.history.append(entry)

    def entry(self, number: int) -> HistoryEntry | None:
        """Return that entry of the history; None if there is none any more."""
        return next((entry for entry in self.history if entry.number == number), None)

    def offer(self, offer: Offer) -> None:
        """Take the frame that `publish` waits for."""
        self._offer = offer
        self._arrived.set()

    def close(self) -> None:
        """End the streams."""
        self.closed = True
        self._notify()

    async def watch_source(self) -> None:
        """Tell the clients whenever something else is known of source or bundle, for ever."""
        while self._source_status:
            await self._has_clients.wait()
            source = asdict(self._source_status()) | {"bundle": self._bundle()} | self._camera
            if source != self._source:
                self._source = source
                self._notify()
            await asyncio.sleep(SOURCE_SECONDS)

    def _notify(self) -> None:
        """Wake the streams."""
        self._revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

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
        height, width = offer.recognized.image.shape[:2]
        rates = {"fps": fps, "latency_ms": round(offer.latency_ms, 1), "size": [width, height]}
        self._event = json.dumps(offer.recognized.json() | rates | figures)
        self._images = {}
        if offer.with_image and self.streams["images"]:
            self._images["images"] = _encode(offer.recognized.annotated())
        if offer.with_image and self.streams["plain images"]:
            self._images["plain images"] = _encode(offer.recognized.image)
        self._published += 1
        self._notify()

    async def images(self) -> AsyncIterator[bytes]:
        """Yield the parts of a multipart stream of annotated frames (see `_parts`)."""
        async for part in self._parts("images"):
            yield part

    async def plain_images(self) -> AsyncIterator[bytes]:
        """Yield the parts of a multipart stream of frames as they were captured."""
        async for part in self._parts("plain images"):
            yield part

    async def _parts(self, content: str) -> AsyncIterator[bytes]:
        """Yield the parts of a multipart stream of JPEGs, with the boundary "picture"."""
        yield b"--picture\r\n"
        async for is_new in self._updates():
            image = self._images.get(content)
            if is_new and image:
                length = b"Content-Length: %d\r\n\r\n" % len(image)
                # The boundary goes with the image that it ends: browsers show none before.
                yield b"".join(
                    (b"Content-Type: image/jpeg\r\n", length, image, b"\r\n--picture\r\n")
                )

    async def events(self) -> AsyncIterator[str]:
        """Yield server-sent events: source, history and chart, as far as they are new, and frames.

        A client gets all of the history and the chart at first.
        """
        source = None
        last_number = 0
        last_time = 0.0
        yield "retry: 2000\n\n"
        async for is_new in self._updates():
            if self._source is not None and self._source != source:
                source = self._source
                yield f"event: source\ndata: {json.dumps(source)}\n\n"
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
        """Yield at once, and again whenever there is something new: whether a frame is.

        A client that was busy meanwhile misses frames.
        """
        published = self._published
        while not self.closed:
            revision = self._revision
            is_new = self._published > published
            published = self._published
            yield is_new
            if revision == self._revision and not self.closed:
                await self._changed.wait()


def scene_numbers() -> Iterator[int]:
    """Return the numbers of scenes, from the clock on.

    So no thumbnail has the address of one that a page showed before.
    """
    return itertools.count(int(time.time() * 1e3))


def _headline(recognition: Recognition) -> str:
    """Return what people are shown first of a recognition."""
    if recognition.shown_text:
        return recognition.shown_text
    if recognition.substitute_name:
        return recognition.substitute_name.name
    for score, is_doubted in recognition.doubted_classes:
        return score.name + ("?" if is_doubted else "")
    return ""


def _encode(image: np.ndarray) -> bytes:
    return encode_image(shrink_to_fit(image, IMAGE_SIDE), ".jpg", JPEG_QUALITY)
