"""The files of the history's page."""

from ..pages.navigation import HISTORY_PATH
from ..pages.page import PageFiles

HISTORY_PAGE = PageFiles(
    "history/page.html",
    ("colours.css", "header.css", "history/style.css"),
    (
        *("dom.js", "navigation.js", "history/requests.js", "history/charts.js"),
        *("history/scenes.js", "history/deletion.js", "history/main.js"),
    ),
    HISTORY_PATH,
)
