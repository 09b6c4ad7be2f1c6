"""Servers of the page, and a browser that looks at it: one Chromium for all tests."""

from contextlib import closing

import pytest

from picaption.device.outputs.web.server import WebServer
from tests.device.fakes.browser import Browser


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


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A Chromium that notes in window.refused what a page's policy refuses."""
    with closing(Browser(tmp_path_factory.mktemp("profile"))) as browser:
        browser.call(
            "Page.addScriptToEvaluateOnNewDocument",
            source="window.refused = [];"
            "addEventListener('securitypolicyviolation', event => refused.push(event.blockedURI));",
        )
        yield browser


@pytest.fixture
def browser(chromium):
    """The Chromium, with a blank tab and nothing stored."""
    chromium.resize(1280, 800)
    chromium.prefer()
    yield chromium
    assert chromium.evaluate("window.refused || []") == []
    chromium.evaluate("try { localStorage.clear() } catch {}")
    chromium.call("Network.clearBrowserCookies")
    chromium.open("about:blank")
