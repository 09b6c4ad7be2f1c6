"""A server with a child that answers, shared by the tests that ask it."""

import pytest

from picaption.device.outputs.web.server import WebServer
from tests.device.fakes.web_client import TOKEN
from tests.tiny import TINY_BUNDLE


@pytest.fixture(scope="session")
def answering():
    """A WebServer with a token whose child has the small bundle; it has no frame yet."""
    server = WebServer("127.0.0.1", 0, TOKEN, "tiny", bundle=str(TINY_BUNDLE))
    yield server
    server.close()
