"""Plain English in every page: short sentences, and none of the phrases that nobody says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
#: What the program and its comments write, and a page about versions.
EXEMPT = {"CHANGELOG.md"}
MAX_MEAN_WORDS = 25.0
#: Phrases of a house dialect, each of which has a plainer form.
DIALECT = re.compile(
    r"\b(anew|(?:is|are|was|were) told|told (?:apart|from|rightly)|those of|mends?|what is off)\b",
    re.IGNORECASE,
)
NOT_PROSE = re.compile(r"^ *```.*?^ *```|<!--.*?-->|^ {4,}\S.*$", re.DOTALL | re.MULTILINE)


def sentences(page: str) -> list[str]:
    """Return the sentences of a page's paragraphs and lists; tables and code are none."""
    prose = NOT_PROSE.sub("\n\n", page)
    lines = [
        "" if re.match(r"\s*(\||#|!\[|:::)", line) else re.sub(r"^\s*(-|\d+\.) ", "\n", line)
        for line in prose.splitlines()
    ]
    found = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        text = re.sub(r"`[^`]*`", "code", " ".join(paragraph.split()))
        text = re.sub(r"\]\([^)]*\)", "]", text)
        found += [part for part in re.split(r"(?<=[.!?:])\s+(?=\S)", text) if " " in part]
    return found


def test_sentences_are_cut_at_their_ends():
    page = "# Title here\n\nOne two. Three `a. b` four!\n\n- five six\n- seven\n\n| a | b |\n"
    assert sentences(page) == ["One two.", "Three code four!", "five six"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page):
    lengths = [len(sentence.split()) for sentence in sentences(page.read_text(encoding="utf-8"))]
    assert sum(lengths) <= MAX_MEAN_WORDS * max(len(lengths), 1)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in EXEMPT],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_nothing_is_in_dialect(page):
    text = NOT_PROSE.sub("", page.read_text(encoding="utf-8"))
    lines = text.splitlines()
    assert [line for line in lines if DIALECT.search(line)] == []
