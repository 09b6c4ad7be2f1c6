"""Batches on the cores of one machine, a process each.

A process that dies is replaced, and its batch is done once more. Each process tells which image it
looks at, so that an image that ends two of them is known, and left out.
"""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from ..errors import PicaptionError
from .collection.items import Batch
from .run import Run
from .task import BatchResult, annotate_batch, opened

#: Processes that one image may end before it is left out.
MAX_CRASHES = 2
#: Processes in a row that may end before they have opened the bundle.
MAX_FAILED_STARTS = 3


@dataclass(frozen=True)
class Progress:
    """How far a batch is.

    Attributes:
        batch: Its name.
        images: How many of its images have been looked at.
        result: What has become of it; None: it goes on.
    """

    batch: str
    images: int
    result: BatchResult | None = None


@dataclass
class _Worker:
    """A process.

    Attributes:
        process: The process.
        connection: To it.
        batch: What it works on; None: nothing.
        index: The image that it looks at, by its place in the batch.
        is_ready: Whether it has opened the bundle.
    """

    process: Any
    connection: Connection
    batch: Batch | None = None
    index: int = -1
    is_ready: bool = False


@dataclass
class _Pool:
    """Processes, and the batches that they have not done.

    Attributes:
        run: The run.
        batches: Those that no process has begun.
        workers: The processes.
        unfinished: Batches whose process has died.
        crashes: How many processes each image has ended, by batch and place.
        failed_starts: Processes in a row that have ended before they were ready.
    """

    run: Run
    batches: Iterator[Batch]
    workers: list[_Worker] = field(default_factory=list)
    unfinished: list[Batch] = field(default_factory=list)
    crashes: Counter[tuple[str, int]] = field(default_factory=Counter)
    failed_starts: int = 0

    def start_worker(self) -> None:
        """Start a process."""
        context = multiprocessing.get_context("spawn")
        connection, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self.run, theirs), daemon=True)
        process.start()
        theirs.close()
        self.workers.append(_Worker(process, connection))

    def assign(self, worker: _Worker) -> None:
        """Give a process the next batch; without one, it ends."""
        batch = self.unfinished.pop() if self.unfinished else next(self.batches, None)
        if batch is None:
            self.dismiss(worker)
            return
        worker.batch = batch
        worker.index = -1
        crashed = frozenset(
            index
            for (name, index), count in self.crashes.items()
            if name == batch.name and count >= MAX_CRASHES
        )
        try:
            worker.connection.send((batch, crashed))
        except OSError:
            self.replace(worker)

    def dismiss(self, worker: _Worker) -> None:
        """Let go of a process."""
        worker.connection.close()
        worker.process.join()
        self.workers.remove(worker)

    def replace(self, worker: _Worker) -> None:
        """Start another process in place of one that has died.

        Raises:
            PicaptionError: They die before they have begun.
        """
        self.dismiss(worker)
        if worker.is_ready:
            self.failed_starts = 0
        else:
            self.failed_starts += 1
        if self.failed_starts >= MAX_FAILED_STARTS:
            raise PicaptionError(
                f"the processes end at their start (exit code {worker.process.exitcode}); "
                "give fewer --workers if memory is short"
            )
        if worker.batch is not None:
            self.unfinished.append(worker.batch)
            if worker.index >= 0:
                self.crashes[worker.batch.name, worker.index] += 1
        self.start_worker()

    def receive(self, worker: _Worker) -> Progress | None:
        """Return what a process tells of its batch, and give it the next when it asks for one.

        Raises:
            PicaptionError: The batch cannot be done.
        """
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            self.replace(worker)
            return None
        if isinstance(message, PicaptionError):
            raise message
        if isinstance(message, int):
            worker.index = message
            assert worker.batch is not None
            return Progress(worker.batch.name, message)
        worker.is_ready = True
        worker.batch = None
        self.assign(worker)
        if isinstance(message, BatchResult):
            return Progress(message.name, message.images, message)
        return None


def run_in_processes(run: Run, batches: Iterator[Batch], workers: int) -> Iterator[Progress]:
    """Annotate batches in processes, and yield how far they are.

    Args:
        run: The run.
        batches: The batches, taken as processes become free.
        workers: How many processes.

    Raises:
        PicaptionError: The bundle or the output cannot be used.
    """
    pool = _Pool(run, batches)
    try:
        for _ in range(workers):
            pool.start_worker()
        while pool.workers:
            ready = wait([worker.connection for worker in pool.workers])
            for worker in [worker for worker in pool.workers if worker.connection in ready]:
                progress = pool.receive(worker)
                if progress is not None:
                    yield progress
    finally:
        for worker in pool.workers:
            worker.process.terminate()
        for worker in pool.workers:
            worker.process.join()
            worker.connection.close()


def run_inline(run: Run, batches: Iterator[Batch]) -> Iterator[Progress]:
    """Annotate batches in this process, as where the file system is its own memory."""
    for batch in batches:
        result = annotate_batch(run, batch)
        yield Progress(batch.name, result.images, result)


def _work(run: Run, connection: Connection) -> None:
    """Annotate batches until the other end is closed: the body of a process.

    It sends None once it is ready, the place of each image before it is looked at, and each batch's
    result; or the error that ends it.
    """
    # Ctrl-C in a terminal reaches all processes; the parent's is the one that counts.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        opened(run)
        connection.send(None)
        while True:
            batch, crashed = connection.recv()
            connection.send(annotate_batch(run, batch, crashed, connection.send))
    except PicaptionError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The parent is gone, or has no more work. Nothing is left to clean up.
        os._exit(0)
