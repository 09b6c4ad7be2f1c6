"""The page of the history."""

import html
from collections.abc import Sequence

from ....recognition.result import DOUBT
from ..pages.navigation import HISTORY_PATH, navigation
from ..pages.page import Page, build_page

#: The parts of the page's style and script, in their order.
STYLES = ("colours.css", "header.css", "history/style.css")
SCRIPTS = (
    *("dom.js", "navigation.js", "history/requests.js", "history/charts.js"),
    *("history/scenes.js", "history/deletion.js", "history/main.js"),
)


def load_history_page(name: str, frame_ancestors: str, paths: Sequence[str]) -> Page:
    """Return the page of the history.

    Args:
        name: What its title shows beside picaption.
        frame_ancestors: The origins whose pages may show it in a frame, spaces between.
        paths: The paths of the pages that there are.
    """
    parts = {
        "title": html.escape(" · ".join(dict.fromkeys(("picaption", name)))),
        "doubt": html.escape(DOUBT),
        "navigation": navigation(paths, HISTORY_PATH),
    }
    return build_page("history/page.html", STYLES, SCRIPTS, parts, frame_ancestors)
