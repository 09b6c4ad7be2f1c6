"""Batches on a cluster: Dask distributed schedules them, retries them and replaces its workers."""

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from ..errors import PicaptionError, TemporaryError
from .collection.items import Batch
from .processes import Progress
from .run import Run
from .task import annotate_batch, probe_image

#: Seconds that a scheduler and its first worker may take to answer.
CONNECT_SECONDS = 10.0
WORKER_SECONDS = 60.0
#: How often a batch that fails, as at a full disk or a network that is down, is tried once more.
RETRIES = 2
#: How often a batch is tried whose workers have died, the first time all of it.
RECOVERIES = 3
#: Batches that are waiting for each thread of a worker, so that none has to wait for the client.
QUEUED_PER_THREAD = 2
#: How often the workers are counted, in seconds.
COUNT_SECONDS = 5.0


def run_on_cluster(run: Run, batches: Iterator[Batch], scheduler: str) -> Iterator[Progress]:
    """Annotate batches on a Dask cluster, and yield each when it is done.

    Args:
        run: The run.
        batches: The batches, taken as workers become free.
        scheduler: The scheduler's address.

    Raises:
        PicaptionError: There is no scheduler or worker, or the bundle or output cannot be used.
        TemporaryError: The scheduler has gone; the same command goes on.
    """
    from distributed import Client

    # What it tells of connections, as a traceback each, stands in one line here.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise PicaptionError(
            f"no Dask scheduler answers at {scheduler} ({reason}); start one with `dask scheduler`"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError:
            raise PicaptionError(
                f"{scheduler} has no workers; start some with "
                f"`dask worker {scheduler} --nworkers auto --nthreads 1`"
            ) from None
        yield from _Cluster(client, run, batches).results()


class _Cluster:
    """The batches that a cluster works on.

    Args:
        client: Of the scheduler.
        run: The run.
        batches: Those that are not submitted.
    """

    def __init__(self, client: Any, run: Run, batches: Iterator[Batch]) -> None:
        from distributed import as_completed

        self._client = client
        self._run = run
        self._batches = batches
        self._completed = as_completed([], loop=client.loop)
        self._pending: dict[Any, Batch] = {}
        self._room = 0
        self._counted_at = -COUNT_SECONDS

    def results(self) -> Iterator[Progress]:
        """Yield the batches as they are done."""
        self._fill()
        while self._pending:
            future = next(self._completed)
            batch = self._pending.pop(future)
            result = self._result(future, batch)
            self._fill()
            yield Progress(batch.name, result.images, result)

    def _fill(self) -> None:
        """Submit as many batches as keep all workers busy."""
        now = time.monotonic()
        if now - self._counted_at >= COUNT_SECONDS:
            threads = sum(self._client.nthreads().values())
            self._room = max(1, threads * QUEUED_PER_THREAD)
            self._counted_at = now
        free = max(0, self._room - len(self._pending))
        for batch in islice(self._batches, free):
            self._add(batch, self._submit(batch))

    def _add(self, batch: Batch, future: Any) -> None:
        self._pending[future] = batch
        self._completed.add(future)

    def _submit(self, batch: Batch, crashed: frozenset[int] = frozenset(), suffix: str = "") -> Any:
        # A batch that a client before this one has submitted has the same key, and is not begun
        # twice.
        key = f"annotate-{self._run.identity}-{batch.name}{suffix}"
        return self._client.submit(
            annotate_batch, self._run, batch, crashed, key=key, retries=RETRIES, pure=False
        )

    def _result(self, future: Any, batch: Batch) -> Any:
        """Return what has become of a batch."""
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except PicaptionError:
            raise
        except KilledWorker:
            return self._recover(batch)
        except (CancelledError, OSError) as error:
            raise TemporaryError(
                f"the scheduler has gone ({type(error).__name__}); once it is back, the same "
                "command goes on"
            ) from None
        except Exception as error:  # As of a worker without picaption.
            reason = str(error).strip().partition("\n")[0]
            raise PicaptionError(
                f"a worker fails ({type(error).__name__}: {reason}); install the same picaption "
                "and extras on all of them"
            ) from None

    def _recover(self, batch: Batch) -> Any:
        """Return what has become of a batch whose workers have died.

        It may only have stood in line behind the one that ended them.

        Raises:
            TemporaryError: It ends them, and none of its images does.
        """
        from distributed.scheduler import KilledWorker

        crashed: frozenset[int] = frozenset()
        for attempt in range(RECOVERIES):
            if attempt:
                crashed = self._find_crashing(batch)
            try:
                return self._submit(batch, crashed, f"-attempt-{attempt}").result()
            except KilledWorker:
                continue
        raise TemporaryError(
            f"workers end at the batch of {batch.items[0].path}, and at none of its pictures "
            "alone; give them more memory, or a smaller --batch"
        )

    def _find_crashing(self, batch: Batch) -> frozenset[int]:
        """Return the images of a batch that end a worker by themselves, by their places."""
        from distributed.scheduler import KilledWorker

        # Whatever waits at a worker when it ends counts as the cause: nothing else may.
        for pending in self._pending:
            with suppress(Exception):  # Its turn reports it.
                pending.exception()
        crashed = set()
        index = 0
        count = 1
        while index < count:
            key = f"probe-{self._run.identity}-{batch.name}-{index}"
            future = self._client.submit(probe_image, self._run, batch, index, key=key, pure=False)
            try:
                count = future.result()
            except KilledWorker:
                crashed.add(index)
                count = max(count, index + 2)
            index += 1
        return frozenset(crashed)
