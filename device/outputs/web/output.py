"""Opens the page's server: starlette and uvicorn are imported only for that."""

import os
from functools import partial

from ...config.settings import Config
from ...errors import PicaptionError
from ..sink import OutputContext, Sink

#: Not the bundle: who looks at the page, or asks for another bundle there, is not cut off by one.
SETTINGS = ("web", "host", "port", "token", "frame_ancestors", "history", "teach", "camera")


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return a WebServer if the page is wanted."""
    if not config.web:
        return None
    from .server import WebServer

    if config.teach:
        make_teach_folder(config.teach)
    return WebServer(
        config.host,
        config.port,
        config.token,
        context.bundle.name,
        frame_ancestors=config.frame_ancestors,
        source_status=context.source_status,
        bundle=config.bundle,
        history=config.history,
        control=context.control,
        teach=config.teach,
        cameras={
            camera.name: partial(context.camera_status, camera.name)
            for camera in config.camera
            if context.camera_status is not None
        },
    )


def make_teach_folder(folder: str) -> None:
    """Make the folder of class folders, if it is not there.

    Raises:
        PicaptionError: It cannot be made.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise PicaptionError(
            f"teach: {folder} cannot be made a folder ({error.strerror}); give a folder's path"
        ) from None
