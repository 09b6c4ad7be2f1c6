"""A question about pictures, whichever client's form it came in, and its answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..exchange import ApiError
from .answers import answer_in_words, description_json
from .observer import Observer
from .schema import fill_schema
from .uploads import decode_upload

#: What clients call the model.
MODEL = "picaption"
#: Pictures of a question at most.
MAX_IMAGES = 32
#: What is answered where there is no picture.
PURPOSE = (
    "picaption says what a picture shows: send one with the request, and ask whether there is "
    "something that it knows, if you like."
)


class NeedsFrameError(Exception):
    """There is no picture in the request, and the live camera has one."""


@dataclass(frozen=True)
class Question:
    """What a client asks.

    Attributes:
        prompt: Its words.
        images: Its pictures, uint8 RGB [height, width, 3] each.
        has_json: Whether the answer is to be JSON.
        schema: The JSON schema of that; None: its form is open.
    """

    prompt: str
    images: Sequence[np.ndarray] = ()
    has_json: bool = False
    schema: dict[str, Any] | None = None


@dataclass(frozen=True)
class Service:
    """What answers questions.

    Attributes:
        observer: Recognises their pictures.
        has_camera: Whether there is a live camera, whose newest frame stands in for a picture.
        frame: That frame as a JPEG; None: there is none, or it was not asked for.
        has_asked_frame: Whether it was asked for.
    """

    observer: Observer
    has_camera: bool = False
    frame: bytes | None = None
    has_asked_frame: bool = False

    def answer(self, question: Question) -> str:
        """Return the answer, as text or as JSON.

        Raises:
            ApiError: There is none.
            NeedsFrameError: It takes the live camera's frame.
        """
        images = question.images
        if not images:
            frame = self._newest_frame()
            if frame is None:
                return self._answer_without_image(question)
            images = [decode_upload(frame)]
        if len(images) > MAX_IMAGES:
            raise ApiError(400, f"there are more than {MAX_IMAGES} pictures")
        view = self.observer.observe(images)
        phrases = self.observer.phrases
        if question.schema is not None:
            return json.dumps(fill_schema(question.schema, view, phrases))
        if question.has_json:
            return json.dumps(description_json(question.prompt, view, phrases))
        return answer_in_words(question.prompt, view, phrases)

    def _newest_frame(self) -> bytes | None:
        """Return the live camera's newest frame; None without a camera."""
        if not self.has_camera:
            return None
        if self.frame is None and not self.has_asked_frame:
            raise NeedsFrameError
        if self.frame is None:
            raise ApiError(503, "the camera has given no frame yet; send a picture, or try again")
        return self.frame

    def _answer_without_image(self, question: Question) -> str:
        if question.schema is not None:
            raise ApiError(400, "there is no picture to fill the schema with; send one")
        if question.has_json:
            return json.dumps({"caption": None, "error": PURPOSE})
        return PURPOSE


def check_model(name: str) -> None:
    """Refuse a model that is not there.

    Raises:
        ApiError: It is another one.
    """
    if name.removesuffix(":latest") != MODEL:
        raise ApiError(404, f"model {name[:80]!r} not found; there is {MODEL!r}")


def split_words(text: str) -> list[str]:
    """Return a text in the pieces that it is streamed in: a word each, with the space before it."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]
