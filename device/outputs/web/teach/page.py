"""The files of the page that teaches."""

from ..pages.navigation import TEACH_PATH
from ..pages.page import PageFiles

TEACH_PAGE = PageFiles(
    "teach/teach.html",
    ("colours.css", "header.css", "teach/teach.css"),
    (
        *("dom.js", "navigation.js", "words.js"),
        *("teach/server.js", "teach/camera.js", "teach/classes.js", "teach/selection.js"),
        *("teach/drag.js", "teach/fit.js", "teach/teach.js"),
    ),
    TEACH_PATH,
)
