r"""n-gram models in ARPA files, the text format that SRILM, KenLM and other toolkits share.

\data\ and how many n-grams there are of each order, then for each order \N-grams: and a line for
each n-gram:

    log10 P(w_n | w_1 ... w_{n-1}) <tab> w_1 ... w_n [<tab> log10 of the back-off weight]

and \end\ at last (https://www.speech.sri.com/projects/srilm/manpages/ngram-format.5.html). The
back-off weight is that of w_1 ... w_n as a history. -99 stands for log 0.
"""

import errno
import gzip
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from picaption.device import PicaptionError
from picaption.device.bundle.vocabulary import (
    END_ID,
    SPECIAL_WORDS,
    START_ID,
    UNKNOWN_ID,
    Vocabulary,
)

from ..files import write_lines
from .ngram import History, NGramModel, probability

#: What separates words in an ARPA file, as KenLM reads it; other white space is part of a word.
_SEPARATORS = "\0\t\n\v\f\r "
_SEPARATOR = re.compile(f"[{_SEPARATORS}]+")
#: The logarithm of zero.
_LOG_ZERO = -99
#: Decimals of logarithms in a file.
_DECIMALS = 9
#: How gzip's files begin, and how far into a file the head of an ARPA file is looked for.
_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_CHARACTERS = 4096
#: No line is so long: what gzip unpacks may have no end.
_LINE_CHARACTERS = 1 << 20
UNKNOWN_WORD = SPECIAL_WORDS[UNKNOWN_ID]
#: What other toolkits write for it.
_UNKNOWN_SPELLINGS = ("<UNK>",)
#: How much of a malformed line an error quotes.
_QUOTED = 60


def write_arpa(path: str | Path, model: NGramModel, vocabulary: Vocabulary) -> None:
    """Write a model to an ARPA file, completely or not at all.

    Args:
        path: The file.
        model: The model.
        vocabulary: Its words.

    Raises:
        PicaptionError: A word is empty or has a space within, which the format cannot hold.
        ValueError: The vocabulary is of another size than the model.
    """
    if len(vocabulary) != model.size:
        raise ValueError(f"the model is of {model.size} words, the vocabulary of {len(vocabulary)}")
    for word in vocabulary.words:
        if not word or _SEPARATOR.search(word):
            raise PicaptionError(
                f"{path}: ARPA files cannot hold the word {word!r}: take it out of the vocabulary"
            )
    by_order: list[list[tuple[History, float]]] = [[] for _ in range(model.order)]
    by_order[0] += [((word_id,), probability(model, (), word_id)) for word_id in range(model.size)]
    for history, probabilities in model.probabilities.items():
        if history:
            by_order[len(history)] += [
                ((*history, word_id), value) for word_id, value in probabilities.items()
            ]
    write_lines(path, _lines(by_order, model.backoff_weights, vocabulary))


def _lines(
    by_order: Sequence[Sequence[tuple[History, float]]],
    backoff_weights: Mapping[History, float],
    vocabulary: Vocabulary,
) -> Iterator[str]:
    """Yield the lines of an ARPA file, of n-grams with their probabilities."""
    yield "\\data\\"
    for order, ngrams in enumerate(by_order, 1):
        yield f"ngram {order}={len(ngrams)}"
    for order, ngrams in enumerate(by_order, 1):
        yield f"\n\\{order}-grams:"
        for ngram, value in ngrams:
            line = f"{_log10(value)}\t{' '.join(vocabulary.decode(ngram))}"
            if ngram in backoff_weights:
                line += f"\t{_log10(backoff_weights[ngram])}"
            yield line
    yield "\n\\end\\"


def _log10(value: float) -> float:
    """Return a rounded logarithm: a sum that is slightly above one would be no probability."""
    return round(math.log10(value), _DECIMALS) if value else _LOG_ZERO


def read_arpa(path: str | Path) -> tuple[NGramModel, Vocabulary]:
    """Read an ARPA file, written by picaption or another toolkit.

    Returns:
        The model, and its words in the order of the file, the special ones put first. Where there
        is no <unk>, unknown words are impossible.

    Raises:
        PicaptionError: It cannot be read, or is not a complete ARPA file of sentences; the error
            names the line.
    """
    try:
        with _open_text(path) as file:
            return _Reader(path, _bounded_lines(file)).read()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise PicaptionError(f"{path}: it is not a whole gzip file; copy it again") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PicaptionError(f"{path}: cannot read this as an ARPA file: {error}") from None


def is_arpa(path: str | Path) -> bool:
    """Return whether a file is an ARPA file, compressed by gzip or not, by its name or content."""
    if ".arpa" in Path(path).suffixes:
        return True
    try:
        with _open_text(path) as file:
            # Comments may stand before it.
            return "\\data\\" in file.read(_HEAD_CHARACTERS).lower()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        return False


def _open_text(path: str | Path) -> TextIO:
    """Open a text file, unpacked if gzip has compressed it, without a byte order mark."""
    if not Path(path).is_file() and Path(path).exists():
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    with open(path, "rb") as file:
        is_compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    if is_compressed:
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return open(path, encoding="utf-8-sig")


def _bounded_lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of a file; raises OSError at one that is longer than any n-gram's."""
    while line := file.readline(_LINE_CHARACTERS):
        if len(line) == _LINE_CHARACTERS:
            raise OSError(errno.EFBIG, f"a line has {_LINE_CHARACTERS} characters")
        yield line


