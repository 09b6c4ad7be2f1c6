"""The child: how many requests wait for it, and what comes of one that dies."""

import asyncio
import os
import shutil
import signal

import pytest

from picaption.device.outputs.web.api import worker as module
from picaption.device.outputs.web.api.exchange import ApiRequest, ChildSettings
from picaption.device.outputs.web.api.worker import BusyError, UnavailableError, Worker
from tests.tiny import DEMO, TINY_BUNDLE

PHOTO = (DEMO / "cat.jpg").read_bytes()
REQUEST = ApiRequest("POST", "/recognize")


def run(check, **settings):
    """Run `check(worker)`, a coroutine, and close the worker."""

    async def main():
        worker = Worker(ChildSettings(**({"bundle": str(TINY_BUNDLE), "threads": 1} | settings)))
        try:
            return await check(worker)
        finally:
            await worker.close()

    return asyncio.run(main())


def test_so_many_requests_and_no_more():
    worker = Worker(ChildSettings(), max_requests=2)
    with worker.reserve():
        with worker.reserve(), pytest.raises(BusyError), worker.reserve():
            pass
        with worker.reserve():
            pass


def test_the_life_of_children(tmp_path, caplog, monkeypatch):
    """One dies, one hangs, one has a bundle that was replaced, and the last has none."""
    bundle = shutil.copy(TINY_BUNDLE, tmp_path / "bundle.tflite")

    async def check(worker):
        pids = []

        async def ask():
            head, body = await worker.answer(REQUEST, PHOTO)
            pids.append(worker._child.process.pid)
            return head.status, b'"caption"' in body

        assert await ask() == (200, True)
        # Those that wait for each other are answered in turn, by the same child.
        assert await asyncio.gather(ask(), ask()) == [(200, True)] * 2
        assert len(set(pids)) == 1
        with open(f"/proc/{pids[0]}/oom_score_adj", encoding="ascii") as file:
            assert file.read() == "1000\n"
        os.kill(pids[0], signal.SIGSTOP)
        waiting = asyncio.create_task(worker.answer(REQUEST, PHOTO))
        await asyncio.sleep(0.05)
        os.kill(pids[0], signal.SIGKILL)
        with pytest.raises(UnavailableError, match="has ended; try again"):
            await waiting
        assert await ask() == (200, True)
        os.kill(pids[-1], signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(module, "ANSWER_SECONDS", 0.2)
            with pytest.raises(UnavailableError, match="no answer within"):
                await worker.answer(REQUEST, PHOTO)
        shutil.copy(TINY_BUNDLE, tmp_path / "new.tflite")
        os.replace(tmp_path / "new.tflite", bundle)
        assert await ask() == (200, True)
        assert len(set(pids)) == 3
        os.remove(bundle)
        with pytest.raises(UnavailableError, match="bundle.tflite"):
            await ask()
        return pids

    pids = run(check, bundle=str(bundle))
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    assert [record.getMessage() for record in caplog.records] == [
        "the process that answers requests has ended at /recognize"
    ]


def test_a_child_that_nobody_asks_ends_and_comes_back(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.2)

    async def check(worker):
        resting = asyncio.create_task(worker.rest())
        await worker.answer(REQUEST, PHOTO)
        process = worker._child.process
        # It is let end, and does so by itself.
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert (await worker.answer(REQUEST, PHOTO))[0].status == 200
        assert worker._child.process.pid != process.pid
        resting.cancel()

    run(check)
