"""When the page is served, and by which settings."""

from urllib.request import urlopen

from picaption.device.bundle.metadata import Metadata
from picaption.device.config.settings import Config
from picaption.device.outputs.sink import OutputContext
from picaption.device.outputs.web.output import SETTINGS, open_output

CONTEXT = OutputContext(rate=None, bundle=Metadata("kitchen"))


def test_without_web_there_is_no_page():
    assert open_output(Config(), CONTEXT) is None


def test_the_page_has_the_bundles_name():
    page = open_output(Config(web=True, port=0), CONTEXT)
    try:
        with urlopen(page.address, timeout=60) as response:
            assert "kitchen" in response.read().decode()
    finally:
        page.close()


def test_its_settings_are_settings():
    assert all(hasattr(Config(), name) for name in SETTINGS)
