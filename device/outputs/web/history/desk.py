"""Asks the history in threads of its own: few at once, each for a bounded time."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from typing import TypeVar

from ....errors import PicaptionError
from ....history.reader import HistoryReader

Result = TypeVar("Result")

#: Questions that are answered at once, and that wait.
MAX_AT_ONCE = 2
MAX_WAITING = 32
#: Files that are written at once.
MAX_EXPORTS = 2
#: How long a question may take.
QUESTION_SECONDS = 5.0
#: After so many of its instructions, SQLite asks whether it is to go on.
INSTRUCTIONS = 10_000


class BusyError(Exception):
    """There are too many questions already."""


class SlowError(Exception):
    """A question took too long."""


class HistoryDesk:
    """Answers questions about a history.

    Args:
        path: The history's file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting = 0
        self._exports = 0

    async def ask(self, question: Callable[[HistoryReader], Result]) -> Result:
        """Return what a function says of the history, which is open to be read meanwhile.

        Raises:
            BusyError: Too many wait already.
            SlowError: It took too long.
            PicaptionError: The history cannot be read.
        """
        return await self.run(lambda: self._answer(question))

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what a function returns that is called in a thread, as `ask` calls it.

        Raises:
            BusyError: Too many wait already.
        """
        if self._waiting >= MAX_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def stream(
        self, start: Callable[[HistoryReader], Iterator[bytes]]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the pieces that a function makes of the history, which is open meanwhile.

        Raises:
            BusyError: Too many are made already.
            PicaptionError: The history cannot be read, or the function refuses.
        """
        if self._exports >= MAX_EXPORTS:
            raise BusyError
        self._exports += 1
        pieces = _Pieces(self.path, start)
        try:
            await asyncio.to_thread(pieces.open)
            yield _unhurried(pieces.read)
        finally:
            self._exports -= 1
            # A thread may still be reading for a client that has gone; nobody waits for it.
            asyncio.get_running_loop().run_in_executor(None, pieces.close)

    def _answer(self, question: Callable[[HistoryReader], Result]) -> Result:
        end = time.monotonic() + QUESTION_SECONDS
        with closing(HistoryReader(self.path)) as reader:
            reader.connection.set_progress_handler(
                lambda: int(time.monotonic() > end), INSTRUCTIONS
            )
            try:
                return question(reader)
            except PicaptionError:
                if time.monotonic() > end:
                    raise SlowError from None
                raise


class _Pieces:
    """The pieces of a file, and the history that they are made of, for one thread at a time.

    Args:
        path: The history's file.
        start: Returns the pieces.
    """

    def __init__(self, path: str, start: Callable[[HistoryReader], Iterator[bytes]]) -> None:
        self._path = path
        self._start = start
        self._lock = threading.Lock()
        self._reader: HistoryReader | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._is_closed = False

    def open(self) -> None:
        """Open the history, and have the pieces begin; unless they were closed before."""
        with self._lock:
            if not self._is_closed:
                self._reader = HistoryReader(self._path)
                self._pieces = self._start(self._reader)

    def read(self) -> bytes | None:
        """Return the next piece; None: there is none any more."""
        with self._lock:
            return None if self._is_closed else next(self._pieces, None)

    def close(self) -> None:
        """Close the history, once no thread reads it."""
        with self._lock:
            self._is_closed = True
            if self._reader is not None:
                self._reader.close()


async def _unhurried(read: Callable[[], bytes | None]) -> AsyncIterator[bytes]:
    """Yield pieces that are read in a thread, by no more than half of a core."""
    while True:
        start = time.monotonic()
        piece = await asyncio.to_thread(read)
        seconds = time.monotonic() - start
        if piece is None:
            return
        yield piece
        await asyncio.sleep(seconds)
