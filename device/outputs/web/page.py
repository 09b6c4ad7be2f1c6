"""The page itself, with the policy that lets a browser run nothing but its own script and style."""

import base64
import hashlib
import html
import re
from pathlib import Path
from typing import NamedTuple

from ...recognition.result import DOUBT

#: What a Content-Security-Policy calls nobody.
NO_FRAMES = "'none'"


class Page(NamedTuple):
    """The page as HTML, and its Content-Security-Policy."""

    html: str
    policy: str


def load_page(name: str, frame_ancestors: str = "") -> Page:
    """Return the page.

    Args:
        name: What its title shows beside picaption.
        frame_ancestors: The origins whose pages may show it in a frame, spaces between.
    """
    title = html.escape(" · ".join(dict.fromkeys(("picaption", name))))
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    text = template.replace("$doubt", DOUBT).replace("$title", title)
    return Page(
        text,
        "default-src 'none'; "
        f"script-src {_source(text, 'script')}; "
        f"style-src {_source(text, 'style')}; "
        "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {frame_ancestors or NO_FRAMES}",
    )


def _source(page: str, element: str) -> str:
    """Return what a policy says to allow the page's only element of that name."""
    match = re.search(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
    assert match, f"the page has a {element}"
    digest = hashlib.sha256(match[1].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
