"""The server's side of the child that answers: started when it is first needed, one request a time.

What waits for it is bounded: beyond that, requests are refused at once, before their bodies are
read. A child that dies, or hangs, is ended, and another starts for the next request.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from ....bundle.bundle import default_bundle
from .exchange import ApiAnswer, ApiRequest, ChildSettings, pack, receive_message

logger = logging.getLogger(__name__)

CHILD = "picaption.device.outputs.web.api.child.program"
#: Requests that are read, wait or are answered at once.
MAX_REQUESTS = 8
#: How long the child may take to start, and for an answer: a busy board takes its time.
START_SECONDS = 60.0
ANSWER_SECONDS = 30.0
#: How long `close` waits for the child's end.
CLOSE_SECONDS = 2.0
#: After so long without a request `rest` ends the child, and how often it looks.
IDLE_SECONDS = 900.0
LOOK_SECONDS = 30.0
#: How long it waits for the child to end by itself, which a closed stream tells it to.
PATIENCE_SECONDS = 1.0

#: Returns the live camera's newest frame as a JPEG; None if there is none.
FrameGetter = Callable[[], bytes | None]


class BusyError(Exception):
    """As many requests as may be are on their way."""


class UnavailableError(Exception):
    """There is no answer, through no fault of the request; the text says why."""


@dataclass
class _Child:
    """A running child, and which file it has for a bundle."""

    process: Process
    bundle_state: tuple[int, int, int] | None


class Worker:
    """Answers requests by means of a child process. It belongs to one event loop.

    Args:
        settings: The child's.
        get_frame: Returns the live camera's newest frame.
        max_requests: Requests that are on their way at once.
        get_bundle: Returns the path of the bundle to use, in place of the one of the settings.
        program: The module that the child runs.
    """

    def __init__(
        self,
        settings: ChildSettings,
        get_frame: FrameGetter | None = None,
        max_requests: int = MAX_REQUESTS,
        get_bundle: Callable[[], str] | None = None,
        program: str = CHILD,
    ) -> None:
        self._settings = settings
        self._get_bundle = get_bundle
        self._program = program
        self._get_frame = get_frame
        self._max_requests = max_requests
        self._count = 0
        self._turn = asyncio.Lock()
        self._child: _Child | None = None
        self._ending: list[Process] = []
        self._asked_at = 0.0

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Hold one of the places for requests.

        Raises:
            BusyError: None is free.
        """
        if self._count >= self._max_requests:
            raise BusyError
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    async def start(self) -> None:
        """Start the child before the first request.

        Raises:
            UnavailableError: It does not start.
        """
        async with self._turn:
            await self._start()

    async def answer(self, request: ApiRequest, body: bytes) -> tuple[ApiAnswer, bytes]:
        """Return the answer to a request, once those before it have theirs.

        Raises:
            UnavailableError: There is none.
        """
        async with self._turn:
            head, content = await self._exchange(request, body)
            if not head.needs_frame:
                return head, content
            frame = self._get_frame() if self._get_frame else None
            data = frame or b""
            with_frame = replace(request, frame_bytes=len(data), has_asked_frame=True)
            return await self._exchange(with_frame, data, body)

    async def rest(self) -> None:
        """End the child whenever nobody has asked for long, for ever: it takes memory."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            async with self._turn:
                if self._child and time.monotonic() - self._asked_at > IDLE_SECONDS:
                    await self.close()

    async def _exchange(self, request: ApiRequest, *bodies: bytes) -> tuple[ApiAnswer, bytes]:
        self._asked_at = time.monotonic()
        process = await self._start()
        assert process.stdin is not None and process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                process.stdin.writelines(pack(request, *bodies))
                await process.stdin.drain()
                head, content = await receive_message(process.stdout)
        except TimeoutError:
            self.stop()
            raise UnavailableError(f"no answer within {ANSWER_SECONDS:.0f} s") from None
        except (OSError, asyncio.IncompleteReadError):
            self.stop()
            logger.warning("the process that answers requests has ended at %s", request.path)
            raise UnavailableError("the recognizer has ended; try again") from None
        except asyncio.CancelledError:
            self.stop()  # Its answer would be taken for the next request's.
            raise
        return ApiAnswer(**head), content

    async def _start(self) -> Process:
        """Return the running child's process, started if there is none for this bundle."""
        settings = self._settings
        if self._get_bundle:
            settings = replace(settings, bundle=self._get_bundle())
        state = _bundle_state(settings)
        if self._child and self._child.bundle_state != state:
            self.stop()
        if self._child and self._child.process.returncode is None:
            return self._child.process
        # The child finds what this process finds, and nothing in the folder it happens to run in.
        # More threads of numpy's would wait for each other beside the loop's.
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | os.environ
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", self._program),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=environment,
            )
        except OSError as error:
            raise UnavailableError(f"no process can be started: {error.strerror}") from None
        self._child = _Child(process, state)
        assert process.stdin is not None and process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                process.stdin.writelines(pack(settings))
                head, _ = await receive_message(process.stdout)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.stop()
            raise UnavailableError("the recognizer does not start; see picaption doctor") from None
        except asyncio.CancelledError:
            self.stop()
            raise
        if head["error"]:
            self.stop()
            raise UnavailableError(head["error"])
        return process

    async def close(self) -> None:
        """Let the child end, end it if that takes long, and wait for its end."""
        if self._child is not None:
            process = self._child.process
            if process.stdin is not None:
                process.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await process.wait()
        self.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                for process in self._ending:
                    await process.wait()
                await asyncio.sleep(0)  # Their pipes are closed now.

    def stop(self) -> None:
        """End the child, if there is one."""
        child = self._child
        self._child = None
        if child is None:
            return
        if child.process.returncode is None:
            # Not its kill(), which takes the exit status that the event loop waits for.
            with suppress(ProcessLookupError):
                os.kill(child.process.pid, signal.SIGKILL)
        if child.process.stdin is not None:
            child.process.stdin.close()
        self._ending = [process for process in self._ending if process.returncode is None]
        self._ending.append(child.process)


def _bundle_state(settings: ChildSettings) -> tuple[int, int, int] | None:
    """Return what differs when the bundle's file is replaced; None if there is none."""
    try:
        status = os.stat(settings.bundle or default_bundle())
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
