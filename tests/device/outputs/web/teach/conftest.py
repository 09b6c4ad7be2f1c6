"""A live run whose page teaches, shared by the tests: a camera that is none, and a small bundle."""

import contextlib
import http.client
import json
import shutil
import threading
import time
from contextlib import closing
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from picaption.device.config.settings import Config
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.live.requests import RequestHandler
from tests.device.fakes.web_client import port_of
from tests.tiny import TINY_BUNDLE

REFERENCE = Path(__file__).parents[5] / "docs/reference"
COMPONENTS = json.loads((REFERENCE / "openapi.json").read_text(encoding="utf-8"))["components"]
SCHEMA = COMPONENTS["schemas"]["TeachState"] | {"components": COMPONENTS}


class Camera:
    """Shows a part of a photograph, another one every time; `subject` is its name."""

    name = "camera"
    live = True
    stills = False
    rate = None
    metadata = None

    def __init__(self, photos):
        self.photos = photos
        self.subject = "cat"
        self._random = np.random.default_rng(0)

    def read(self, into=None):
        time.sleep(0.04)
        photo = self.photos[self.subject]
        top = self._random.integers(photo.shape[0] - 240)
        left = self._random.integers(photo.shape[1] - 320)
        return np.ascontiguousarray(photo[top : top + 240, left : left + 320])

    def close(self):
        pass


class School:
    """The run: its camera, its page, and its folder of class folders."""

    def __init__(self, folder, photos):
        self.folder = folder
        self.camera = Camera(photos)
        config = Config(
            bundle=str(TINY_BUNDLE),
            bundles=str(TINY_BUNDLE.parent),
            teach=str(folder),
            web=True,
            port=0,
            quiet=True,
            threads=1,
        )
        self.pipeline = Pipeline(config, open_source=lambda spec, config: self.camera)
        self.page = self.pipeline.sinks["web"]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        def tick():
            if self._stopped.is_set():
                raise StopIteration

        with contextlib.suppress(StopIteration):
            run(self.pipeline, on_tick=tick, requests=RequestHandler(self.pipeline))

    def ask(self, path, values=None, body=None, **headers):
        """Return (status, headers, body) of a request; it is a POST if it has values or a body."""
        if values is not None:
            body = json.dumps(values).encode()
        method = "GET" if body is None else "POST"
        port = port_of(self.page)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def state(self, path="/teach/state.json", values=None, body=None):
        """Return the state that a request is answered with."""
        status, _, data = self.ask(path, values, body)
        assert status == 200, data
        state = json.loads(data)
        jsonschema.validate(state, SCHEMA)
        return state

    def refused(self, path, values=None, body=None, **headers):
        """Return the status and the one line that refuse a request."""
        status, answer, data = self.ask(path, values, body, **headers)
        assert answer["Content-Type"] == "application/json" and status >= 400
        message = json.loads(data)["error"]
        assert "\n" not in message and "Traceback" not in message
        return status, message

    def wait(self, condition):
        """Return the state once it fulfils a condition."""
        deadline = time.monotonic() + 60
        while not condition(state := self.state()):
            assert time.monotonic() < deadline, state
            time.sleep(0.05)
        return state

    def clear(self):
        """Leave no class, no step to undo, and no bundle that was taught."""
        state = self.wait(lambda state: not state["fitting"])
        for entry in state["classes"]:
            self.state("/teach/remove", {"class": entry["name"]})
        while self.state()["live"]:
            self.state("/teach/back", {})
        self.state("/teach/fit", {})  # Of no class, it does no more than forget the steps.
        self.wait(lambda state: not state["fitting"])
        shutil.rmtree(self.folder / ".picaption" / "fitted", ignore_errors=True)

    def close(self):
        self._stopped.set()
        self._thread.join()
        self.pipeline.close()


@pytest.fixture(scope="session")
def open_school(tmp_path_factory, photos):
    school = School(tmp_path_factory.mktemp("parent") / "school", photos)
    yield school
    school.close()


@pytest.fixture
def school(open_school):
    """The run, without classes."""
    yield open_school
    open_school.clear()
