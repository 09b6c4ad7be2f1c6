"""`picaption serve`: pictures in, answers out over HTTP, without a camera."""

import importlib.metadata
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import log
from ..config.options import some_options
from ..config.settings import Config
from ..config.toml import load_config
from ..errors import PicaptionError
from ..log import say
from ..signing.policy import require_signatures

if TYPE_CHECKING:
    from ..outputs.web.http_server import HttpServer

#: The settings that the command has as options.
SETTINGS = ("bundle", "public_keys", "threads", "host", "port", "token")


def open_server(config: Config) -> "HttpServer":
    """Return a server that answers requests, ready to do so.

    Args:
        config: The settings: SETTINGS of them count.

    Raises:
        PicaptionError: It cannot listen, or the bundle cannot be used.
    """
    from ..outputs.web.api.exchange import ChildSettings
    from ..outputs.web.api.routes import api_routes, index_routes
    from ..outputs.web.api.worker import UnavailableError, Worker
    from ..outputs.web.app import create_app
    from ..outputs.web.http_server import HttpServer
    from ..outputs.web.live.metrics import MetricsSource

    answers: Counter[tuple[str, int]] = Counter()
    worker = Worker(ChildSettings(config.bundle, config.threads))

    def count_answer(path: str, status: int) -> None:
        answers[path, status] += 1

    def metrics_source() -> MetricsSource:
        version = importlib.metadata.version("picaption")
        bundle = Path(config.bundle).stem or "everyday"
        return MetricsSource(version, bundle, None, answers, None)

    app = create_app([*index_routes(), *api_routes(worker, count_answer)], metrics_source)
    policy = "default-src 'none'; frame-ancestors 'none'"
    server = HttpServer(config.host, config.port, config.token, app, policy, on_end=worker.close)
    try:
        server.run(worker.start())
    except UnavailableError as error:
        server.close()
        raise PicaptionError(str(error)) from None
    except BaseException:
        server.close()
        raise
    return server


@click.command("serve")
@some_options(*SETTINGS)
def serve_command(config_path: Path | None, **overrides: Any) -> None:
    """Caption pictures over HTTP without a camera.

    Until ctrl-C. The addresses are those of `picaption live --web` that take a picture: /recognize,
    and what clients of OpenAI and Ollama ask. The settings may stand in a file, as for `live`.
    """
    from .loop import catch_signals

    config = load_config(overrides, config_path).config
    log.configure(config.log_level)
    log.hide(config.token)
    require_signatures(config.public_keys)
    with catch_signals() as (stop, _):
        server = open_server(config)
        try:
            token = ", with the token" if config.token else ""
            say(f"answers at {server.address}{token}; stop with ctrl-C", err=True)
            stop.wait()
        finally:
            server.close()
