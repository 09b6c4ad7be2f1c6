"""Hooks of mkdocs: links to files outside of docs/, and where mkdocstrings finds the packages.

Pages link to the program's files by paths that GitHub follows. The site holds the pages alone, so
there such a link leads to `repo_url` of mkdocs.yml; without one, the file's path is shown.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

#: A link to a path: not to an address, and not within the page.
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?![a-z]+:|#)([^)\s]+)\)")


#: The first sentence of a docstring that mkdocstrings shows whole.
SUMMARY = re.compile(r"^[^\n]+\n\n(?=::: )", re.MULTILINE)
ROOT = Path(__file__).parents[1]
#: Where the three folders lie under the names that they are installed by.
PACKAGES = ROOT / "build" / "packages" / "picaption"


def on_startup(**_: Any) -> None:
    """Lay the folders out as packages, so that docstrings are read without an installation."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    for name in ("device", "models", "convert"):
        link = PACKAGES / name
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / name, target_is_directory=True)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Return a page's Markdown with its links to files outside of docs/ changed.

    Args:
        markdown: The page's text.
        page: mkdocs' page; its file's path starts from docs/.
        config: mkdocs' settings.
    """
    without_summaries = SUMMARY.sub("", markdown)
    return change_links(without_summaries, page.file.src_uri, config.repo_url)


def change_links(markdown: str, page: str, repository: str | None) -> str:
    """Return Markdown whose links to files outside of docs/ lead to the repository.

    Args:
        markdown: The page's text.
        page: The page's path from docs/, such as "how-to/install.md".
        repository: The repository's address; None: the path stands beside the link's text.
    """

    def replace(match: re.Match[str]) -> str:
        text, target = match.groups()
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
        if path.startswith("docs/"):
            return match[0]
        if repository:
            return f"[{text}]({repository.rstrip('/')}/blob/main/{path})"
        if path.endswith(text.strip("`")):
            return f"`{path}`"
        return f"{text} (`{path}`)"

    return LINK.sub(replace, markdown)
