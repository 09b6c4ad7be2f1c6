"""Every link between the project's pages leads to a file, and to a heading that is there."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)


@cache
def project_pages() -> list[Path]:
    """Return the Markdown pages that git knows, or will know once they are added."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("the tests are not in a git checkout")
    pages = [ROOT / line for line in listed.stdout.splitlines()]
    return [page for page in pages if page.exists()]


def prose_of(text: str) -> str:
    """Return a page without its blocks of code."""
    return CODE_BLOCK.sub("", text)


def anchors_of(text: str) -> set[str]:
    """Return the names that GitHub gives to the headings of a page."""
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", title) for title in HEADING.findall(prose_of(text)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


def has_anchor(target: Path, anchor: str) -> bool:
    """Return whether a page has the heading that a link names, if it names one."""
    return not anchor or anchor in anchors_of(target.read_text(encoding="utf-8"))


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    broken = []
    for link in LINK.findall(prose_of(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or not has_anchor(target, anchor):
            broken.append(link)
    return broken


def test_links_between_pages_lead_somewhere():
    broken = {
        str(page.relative_to(ROOT)): links
        for page in project_pages()
        if (links := broken_links(page))
    }
    assert broken == {}


def test_a_broken_link_is_noticed(tmp_path):
    (tmp_path / "other.md").write_text("# Two words, `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#two-words-code) [c](https://example.org/x)\n"
        "[d](gone.md) ![e](gone.png) [f](other.md#gone)\n"
        "```\n[not a link](in-code.md)\n```\n"
    )
    assert broken_links(page) == ["gone.md", "gone.png", "other.md#gone"]


def test_the_index_leads_to_every_page():
    docs = ROOT / "docs"
    index = (docs / "index.md").read_text(encoding="utf-8")
    linked = {(docs / link.partition("#")[0]).resolve() for link in LINK.findall(index)}
    unlinked = [page for page in docs.rglob("*.md") if page.resolve() not in linked]
    assert unlinked == [docs / "index.md"]
