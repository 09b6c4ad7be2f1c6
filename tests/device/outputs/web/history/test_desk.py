"""Questions in threads: the file stays open for as long as one reads it."""

import asyncio
import threading
from contextlib import suppress

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.history.reader import SceneFilter
from picaption.device.outputs.web.history.desk import HistoryDesk
from tests.device.fakes.histories import make_history


def test_the_history_is_closed_only_once_no_thread_reads_for_a_client_that_has_gone(tmp_path):
    desk = HistoryDesk(str(make_history(tmp_path / "history.db")))
    is_reading = threading.Event()
    may_read = threading.Event()
    readers = []
    counts = []

    def start(reader):
        readers.append(reader)
        is_reading.set()
        may_read.wait(30)
        counts.append(reader.count(SceneFilter()))
        yield b"piece"

    async def take_pieces():
        async with desk.stream(start) as pieces:
            async for _ in pieces:
                pass

    async def leave_meanwhile():
        client = asyncio.create_task(take_pieces())
        await asyncio.to_thread(is_reading.wait, 30)
        client.cancel()
        with suppress(asyncio.CancelledError):
            await client
        may_read.set()

    asyncio.run(leave_meanwhile())  # Which waits for its threads.
    assert counts == [6]
    with pytest.raises(PicaptionError, match="closed"):
        readers[0].count(SceneFilter())
