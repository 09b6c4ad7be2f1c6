"""What the tools that take pictures of the pages share: their options, the browser, the file."""

import argparse
import tempfile
from pathlib import Path

from picaption.device.images import encode_image, read_image
from tests.device.fakes.browser import CHROMIUM, Browser


def picture_parser(docstring: str, size: str) -> argparse.ArgumentParser:
    """Return the parser of a tool's command line.

    Args:
        docstring: The tool's; its first line is the description.
        size: The screen's default size.
    """
    parser = argparse.ArgumentParser(description=docstring.partition("\n")[0])
    parser.add_argument("output", help="a .jpg or .png")
    parser.add_argument("--size", default=size, help="pixels of the screen, such as 390x844")
    parser.add_argument("--dark", action="store_true", help="as those see it who prefer dark")
    return parser


def read_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the options of the command line; end the program where there is no browser."""
    options = parser.parse_args()
    if not CHROMIUM:
        parser.error("there is no Chromium: sudo apt install chromium")
    return options


def open_browser(options: argparse.Namespace, profile: str) -> Browser:
    """Return a browser of the size and colours asked for, with its profile in that folder."""
    width, height = map(int, options.size.split("x"))
    return Browser(profile, width, height, options.dark)


def save_picture(browser: Browser, output: str, jpeg_quality: int) -> None:
    """Write what the browser shows to a file."""
    with tempfile.TemporaryDirectory() as folder:
        browser.screenshot(f"{folder}/page.png")
        page = read_image(f"{folder}/page.png")
    Path(output).write_bytes(encode_image(page, Path(output).suffix, jpeg_quality))
