"""What a conversation asks at its end, whichever client's messages it is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .fields import required


@dataclass(frozen=True)
class Message:
    """What a user says.

    Attributes:
        text: The words.
        images: The pictures that go with them, in the client's form.
    """

    text: str
    images: Sequence[Any]


def last_question(
    messages: Sequence[dict[str, Any]], read_message: Callable[[dict[str, Any]], Message]
) -> Message:
    """Return what the user asked since the last answer, and the pictures that it is about.

    It is the last message that asks. Its pictures are those of all messages since the last answer,
    or, without any, those between the two answers where some were sent last.

    Args:
        messages: Each has the `role` of who says it; what others say than the user and the
            assistant is left out.
        read_message: Returns what a user's message says.

    Raises:
        ApiError: A message is malformed.
    """
    turns: list[list[Message]] = [[]]
    for message in messages:
        role = required(message, "role", str)
        if role == "assistant":
            turns.append([])
        elif role == "user":
            turns[-1].append(read_message(message))
    asked = turns[-1]
    images: list[Any] = []
    for turn in turns:
        images = [image for message in turn for image in message.images] or images
    return Message(asked[-1].text if asked else "", images)
