"""What the loop does at the request of its outputs, between two frames."""

import logging
from dataclasses import replace

from ..outputs.control import Requests
from ..recognition.scene import SceneTracker
from .pipeline import Pipeline

logger = logging.getLogger(__name__)


class RequestHandler:
    """Does what a pipeline's outputs ask for; the loop calls it from its own thread.

    Args:
        pipeline: Whose `control` brings the requests.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._caption_due = False

    @property
    def is_resting(self) -> bool:
        """Whether the loop is to recognise nothing at the moment."""
        return self._pipeline.control.state.paused and not self._caption_due

    def obey(self) -> bool:
        """Do what was asked for since the last call; return whether anything was."""
        requests = self._pipeline.control.take()
        if requests is None:
            return False
        self._change_bundle(requests)
        if requests.max_fps is not None:
            self._pipeline.limit_rate(requests.max_fps)
        if requests.paused is not None:
            self._pipeline.report(paused=requests.paused)
        if requests.caption:
            self._caption_due = True
            # Without a scene tracker every frame is captioned.
            if isinstance(self._pipeline.recognize, SceneTracker):
                self._pipeline.recognize.caption_next()
        return True

    def frame_done(self) -> None:
        """Take note that a frame was recognised and written."""
        if self._caption_due:
            self._caption_due = False
            self._pipeline.report(captions=self._pipeline.control.state.captions + 1)

    def _change_bundle(self, requests: Requests) -> None:
        config = self._pipeline.config
        if requests.use_taught:
            self._pipeline.use_taught()
        elif requests.bundle is not None:
            path = self._pipeline.find_bundles().get(requests.bundle)
            if path is None:
                logger.warning("the bundle %r is gone; the bundle stays", requests.bundle)
                return
            self._pipeline.change(replace(config, bundle=path))
        elif requests.reload_bundle:
            self._pipeline.change(config)
