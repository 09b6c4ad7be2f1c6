"""What the loop does at the request of its outputs, between two frames."""

import logging
import time
from dataclasses import replace

from ..outputs.control import Requests
from ..recognition.scene import SceneTracker
from .pipeline import Pipeline

logger = logging.getLogger(__name__)

#: So long a pause waits for the cameras whose next frame is to be captioned.
CAPTION_SECONDS = 2.0


class RequestHandler:
    """Does what a pipeline's outputs ask for; the loop calls it from its own thread.

    Args:
        pipeline: Whose `control` brings the requests.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._caption_due = False
        # Of several cameras: those whose next frame is to be captioned, and until when a pause
        # waits for them.
        self._uncaptioned: set[str] = set()
        self._deadline = 0.0

    @property
    def is_resting(self) -> bool:
        """Whether the loop is to recognise nothing at the moment."""
        if self._uncaptioned and time.monotonic() > self._deadline:
            self._uncaptioned = set()
        is_due = self._caption_due or bool(self._uncaptioned)
        return self._pipeline.control.state.paused and not is_due

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
            self._caption_next(requests.caption_camera)
        return True

    def _caption_next(self, camera_name: str | None) -> None:
        """Have the next frame captioned, of that camera or of every one."""
        trackers = self._pipeline.trackers
        if not trackers:
            self._caption_due = True
            # Without a scene tracker every frame is captioned.
            if isinstance(self._pipeline.recognize, SceneTracker):
                self._pipeline.recognize.caption_next()
            return
        names = {camera_name} if camera_name else set(trackers)
        self._uncaptioned |= names & set(trackers)
        self._deadline = time.monotonic() + CAPTION_SECONDS
        for name in self._uncaptioned:
            trackers[name].caption_next()

    def frame_done(self, camera_name: str | None = None) -> None:
        """Take note that a frame was recognised and written.

        Args:
            camera_name: Which of several cameras it is of.
        """
        state = self._pipeline.control.state
        if camera_name is None:
            if self._caption_due:
                self._caption_due = False
                self._pipeline.report(captions=state.captions + 1)
        elif camera_name in self._uncaptioned:
            self._uncaptioned.remove(camera_name)
            count = state.camera_captions.get(camera_name, 0) + 1
            self._pipeline.report(
                captions=state.captions + 1,
                camera_captions={**state.camera_captions, camera_name: count},
            )

    def _change_bundle(self, requests: Requests) -> None:
        config = self._pipeline.config
        if requests.rolled_out is not None:
            self._pipeline.use_rolled_out(requests.rolled_out)
        elif requests.use_taught:
            self._pipeline.use_taught()
        elif requests.bundle is not None:
            path = self._pipeline.find_bundles().get(requests.bundle)
            if path is None:
                logger.warning("the bundle %r is gone; the bundle stays", requests.bundle)
                return
            self._pipeline.change(replace(config, bundle=path))
        elif requests.reload_bundle:
            self._pipeline.change(config)
