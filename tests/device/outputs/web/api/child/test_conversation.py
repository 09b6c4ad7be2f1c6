"""Which of a conversation's messages ask, and about which pictures."""

import pytest

from picaption.device.outputs.web.api.child.conversation import Message, last_question
from picaption.device.outputs.web.api.exchange import ApiError


def ask(*messages):
    """Return the question of messages, each a role, a text and its pictures."""
    fields = [dict(zip(("role", "text", "images"), message)) for message in messages]
    return last_question(fields, lambda message: Message(message["text"], message["images"]))


def test_the_last_words_ask_about_all_pictures_since_the_answer():
    assert ask(("user", "one", "a"), ("user", "two", "bc"), ("user", "three", "")) == Message(
        "three", ["a", "b", "c"]
    )
    answered = (("user", "one", "ab"), ("assistant", "yes", "x"))
    assert ask(*answered, ("user", "two", "c")) == Message("two", ["c"])
    assert ask(*answered, ("user", "two", "")) == Message("two", ["a", "b"])


def test_only_the_user_asks():
    assert ask(("system", "be brief", "a"), ("user", "one", "b")) == Message("one", ["b"])
    assert ask(("user", "one", "a"), ("assistant", "yes", "")) == Message("", ["a"])
    assert ask() == Message("", [])


def test_a_message_has_a_role():
    with pytest.raises(ApiError, match="role is missing"):
        last_question([{"text": "one"}], lambda message: Message("", []))
