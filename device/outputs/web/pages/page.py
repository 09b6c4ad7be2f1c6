"""The live page, and how every page is made: a browser runs nothing but its own script and style.

A page's parts are files in `static`, put into one document, so that a browser asks once and nothing
can come between them.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ....recognition.result import DOUBT
from .navigation import LIVE_PATH, navigation

#: What a Content-Security-Policy calls nobody.
NO_FRAMES = "'none'"


@dataclass(frozen=True)
class PageFiles:
    """The files in `static` that a page is made of.

    Attributes:
        template: Its HTML.
        styles: The parts of its style, in their order.
        scripts: The parts of its script, in their order.
        path: Where it is served.
    """

    template: str
    styles: tuple[str, ...]
    scripts: tuple[str, ...]
    path: str


LIVE_PAGE = PageFiles(
    "page.html",
    ("colours.css", "header.css", "page.css"),
    (
        *("dom.js", "navigation.js", "words.js", "figures.js", "history.js"),
        *("cameras.js", "stage.js", "live.js"),
    ),
    LIVE_PATH,
)


class Page(NamedTuple):
    """A page as HTML, and its Content-Security-Policy."""

    html: str
    policy: str


def load_page(
    files: PageFiles,
    name: str,
    frame_ancestors: str = "",
    paths: Sequence[str] = (LIVE_PATH,),
    cameras: Sequence[str] = (),
) -> Page:
    """Return a page of the navigation.

    Args:
        files: What it is made of.
        name: What its title shows beside picaption.
        frame_ancestors: The origins whose pages may show it in a frame, spaces between.
        paths: The paths of the pages that there are.
        cameras: The names of the cameras, if there are several.
    """
    parts = {
        "title": html.escape(" · ".join(dict.fromkeys(("picaption", name)))),
        "doubt": html.escape(DOUBT),
        "cameras": html.escape(json.dumps(cameras)),
        "navigation": navigation(paths, files.path),
    }
    return build_page(files.template, files.styles, files.scripts, parts, frame_ancestors)


def build_page(
    template: str,
    styles: Sequence[str],
    scripts: Sequence[str],
    parts: Mapping[str, str],
    frame_ancestors: str = "",
    images: str = "'self'",
) -> Page:
    """Return a page that a browser lets speak with this server only.

    Args:
        template: The name of its file in `static`.
        styles: The names of the files that make its $style.
        scripts: The names of the files that make its $script.
        parts: What stands for the other names of the template, as HTML.
        frame_ancestors: The origins whose pages may show it in a frame, spaces between.
        images: Where its images may come from, as a policy says it.
    """
    joined = {"style": join_parts(styles), "script": join_parts(scripts)}
    text = fill(read_part(template), joined | dict(parts))
    return Page(
        text,
        "default-src 'none'; "
        f"script-src {hash_source(text, 'script')}; "
        f"style-src {hash_source(text, 'style')}; "
        f"img-src {images}; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {frame_ancestors or NO_FRAMES}",
    )


@cache
def read_part(name: str) -> str:
    """Return a file of `static`."""
    return Path(__file__).with_name("static").joinpath(name).read_text(encoding="utf-8")


def join_parts(names: Sequence[str]) -> str:
    """Return files of `static` as one text."""
    return "\n".join(map(read_part, names))


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Return a template with each $name of `parts` replaced, and nothing in what replaces it."""
    names = "|".join(map(re.escape, parts))
    return re.sub(rf"\$({names})\b", lambda match: parts[match[1]], template)


def hash_source(page: str, element: str) -> str:
    """Return what a policy says to allow the page's only element of that name."""
    match = re.search(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
    assert match, f"the page has a {element}"
    digest = hashlib.sha256(match[1].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
