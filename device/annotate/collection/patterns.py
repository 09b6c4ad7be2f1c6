"""Patterns of file names: the globs of a shell, with ** for any folders, and WebDataset's braces.

A pattern is matched part by part while folders are walked, so that no folder is listed in which
nothing can match, locally and at any address alike.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
#: Texts that one pattern of braces may stand for.
MAX_EXPANDED = 10_000_000


def expand_braces(text: str) -> Iterator[str]:
    """Yield the texts that {000..123} in a text stands for, as in WebDataset's addresses."""
    match = _BRACES.search(text)
    if match is None:
        yield text
        return
    first, last = int(match[1]), int(match[2])
    for number in range(first, min(last, first + MAX_EXPANDED) + 1):
        digits = str(number).zfill(len(match[1]))
        yield from expand_braces(text[: match.start()] + digits + text[match.end() :])


def split_pattern(text: str, magic: str = "*?[") -> tuple[str, tuple[str, ...]]:
    """Return the folder before the first part with wildcards, and the parts from there on.

    Args:
        text: A path or an address.
        magic: The characters that make a part a pattern.

    Returns:
        The folder with its last slash, maybe empty, and no parts if there is no wildcard.
    """
    parts = text.split("/")
    for index, part in enumerate(parts):
        if any(letter in part for letter in magic):
            folder = "/".join(parts[:index])
            return folder + "/" if index else "", tuple(parts[index:])
    return text, ()


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a path match those of a pattern, ** any number of folders."""
    # The states of the automaton: how many parts of the pattern have matched.
    states = _closure({0}, pattern)
    for part in parts:
        advanced = set()
        for state in states:
            if state == len(pattern):
                continue
            if pattern[state] == "**":
                advanced.add(state)
            elif fnmatchcase(part, pattern[state]):
                advanced.add(state + 1)
        states = _closure(advanced, pattern)
    return len(pattern) in states


def may_hold_match(folder: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether something below a folder can match a pattern; both in parts."""
    for part, expected in zip(folder, pattern):
        if expected == "**":
            return True
        if not fnmatchcase(part, expected):
            return False
    return len(folder) < len(pattern)


def _closure(states: set[int], pattern: Sequence[str]) -> set[int]:
    """Return the states and those that they reach by a ** that stands for no folder."""
    reached = set(states)
    for state in sorted(states):
        following = state
        while following < len(pattern) and pattern[following] == "**":
            following += 1
            reached.add(following)
    return reached
