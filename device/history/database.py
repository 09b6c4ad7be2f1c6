"""The history's file: a SQLite database that is made, recognised and opened here.

It is made for an SD card. A commit appends the pages that it changes to the write-ahead log, so
pages are small. The words of scenes go into the full-text index many scenes at a time
(picaption.device.history.store), since every commit to it rewrites several pages. The log is
copied into the file once it is long, and then a page that changed often is written once.

With `synchronous = NORMAL` nothing waits for the card when a scene is committed: the log is synced
before it is copied into the file. A process that is killed loses nothing that was committed. A
power cut may lose the last commits, as many as the system had not written by then (30 s of them,
by Linux's own settings), and leaves the file whole: every page in the log has a checksum.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..atomic import is_device
from ..errors import PicaptionError

#: "pica": what tells a history from other databases.
APPLICATION_ID = 0x70696361
#: The version of the tables; it changes when they do.
SCHEMA_VERSION = 1
#: Bytes of a page.
PAGE_BYTES = 512
#: Pages of the log after which it is copied into the file: 17 MB, two or three days of a scene a
#: minute. What changed often in that time is written once.
LOG_PAGES = 32_000
#: How long a connection waits for another that writes.
BUSY_SECONDS = 10.0
#: Pages that a connection keeps in memory, in kB.
CACHE_KB = 2000

#: The full-text index of the scenes' words; it holds no texts.
WORDS_TABLE = """
CREATE VIRTUAL TABLE words USING fts5(
    caption, alternatives, names, content='', tokenize='porter unicode61 remove_diacritics 2'
)
"""

SCHEMA = """
CREATE TABLE scene(
    id INTEGER PRIMARY KEY,
    end INTEGER NOT NULL,
    camera TEXT NOT NULL,
    caption TEXT,
    confidence REAL,
    unsure INTEGER NOT NULL,
    alternatives TEXT NOT NULL,
    tags TEXT NOT NULL,
    classes TEXT NOT NULL,
    silence TEXT,
    encoder TEXT NOT NULL
);
CREATE TABLE image(
    scene INTEGER PRIMARY KEY,
    scale REAL,
    features BLOB,
    thumbnail BLOB
);
CREATE TABLE sketch(scene INTEGER PRIMARY KEY, sketch BLOB NOT NULL);
CREATE TABLE state(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE written(day TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
"""

_MAGIC = b"SQLite format 3\0"
_ID_OFFSET = 68


def connect_to_write(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Open the history to write to it; it is made if it is not there.

    Raises:
        PicaptionError: Something else is there, or it cannot be made.
        sqlite3.Error: It is damaged, or the disk is full.
    """
    path = Path(path)
    _require_history_or_none(path)
    try:
        # What a camera saw is its owner's business: nobody else reads it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise PicaptionError(
            f"history: {path} cannot be written ({error.strerror}); check the folder"
        ) from None
    connection = _connect(path, "rw")
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Open the history to read it, also while another process writes.

    Raises:
        PicaptionError: There is no history, or it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise PicaptionError(
            f"history: there is no file {path}; picaption live --history makes one"
        )
    _require_history_or_none(path)
    with reading_errors(path):
        connection = _connect(path, "ro")
        try:
            _check_version(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def reading_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what SQLite, and rows of other values than ours, raise into a PicaptionError."""
    try:
        yield
    except (sqlite3.Error, zlib.error, ValueError, TypeError) as error:
        raise PicaptionError(f"history: {path} cannot be read ({error})") from None


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    connection.execute("PRAGMA trusted_schema = OFF")
    # To overwrite what is pruned would double what is written; what a user deletes is overwritten.
    connection.execute("PRAGMA secure_delete = OFF")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file, and set how it is written."""
    if _is_empty(connection):
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _is_empty(connection):  # Another process may have been faster.
                for statement in (*SCHEMA.split(";\n"), WORDS_TABLE):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
    _check_version(connection, path)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Return whether a database has no tables yet."""
    return connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raise PicaptionError unless a database is a history that is read here."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise _not_a_history(path)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise PicaptionError(
            f"history: {path} is of version {version}, this picaption reads {SCHEMA_VERSION}; "
            "update picaption, or give another path"
        )


def _require_history_or_none(path: Path) -> None:
    """Raise PicaptionError if something else than a history is at `path`; nothing is changed."""
    if path.is_dir() or is_device(path):
        raise PicaptionError(f"history: {path} is not a file; give a file's path")
    try:
        if not path.is_file() or not path.stat().st_size:
            return
        with open(path, "rb") as file:
            head = file.read(_ID_OFFSET + 4)
    except OSError as error:
        raise PicaptionError(
            f"history: {path} cannot be read ({error.strerror}); check the path"
        ) from None
    number = int.from_bytes(head[_ID_OFFSET:], "big")
    if not head.startswith(_MAGIC) or number not in (0, APPLICATION_ID):
        raise _not_a_history(path)
    if number == 0:  # Of a new history, the number may still be in the log.
        with reading_errors(path), closing(_connect(path, "ro")) as connection:
            if not _is_empty(connection):
                _check_version(connection, path)


def _not_a_history(path: Path) -> PicaptionError:
    return PicaptionError(
        f"history: {path} is not a history of picaption, or damaged; it is left as it is: "
        "give another path"
    )
