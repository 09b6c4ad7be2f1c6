"""The page that teaches, as a document."""

import html
from collections.abc import Sequence

from ..pages.navigation import TEACH_PATH, navigation
from ..pages.page import Page, build_page

#: The parts of its style and script in `pages/static`, in their order.
STYLES = ("colours.css", "header.css", "teach/teach.css")
SCRIPTS = (
    *("dom.js", "navigation.js", "words.js"),
    *("teach/server.js", "teach/camera.js", "teach/classes.js", "teach/selection.js"),
    *("teach/drag.js", "teach/fit.js", "teach/teach.js"),
)


def load_teach_page(name: str, frame_ancestors: str, paths: Sequence[str]) -> Page:
    """Return the page.

    Args:
        name: What its title shows beside picaption.
        frame_ancestors: The origins whose pages may show it in a frame, spaces between.
        paths: The paths of the pages that there are.
    """
    parts = {
        "title": html.escape(" · ".join(dict.fromkeys(("picaption", name)))),
        "navigation": navigation(paths, TEACH_PATH),
    }
    return build_page("teach/teach.html", STYLES, SCRIPTS, parts, frame_ancestors)
