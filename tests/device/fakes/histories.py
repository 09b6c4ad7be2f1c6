"""A history with a few scenes of 28 November 2026, whose times are those of UTC."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from picaption.device.history.scene import Scene, SceneImage, quantize
from picaption.device.history.store import HistoryStore
from picaption.device.images import encode_image
from picaption.device.recognition.result import Score

#: A small JPEG.
THUMBNAIL = encode_image(np.full((48, 64, 3), (40, 90, 60), np.uint8), ".jpg")


def milliseconds(clock, day=28):
    """Return a time of that day of November 2026, such as "14:02", since the epoch."""
    hours, minutes = map(int, clock.split(":"))
    return round(datetime(2026, 11, day, hours, minutes, tzinfo=UTC).timestamp() * 1000)


def scene(begin, end, caption="a cat", *classes, day=28, confidence=0.8, **changes):
    """Return a Scene of that day with classes of score 0.9."""
    scores = tuple(Score(name, 0.9) for name in classes)
    values = {"camera": "usb:0", "caption": caption, "confidence": confidence, "classes": scores}
    return Scene(milliseconds(begin, day), milliseconds(end, day), **values | changes)


def shift(entry, days):
    """Return a scene so many days later."""
    offset = days * 86_400_000
    return replace(entry, id=entry.id + offset, end=entry.end + offset)


SCENES = (
    scene("9:00", "14:02", "an empty desk", day=27, tags=(Score("desk", 0.7),)),
    scene("8:00", "14:02", "an empty desk"),
    scene("14:02", "14:20", "a cat on a desk", "cat", "laptop", camera="csi:0"),
    scene("14:20", "14:31", '=cats; "sleeping"', "cat", confidence=0.4, unsure=True),
    scene("14:31", "18:00", "an empty desk"),
    scene("18:00", "23:30", None, confidence=None, silence="too dark to tell"),
)


def make_history(path, scenes=SCENES):
    """Write a history with scenes; each has features, and those with a cat a thumbnail."""
    rng = np.random.default_rng(0)
    with closing(HistoryStore(path)) as store:
        with store.transaction():
            for entry in scenes:
                has_cat = any(score.name == "cat" for score in entry.classes)
                features = quantize(rng.standard_normal(16).astype(np.float32))
                store.add(entry, SceneImage(features, THUMBNAIL if has_cat else None))
        with store.transaction():
            store.index(store.unindexed())
    return path
