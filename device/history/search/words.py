"""Finding scenes by words: SQLite's full-text index, with stems and the names of classes."""

import re
import sqlite3
from collections.abc import Container, Iterable, Sequence
from contextlib import closing

from ...bundle.archive import Contents
from ...bundle.object_words import Phrases, index_phrases, match_phrases, named_classes
from ..database import WORDS_TABLE, reading_errors
from ..reader import HistoryReader
from ..rows import COLUMN_LIST, index_row

#: Words of a query that count.
MAX_WORDS = 32
#: Words that say nothing of a scene, unless a query has no others.
STOP_WORDS = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "his"),
        *("her", "in", "into", "is", "it", "its", "me", "of", "off", "on", "or"),
        *("over", "show", "that", "the", "their", "there", "these", "they", "this", "to", "up"),
        *("was", "were", "what", "when", "where", "which", "while", "who", "with"),
    )
)
#: What a match counts for in the caption, in the other captions, and in classes and tags.
COLUMN_WEIGHTS = (1.0, 0.7, 1.5)

#: The ids of the scenes that match, best first.
RANKING = (
    "SELECT rowid FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ? "
    "ORDER BY bm25(words, ?, ?, ?) LIMIT ?"
)
MIN_ID = -(1 << 63)
MAX_ID = (1 << 63) - 1

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case, MAX_WORDS at most."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())[:MAX_WORDS]]


class Synonyms:
    """What else captions may call what a query names.

    Args:
        contents: Of the bundle, whose classes and names have such words.
    """

    def __init__(self, contents: Contents) -> None:
        metadata = contents.metadata
        self._class_phrases = index_phrases(metadata.object_words, metadata.other_things)
        self._class_words = [
            tuple(dict.fromkeys((label, *phrases)))
            for label, phrases in zip(contents.labels, metadata.object_words)
        ]
        self._vocabulary: Container[str] = ()
        if contents.vocabulary is not None:
            self._vocabulary = contents.vocabulary.word_ids
        self._replacements: Phrases[tuple[str, ...]] = Phrases()
        for words in self._class_words:
            self._add_replacements(words, words)
        for item in contents.names:
            self._add_replacements((item.name, *item.words), item.words)

    def terms(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Return what to look for: each word, and for each class that is named its name.

        A class whose words captions never have is looked for by all words that they may have.

        Args:
            words: Of the query.
        """
        content = [word for word in words if word not in STOP_WORDS] or words
        terms: list[tuple[str, ...]] = [(word,) for word in content]
        text = f" {' '.join(words)} "
        for index in named_classes(words, self._class_phrases):
            class_words = self._class_words[index]
            named = [phrase for phrase in class_words if f" {phrase} " in text]
            is_known = any(self._is_known(phrase) for phrase in named)
            terms.append(class_words[:1] if is_known else class_words)
        return list(dict.fromkeys(terms))

    def in_vocabulary(self, words: Sequence[str]) -> list[str]:
        """Return a sentence with words that the captioner knows in place of those it does not.

        Args:
            words: Of the query; those that have no such word stay.
        """
        named: Phrases[tuple[str, ...]] = Phrases({(word,): (word,) for word in words})
        unknown = {word for word in words if word not in self._vocabulary}
        for phrase, replacement in self._replacements.items():
            if not unknown.isdisjoint(phrase):
                named[phrase] = replacement
        return [word for replacement in match_phrases(words, named) for word in replacement]

    def _add_replacements(self, phrases: Iterable[str], candidates: Iterable[str]) -> None:
        """Let a known one of the candidates stand for those phrases that are not known."""
        known = next((phrase for phrase in candidates if self._is_known(phrase)), None)
        if known is None:
            return
        for phrase in phrases:
            if not self._is_known(phrase):
                self._replacements.setdefault(tuple(phrase.split()), tuple(known.split()))

    def _is_known(self, phrase: str) -> bool:
        return all(word in self._vocabulary for word in phrase.split())


def rank_by_words(
    reader: HistoryReader,
    terms: Iterable[tuple[str, ...]],
    limit: int,
    span: tuple[int, int] | None = None,
) -> list[list[int]]:
    """Return the ids of scenes that have some of the terms, best first.

    Args:
        reader: The history.
        terms: What to look for, each by any of its phrases.
        limit: How many at most; -1: all.
        span: The lowest and the highest id that may be among them; None: any.

    Returns:
        Two rankings: of the scenes in the index, and of the few newest, which are not.
    """
    phrases = [_quoted(phrase) for term in terms for phrase in term]
    if not phrases:
        return [[], []]
    match = " OR ".join(phrases)
    rows = reader.connection.execute(
        f"SELECT {COLUMN_LIST} FROM scene WHERE id > ?", [reader.indexed_to()]
    )
    with reading_errors(reader.path), closing(sqlite3.connect(":memory:")) as newest:
        newest.execute(WORDS_TABLE)
        newest.executemany(
            "INSERT INTO words(rowid, caption, alternatives, names) VALUES(?, ?, ?, ?)",
            map(index_row, rows),
        )
        values = (match, *(span or (MIN_ID, MAX_ID)), *COLUMN_WEIGHTS, limit)
        return [
            [row[0] for row in connection.execute(RANKING, values)]
            for connection in (reader.connection, newest)
        ]


def _quoted(phrase: str) -> str:
    """Return a phrase as FTS5 takes it, whatever characters it has."""
    return '"' + phrase.replace('"', '""').replace("\0", " ") + '"'
