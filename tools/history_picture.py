"""Take a picture of the page of the history, for the documentation.

    python -m tools.history_picture docs/images/history.jpg

The page is the real one, in a Chromium without a window. The history is made: the demo's
photographs are recognised, and stand for what a camera may have seen yesterday and in the two weeks
before.
"""

import random
import tempfile
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from picaption.device.history.scene import Scene, SceneImage, quantize
from picaption.device.history.store import HistoryStore
from picaption.device.images import encode_image, list_images, read_image, shrink_to_fit
from picaption.device.outputs.web.server import WebServer
from picaption.device.recognition.recognizer import Recognizer, open_recognizer
from picaption.device.sources.demo_frames import DEMO_IMAGES
from tests.device.fakes.browser import wait_for_text

from .browser_picture import open_browser, picture_parser, read_options, save_picture

#: When yesterday's scenes began, how many minutes they took, and the photograph of each.
DAY = (
    *(("07:10", 40, "bedroom"), ("07:50", 15, "coffee"), ("08:05", 175, "desk")),
    *(("11:00", 25, "cat"), ("11:25", 95, "desk"), ("13:00", 20, "pan"), ("13:20", 70, "desk")),
    *(("14:30", 12, "dog"), ("14:42", 138, "desk"), ("17:00", 10, "cat"), ("17:10", 190, "desk")),
)
#: So many days before have some of these scenes.
DAYS_BEFORE = 13
THUMBNAIL_SIDE = 320
JPEG_QUALITY = 72


def main() -> None:
    """Take the picture that the command line asks for."""
    options = read_options(picture_parser(__doc__, "1280x860"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "history.db")
        make_history(path)
        server = WebServer("127.0.0.1", 0, name="everyday", history=str(path))
        browser = open_browser(options, f"{folder}/profile")
        with closing(server), closing(browser):
            browser.call("Emulation.setLocaleOverride", locale="en-GB")
            browser.open(f"{server.address}history")
            wait_for_text(browser, "#status", f"{len(DAY)} scenes, the newest first.")
            browser.wait_for(
                "[...document.querySelectorAll('#scenes img')].slice(0, 6)"
                ".every(image => image.naturalWidth)"
            )
            save_picture(browser, options.output, JPEG_QUALITY)


def make_history(path: Path) -> None:
    """Write a history of scenes that look like the demo's photographs."""
    recognizer = open_recognizer()
    photographs = {file.stem: read_image(file) for file in list_images(DEMO_IMAGES)}
    today = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    with closing(HistoryStore(path)) as store, store.transaction():
        for days in range(1, 2 + DAYS_BEFORE):
            scenes = DAY if days == 1 else DAY[: random.Random(days).randint(3, len(DAY))]
            for clock, minutes, name in scenes:
                hours, minute = map(int, clock.split(":"))
                begin = today - timedelta(days=days) + timedelta(hours=hours, minutes=minute)
                add_scene(store, recognizer, begin, minutes, photographs[name])
        store.index(store.unindexed())


def add_scene(
    store: HistoryStore, recognizer: Recognizer, begin: datetime, minutes: int, image: np.ndarray
) -> None:
    """Add a scene in which the camera saw that image, uint8 RGB [height, width, 3]."""
    recognition = recognizer(image)
    caption = recognition.caption
    assert caption is not None
    milliseconds = round(begin.timestamp() * 1000)
    scene = Scene(
        milliseconds,
        milliseconds + minutes * 60_000,
        "usb:0",
        caption.text,
        caption.confidence,
        caption.unsure,
        tags=recognition.tags,
        classes=tuple(
            score for score in recognition.classes if score.name in recognition.certain_names
        ),
    )
    thumbnail = encode_image(shrink_to_fit(image, THUMBNAIL_SIDE), ".jpg", 80)
    features = quantize(recognizer.encode(image).features[0])
    store.add(scene, SceneImage(features, thumbnail))


if __name__ == "__main__":
    main()
