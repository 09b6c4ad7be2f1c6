"""Servers of the page."""

import pytest

from picaption.device.outputs.web.server import WebServer


@pytest.fixture
def serve():
    """Returns a WebServer on a free port, which is closed in the end."""
    made = []

    def serve(host="127.0.0.1", port=0, token="", **options):
        made.append(WebServer(host, port, token, **options))
        return made[-1]

    yield serve
    for page in made:
        page.close()
