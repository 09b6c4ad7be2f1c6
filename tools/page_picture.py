"""Take a picture of the page while the demo runs, for the documentation.

    python -m tools.page_picture docs/images/web.jpg --caption "a dog is laying on the floor"

The page is the real one, of a live run over the demo's photographs, in a Chromium without a window.
The picture is taken a second after the page says that caption, in the demo's second round: then the
history has something to show.
"""

import argparse
import tempfile
import threading
import time
from contextlib import closing, suppress
from typing import cast

from picaption.device.config.settings import Config
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.outputs.web.server import WebServer
from picaption.device.sources.demo_frames import Demo
from tests.device.fakes.browser import Browser

from .browser_picture import open_browser, picture_parser, read_options, save_picture

#: How long to wait for the caption once the second round has begun.
MAX_SECONDS = 120.0
#: After this the picture, the charts and the bars are as they stay.
SETTLE_SECONDS = 1.0
JPEG_QUALITY = 88


def main() -> None:
    """Take the picture that the command line asks for."""
    parser = picture_parser(__doc__, "1280x800")
    parser.add_argument("--caption", required=True, help="what the page says in the picture")
    options = read_options(parser)
    pipeline = Pipeline(Config(source="demo", web=True, port=0, quiet=True))
    page = cast(WebServer, pipeline.sinks["web"])
    done = threading.Event()
    problems: list[Exception] = []

    def watch() -> None:
        try:
            take_picture(page.address, options)
        except Exception as error:
            problems.append(error)
        done.set()

    def stop_when_done() -> None:
        if done.is_set():
            raise StopIteration

    threading.Thread(target=watch).start()
    with closing(pipeline), suppress(StopIteration):
        run(pipeline, on_tick=stop_when_done)
    if problems:
        raise problems[0]


def take_picture(address: str, options: argparse.Namespace) -> None:
    """Save what a browser shows at an address once it says the caption."""
    with (
        tempfile.TemporaryDirectory() as profile,
        closing(open_browser(options, profile)) as browser,
    ):
        browser.open(address)
        time.sleep(Demo.SECONDS * Demo((64, 48)).count)
        deadline = time.monotonic() + MAX_SECONDS
        while not shows(browser, options.caption):
            if time.monotonic() > deadline:
                history = browser.evaluate("document.getElementById('history').innerText")
                raise TimeoutError(f"the page never says {options.caption!r}, but {history}")
            time.sleep(0.1)
        save_picture(browser, options.output, JPEG_QUALITY)


def shows(browser: Browser, caption: str) -> bool:
    """Return whether the page says that caption, and still does so a moment later."""
    says = f"document.getElementById('caption').textContent == '{caption}'"
    if not browser.evaluate(says):
        return False
    time.sleep(SETTLE_SECONDS)
    return bool(browser.evaluate(says))


if __name__ == "__main__":
    main()
