"""`picaption fleet serve`: a page for those who look after a fleet."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import log
from ..cli import PathType
from ..config.options import some_options
from ..config.settings import Config
from ..errors import PicaptionError
from ..live.loop import catch_signals
from ..log import one_line, say
from ..outputs.mqtt.connection import Connection, require_paho
from ..signing.keys import KeyRing, need_cryptography, read_ring
from .publisher import keep_connected
from .rollout.ledger import Ledger
from .status_command import BROKER_SETTINGS, broker_config
from .watch import watch_fleet

if TYPE_CHECKING:
    from ..outputs.web.http_server import HttpServer

#: Seconds for which the thread that listens to the broker is waited for.
CLOSE_SECONDS = 2.0


@click.command("serve")
@click.option(
    "--ring",
    "ring_path",
    type=PathType(path_type=Path),
    metavar="FILE",
    help="The ring of keys whose roll-outs are shown; without it, none are.",
)
@some_options(*BROKER_SETTINGS, "host", "port", "token")
def serve_command(ring_path: Path | None, config_path: Path | None, **overrides: Any) -> None:
    """Serve a page for operators, until ctrl-C.

    It shows the devices' table, the newest pictures of those with the setting fleet_images, and the
    roll-outs; /metrics has the figures for Prometheus.
    """
    config = broker_config(config_path, overrides)
    log.configure(config.log_level)
    log.hide(config.token)
    require_paho()
    ring = KeyRing(())
    if ring_path is not None:
        need_cryptography()
        ring = read_ring(ring_path)
    listener = BrokerListener(config, ring)
    with catch_signals() as (stop, _):
        server = open_server(config, listener)
        listener.start()
        try:
            token = ", with the token" if config.token else ""
            say(f"the fleet is shown at {server.address}{token}; stop with ctrl-C", err=True)
            stop.wait()
        finally:
            server.close()
            listener.close()


class BrokerListener:
    """Listens to a broker from a thread of its own, also to one that goes away and comes back.

    Args:
        config: The settings of mqtt.
        ring: The keys whose roll-outs count.

    Attributes:
        ledger: What devices say, and what is rolled out.
        problem: What is wrong with the broker; empty: nothing.
    """

    def __init__(self, config: Config, ring: KeyRing) -> None:
        self.ledger = Ledger(config.fleet_topic, ring, with_thumbnails=True)
        self.problem = "not connected to the broker yet"
        self._config = config
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        keep_connected(self._listen, self._closing, self._config.mqtt)

    def _listen(self) -> None:
        """Listen over one connection; raises ConnectionError once it ends."""
        try:
            watch_fleet(self._config, self.ledger, self._closing.is_set, self._note_connected)
        except PicaptionError as error:
            self.problem = one_line(str(error))
            # Who logs it names the broker.
            reason = self.problem.removeprefix(f"{self._config.mqtt}: ")
            raise ConnectionError(reason) from None

    def _note_connected(self, connection: Connection) -> None:
        self.problem = ""


def open_server(config: Config, listener: BrokerListener) -> "HttpServer":
    """Return the server of the page.

    Args:
        config: The settings: host, port and token of them count.
        listener: What the page shows.

    Raises:
        PicaptionError: It cannot listen there, or the extra web is missing.
    """
    try:
        from ..outputs.web.app import create_app
        from ..outputs.web.http_server import HttpServer
        from ..outputs.web.pages.page import PageFiles, load_page
        from .page_routes import fleet_routes
    except ImportError:
        raise PicaptionError("the page needs the extra web: pip install 'picaption[web]'") from None

    files = PageFiles(
        "fleet/page.html",
        ("colours.css", "header.css", "fleet/style.css"),
        ("dom.js", "fleet/main.js"),
        "/",
    )
    page = load_page(files, config.fleet_topic)
    app = create_app(fleet_routes(listener.ledger, page.html, lambda: listener.problem))
    return HttpServer(config.host, config.port, config.token, app, page.policy)
