"""Asks the history in threads of its own: few at once, each for a bounded time."""

import asyncio
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
        try:
            reader = await asyncio.to_thread(HistoryReader, self.path)
            try:
                yield _unhurried(await asyncio.to_thread(start, reader))
            finally:
                reader.close()
        finally:
            self._exports -= 1

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


async def _unhurried(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces that are made in a thread, by no more than half of a core."""
    while True:
        start = time.monotonic()
        piece = await asyncio.to_thread(next, pieces, None)
        seconds = time.monotonic() - start
        if piece is None:
            return
        yield piece
        await asyncio.sleep(seconds)
