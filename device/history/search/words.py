"""Finding scenes by words: SQLite's full-text index, with stems and the names of classes."""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing

from ...bundle.metadata import Metadata
from ...bundle.object_words import Phrases, index_phrases, match_phrases
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
COLUMN_WEIGHTS = (1.0, 0.5, 0.7)

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case, MAX_WORDS at most."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())[:MAX_WORDS]]


class Synonyms:
    """What else a class that a query names may be called in captions.

    Args:
        metadata: Of the bundle.
        labels: Its classes.
    """

    def __init__(self, metadata: Metadata, labels: Sequence[str]) -> None:
        self._phrases = index_phrases(metadata.object_words, metadata.other_things)
        self._names = [
            tuple(dict.fromkeys((label, *phrases)))
            for label, phrases in zip(labels, metadata.object_words)
        ]

    def terms(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Return what to look for: for each thing that words name, all that it may be called.

        Args:
            words: Of the query.
        """
        named: Phrases = Phrases({(word,): word for word in words if word not in STOP_WORDS})
        named.update(self._phrases)
        terms: list[tuple[str, ...]] = []
        for match in match_phrases(words, named):
            if isinstance(match, str):
                terms.append((match,))
            else:
                terms += [self._names[index] for index in match]
        # Words that name no class by themselves, such as those of other things, count too.
        covered = {word for term in terms for phrase in term for word in phrase.split()}
        content = [word for word in words if word not in STOP_WORDS] or words
        return [*dict.fromkeys(terms), *((word,) for word in content if word not in covered)]


def rank_by_words(
    reader: HistoryReader, terms: Iterable[tuple[str, ...]], limit: int
) -> list[list[int]]:
    """Return the ids of scenes that have some of the terms, best first.

    Args:
        reader: The history.
        terms: What to look for, each by any of its phrases.
        limit: How many at most.

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
        return [_ranked(connection, match, limit) for connection in (reader.connection, newest)]


def _ranked(connection: sqlite3.Connection, match: str, limit: int) -> list[int]:
    query = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words, ?, ?, ?) LIMIT ?"
    return [row[0] for row in connection.execute(query, (match, *COLUMN_WEIGHTS, limit))]


def _quoted(phrase: str) -> str:
    """Return a phrase as FTS5 takes it, whatever characters it has."""
    return '"' + phrase.replace('"', '""').replace("\0", " ") + '"'
