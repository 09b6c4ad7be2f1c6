"""Take a picture of the page that teaches, for the documentation.

    python -m tools.teach_picture docs/images/teach-in-the-browser.jpg

The page is the real one, of a live run over the demo's photographs, in a Chromium without a window.
Parts of three of them are uploaded as classes, fitted and made live; the picture is taken when the
live picture shows the coffee, with three pictures of a class selected.
"""

import argparse
import http.client
import tempfile
import threading
import time
from contextlib import closing, suppress
from typing import cast
from urllib.parse import quote, urlsplit

from picaption.device.config.settings import Config
from picaption.device.images import encode_image, list_images, read_image
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.live.requests import RequestHandler
from picaption.device.outputs.web.server import WebServer
from picaption.device.sources.demo_frames import DEMO_IMAGES

from .browser_picture import open_browser, picture_parser, read_options, save_picture

#: The classes, and the demo's photograph of each.
CLASSES = {"my coffee": "coffee", "our cat": "cat", "empty bed": "bedroom"}
#: Parts of a photograph, across and down, which are pictures of the class.
ACROSS = 4
DOWN = 3
#: How long the demo may take to show the coffee, and the page to look as it stays.
MAX_SECONDS = 120.0
JPEG_QUALITY = 64
SETTLE_SECONDS = 0.6


def main() -> None:
    """Take the picture that the command line asks for."""
    options = read_options(picture_parser(__doc__, "1280x860"))
    done = threading.Event()
    problems: list[Exception] = []

    def stop_when_done() -> None:
        if done.is_set():
            raise StopIteration

    with tempfile.TemporaryDirectory() as folder:
        config = Config(source="demo", web=True, port=0, quiet=True, teach=folder, max_fps=10.0)
        pipeline = Pipeline(config)
        page = cast(WebServer, pipeline.sinks["web"])

        def watch() -> None:
            try:
                take_picture(page.address, options)
            except Exception as error:
                problems.append(error)
            done.set()

        threading.Thread(target=watch).start()
        with closing(pipeline), suppress(StopIteration):
            run(pipeline, on_tick=stop_when_done, requests=RequestHandler(pipeline))
    if problems:
        raise problems[0]


def take_picture(address: str, options: argparse.Namespace) -> None:
    """Teach the classes at an address, and save what a browser shows then."""
    for label, name in CLASSES.items():
        upload_parts(address, label, name)
    with (
        tempfile.TemporaryDirectory() as profile,
        closing(open_browser(options, profile)) as browser,
    ):
        browser.open(f"{address}teach")
        browser.wait_for("Boolean(state)")
        browser.evaluate("$('fit').click()")
        browser.wait_for("state.fitted && !state.fitting")
        browser.evaluate("$('live').click()")
        browser.wait_for("state.bundle.is_taught")
        for index in (1, 2, 4):
            browser.evaluate(f"document.querySelectorAll('.images li')[{index}].click()")
        shown = "$('classes').querySelector('span').textContent == 'my coffee'"
        certain = "parseInt($('classes').querySelector('b').textContent) >= 90"
        deadline = time.monotonic() + MAX_SECONDS
        while not browser.evaluate(f"$('picture').naturalWidth && {shown} && {certain}"):
            if time.monotonic() > deadline:
                raise TimeoutError("the page never says 'my coffee'")
            time.sleep(0.1)
        time.sleep(SETTLE_SECONDS)
        save_picture(browser, options.output, JPEG_QUALITY)


def upload_parts(address: str, label: str, name: str) -> None:
    """Upload parts of a photograph of the demo as pictures of a class."""
    (path,) = [path for path in list_images(DEMO_IMAGES) if path.stem == name]
    image = read_image(path)
    rows = image.shape[0] * 3 // 5
    columns = image.shape[1] * 3 // 5
    for part in range(ACROSS * DOWN):
        top = (part // ACROSS) * (image.shape[0] - rows) // (DOWN - 1)
        left = (part % ACROSS) * (image.shape[1] - columns) // (ACROSS - 1)
        body = encode_image(image[top : top + rows, left : left + columns], ".jpg")
        with closing(http.client.HTTPConnection(urlsplit(address).netloc)) as connection:
            connection.request("POST", f"/teach/upload?class={quote(label)}", body)
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(answer.read().decode())


if __name__ == "__main__":
    main()
