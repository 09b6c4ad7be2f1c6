"""The pages that there may be, and the way from one to the other."""

import html
from collections.abc import Sequence

#: The paths of the pages.
LIVE_PATH = "/"
HISTORY_PATH = "/history"
TEACH_PATH = "/teach"
#: What the pages are called, by their paths, in the order in which they are shown.
TITLES = {LIVE_PATH: "Live", HISTORY_PATH: "History", TEACH_PATH: "Teach"}


def navigation(paths: Sequence[str], current: str) -> str:
    """Return the HTML of the way to the other pages; empty where there is no other one.

    Args:
        paths: The paths of the pages that there are.
        current: The path of the page that shows it.
    """
    if len(paths) < 2:
        return ""
    links = []
    for path in TITLES:
        if path in paths:
            mark = ' aria-current="page"' if path == current else ""
            links.append(f'<a href="{path}"{mark}>{html.escape(TITLES[path])}</a>')
    return f'<nav aria-label="Pages">{"".join(links)}</nav>'
