"""Opens the page's server: starlette and uvicorn are imported only for that."""

from ...config.settings import Config
from ..sink import OutputContext, Sink

SETTINGS = ("web", "host", "port", "token", "frame_ancestors", "bundle", "history")


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return a WebServer if the page is wanted."""
    if not config.web:
        return None
    from .server import WebServer

    return WebServer(
        config.host,
        config.port,
        config.token,
        context.bundle.name,
        frame_ancestors=config.frame_ancestors,
        source_status=context.source_status,
        bundle=config.bundle,
        history=config.history,
    )