class _Reader:
    """Reads the lines of an ARPA file, one after the other."""

    def __init__(self, path: str | Path, lines: Iterable[str]) -> None:
        self._path = path
        self._lines = self._number_lines(lines)
        self._line_number = 0
        self._line = ""
        self._listed_words: set[str] = set()
        self._word_ids = {word: word_id for word_id, word in enumerate(SPECIAL_WORDS)}
        self._probabilities: dict[History, dict[int, float]] = {(): {}}
        self._backoff_weights: dict[History, float] = {}

    def read(self) -> tuple[NGramModel, Vocabulary]:
        while self._advance() != "\\data\\":  # Whatever is before it is a comment.
            pass
        totals = self._read_totals()
        for order, total in enumerate(totals, 1):
            self._read_ngrams(order, total, highest=len(totals))
            self._check(
                order > 1 or {"<s>", "</s>"} <= self._listed_words,
                "expected <s> and </s> among the 1-grams before it",
            )
        model = NGramModel(
            len(totals), len(self._word_ids), self._probabilities, self._backoff_weights
        )
        return model, Vocabulary(self._word_ids)

    @staticmethod
    def _number_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
        """Yield the lines that are not empty, with their numbers."""
        for line_number, line in enumerate(lines, 1):
            stripped = line.strip(_SEPARATORS)
            if stripped:
                yield line_number, stripped

    def _advance(self) -> str:
        """Go to the next line that is not empty and return it, a mark in small letters."""
        try:
            self._line_number, self._line = next(self._lines)
        except StopIteration:
            raise PicaptionError(
                f"{self._path}: line {self._line_number}: the file ends without \\end\\: "
                "it is not an ARPA file or not all of one; get or write it again"
            ) from None
        if self._line.startswith("\\"):
            return self._line.lower()
        return self._line

    def _check(self, valid: bool, wrong: str) -> None:
        if not valid:
            raise PicaptionError(
                f"{self._path}: line {self._line_number}: {wrong}, in {self._line[:_QUOTED]!r}; "
                "fix this line or write the file again"
            )

    def _read_totals(self) -> list[int]:
        """Return how many n-grams there are of each order; go on to the 1-grams."""
        totals: list[int] = []
        while self._advance() != "\\1-grams:":
            order = len(totals) + 1
            match = re.fullmatch(rf"ngram\s+{order}\s*=\s*([0-9]{{1,12}})", self._line)
            self._check(
                match is not None, f"expected 'ngram {order}=' and a number, or '\\1-grams:'"
            )
            assert match is not None
            totals.append(int(match[1]))
        self._check(bool(totals), "expected 'ngram 1=' and a number before it")
        return totals

    def _read_ngrams(self, order: int, total: int, highest: int) -> None:
        """Read the n-grams of one order; go on to the line after them."""
        last = "\\end\\" if order == highest else f"\\{order + 1}-grams:"
        count = 0
        while self._advance() != last:
            count += 1
            value, words, weight = self._split_line(order, order < highest)
            self._check(
                count <= total, f"expected '{last}' after the {total} n-grams that the head names"
            )
            ngram = self._word(words[0]) if order == 1 else self._ngram(words)
            # START is never predicted; some toolkits write probability 1, some 0.
            if ngram != (START_ID,):
                self._probabilities.setdefault(ngram[:-1], {})[ngram[-1]] = value
            if weight is not None:
                self._backoff_weights[ngram] = weight
        self._check(
            count == total,
            f"expected {total} {order}-grams before it, as the head says, not {count}",
        )

    def _split_line(self, order: int, has_backoff: bool) -> tuple[float, list[str], float | None]:
        """Return a line's probability, words, and back-off weight or None."""
        logarithm, *words = _SEPARATOR.split(self._line)
        expected = f"expected log10 of a probability, {order} words"
        if has_backoff:
            expected += " and perhaps a back-off weight"
        is_weighted = len(words) == order + 1
        if is_weighted and not has_backoff:
            # Some toolkits write a weight of 1 there too, as KenLM reads it.
            is_weighted = self._power_of_ten(words[-1], 99) == 1
        self._check(len(words) == order or is_weighted, expected)
        weight = None
        if is_weighted:
            weight = self._power_of_ten(words.pop(), 99)
        words = [UNKNOWN_WORD if word in _UNKNOWN_SPELLINGS else word for word in words]
        return self._power_of_ten(logarithm, 0), words, weight if has_backoff else None

    def _power_of_ten(self, text: str, largest: int) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        self._check(value <= largest, f"{text!r} is not a number of at most {largest}")
        return 10**value if value > _LOG_ZERO else 0.0

    def _word(self, word: str) -> History:
        """Return the 1-gram of a word, which gets its id."""
        self._check(word not in self._listed_words, f"{word!r} stands there twice")
        self._listed_words.add(word)
        return (self._word_ids.setdefault(word, len(self._word_ids)),)

    def _ngram(self, words: Sequence[str]) -> History:
        """Return the n-gram of words, not of order 1."""
        for word in words:
            self._check(word in self._listed_words, f"{word!r} is not among the 1-grams")
        ngram = tuple(self._word_ids[word] for word in words)
        self._check(
            START_ID not in ngram[1:] and END_ID not in ngram[:-1],
            "<s> stands first only, and </s> last",
        )
        # Its history may be missing among the shorter n-grams, as SRILM prunes: it backs off then.
        self._check(
            ngram[-1] not in self._probabilities.get(ngram[:-1], ()),
            "this n-gram stands there twice",
        )
        return ngram
