"""A second set of names beside the classes: what each is called, by people and in captions.

They are lines of four columns, split by tabs:

    n07920052	espresso	espresso, coffee, cup, drink	drink

an identifier, the name, words that a caption may use of what it shows, and hypernyms: more general
names. Words and hypernyms go from specific to general. Two lines of one name are one name. A line
that starts with # is a comment. What is uncertain by its name may be certain by a more general one:
the probability of a hypernym is the sum over all that it covers.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_COLUMNS = 4
_MAX_NAMES = 20_000
_MAX_LENGTH = 60
_MAX_WORDS = 32
_MAX_HYPERNYMS = 8


@dataclass(frozen=True)
class NamedClass:
    """A class of the second set.

    Attributes:
        identifier: In its origin, such as a WordNet id.
        name: What people call it.
        words: Words and phrases that a caption may use of it, from specific to general.
        hypernyms: More general names, from specific to general.
    """

    identifier: str
    name: str
    words: tuple[str, ...] = ()
    hypernyms: tuple[str, ...] = ()


def parse_names(text: str) -> tuple[NamedClass, ...]:
    """Read the lines of names, see above.

    Raises:
        ValueError: They are malformed; the message names the line.
    """
    lines = [
        (number, line)
        for number, line in enumerate(text.removesuffix("\n").split("\n"), 1)
        if line and not line.startswith("#")
    ]
    if len(lines) > _MAX_NAMES:
        raise ValueError(f"there are {len(lines)} names, more than {_MAX_NAMES}")
    return tuple(_parse_line(line, number) for number, line in lines)


def names_text(names: Iterable[NamedClass]) -> str:
    """Return names as parse_names reads them."""
    return "".join(
        f"{item.identifier}\t{item.name}\t{', '.join(item.words)}\t{'; '.join(item.hypernyms)}\n"
        for item in names
    )


def _parse_line(line: str, number: int) -> NamedClass:
    """Return the name on a line; raise ValueError with the line's number."""
    columns = line.split("\t")
    if len(columns) != _COLUMNS:
        raise ValueError(f"line {number} of the names has {len(columns)} columns, not {_COLUMNS}")
    identifier, name, words, hypernyms = columns
    item = NamedClass(identifier, name, _split(words, ","), _split(hypernyms, ";"))
    for text in (identifier, name, *item.words, *item.hypernyms):
        if not _is_readable(text):
            raise ValueError(
                f"line {number} of the names has {text[:_MAX_LENGTH]!r}: a name has 1 to "
                f"{_MAX_LENGTH} characters, none of them a control character"
            )
    if len(item.words) > _MAX_WORDS or len(item.hypernyms) > _MAX_HYPERNYMS:
        raise ValueError(
            f"line {number} of the names has more than {_MAX_WORDS} words or {_MAX_HYPERNYMS} "
            "hypernyms"
        )
    return item


def _split(text: str, separator: str) -> tuple[str, ...]:
    """Return the parts of a column, without the space around them; none of an empty one."""
    if not text:
        return ()
    return tuple(re.split(rf" *{separator} *", text))


def _is_readable(text: str) -> bool:
    if not text.strip() or len(text) > _MAX_LENGTH:
        return False
    return not any(unicodedata.category(letter)[0] == "C" for letter in text)


class NameTree:
    """The names of all classes and their hypernyms, with the classes that each covers.

    Attributes:
        names: All names, those that cover the fewest classes first.
    """

    def __init__(self, classes: Sequence[NamedClass]) -> None:
        """Prepare the sums over the classes of each name."""
        covered: dict[str, list[int]] = {}
        for index, item in enumerate(classes):
            for name in dict.fromkeys((item.name, *item.hypernyms)):
                covered.setdefault(name, []).append(index)
        self.names = tuple(sorted(covered, key=lambda name: len(covered[name])))
        members = [covered[name] for name in self.names]
        self._members = np.array([index for indices in members for index in indices])
        counts = [len(indices) for indices in members]
        self._starts = np.cumsum([0, *counts[:-1]])

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability of each of `names`, float32 [names].

        Args:
            scores: Of the classes, float32 [classes], which sum to 1.
        """
        return np.add.reduceat(scores[self._members], self._starts)

    def certain(self, scores: np.ndarray, threshold: float, count: int) -> list[tuple[str, float]]:
        """Return the names whose probability reaches a threshold, the most specific first.

        Args:
            scores: Of the classes, float32 [classes], which sum to 1.
            threshold: The least probability.
            count: How many names at most.

        Returns:
            Names and their probabilities, at most 1.
        """
        sums = self.probabilities(scores)
        indices = np.flatnonzero(sums >= threshold)[:count].tolist()
        return [(self.names[index], min(sums.item(index), 1.0)) for index in indices]
