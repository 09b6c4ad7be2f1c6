"""OpenAI's forms: what is read of a request, and what is refused."""

import base64
import json

import pytest

from picaption.device.images import encode_image
from picaption.device.outputs.web.api.child.observer import Observer
from picaption.device.outputs.web.api.child.openai import complete_chat
from picaption.device.outputs.web.api.child.questions import PURPOSE, NeedsFrameError, Service
from picaption.device.outputs.web.api.exchange import ApiError
from picaption.device.recognition.recognizer import Recognizer
from tests.device.fakes.model import StandInModel
from tests.device.fakes.standins import FRAME

JPEG = encode_image(FRAME, ".jpg")
URL = "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()
IMAGE = {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}
SEEN = "A cat with green eyes. Objects: cat (97 %). Tags: cat, eyes."


@pytest.fixture(scope="module")
def service():
    return Service(Observer(Recognizer(StandInModel())))


def text(words):
    return {"type": "text", "text": words}


def user(*content):
    return {"role": "user", "content": list(content)}


def ask(service, *messages, **options):
    """Return the answer's text."""
    request = {"model": "picaption", "messages": list(messages)} | options
    body, media_type = complete_chat(request, service)
    assert media_type == "application/json"
    return json.loads(body)["choices"][0]["message"]["content"]


def test_a_picture_is_described(service):
    assert ask(service, user(text("What is this?"), IMAGE)) == SEEN
    assert ask(service, user(IMAGE), model="picaption:latest") == SEEN


def test_the_last_words_ask_about_the_pictures_of_their_turn(service):
    question = "Yes: cat (97 %). A cat with green eyes."
    system = {"role": "system", "content": "Is there a dog?"}
    assert ask(service, system, user(IMAGE), user(text("Is there a cat?"))) == question
    answered = {"role": "assistant", "content": "A bus."}
    assert ask(service, user(IMAGE), answered, {"role": "user", "content": "Is there a cat?"}) == (
        question
    )


def test_without_a_picture_it_says_what_it_can_do(service):
    assert ask(service, {"role": "user", "content": "Hi"}) == PURPOSE
    assert PURPOSE.count(".") == 1


def test_with_a_camera_its_newest_frame_stands_in(service):
    live = Service(service.observer, has_camera=True)
    with pytest.raises(NeedsFrameError):
        ask(live, user(text("Hi")))
    with_frame = Service(service.observer, True, JPEG, has_asked_frame=True)
    assert ask(with_frame, user(text("Hi"))) == SEEN
    with pytest.raises(ApiError, match="no frame yet") as error:
        ask(Service(service.observer, True, None, has_asked_frame=True), user(text("Hi")))
    assert error.value.status == 503


def test_json_is_open_or_fills_a_schema(service):
    answer = json.loads(ask(service, user(IMAGE), response_format={"type": "json_object"}))
    assert answer["labels"] == [{"name": "cat", "confidence": 0.97}]
    schema = {"type": "object", "properties": {"caption": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": schema}}
    assert json.loads(ask(service, user(IMAGE), response_format=form)) == {
        "caption": "A cat with green eyes."
    }


def test_a_stream_has_a_word_each(service):
    request = {"model": "picaption", "messages": [user(IMAGE)], "stream": True}
    body, media_type = complete_chat(request | {"stream_options": {"include_usage": True}}, service)
    assert media_type == "text/event-stream" and body.endswith("\n\ndata: [DONE]\n\n")
    chunks = [json.loads(line[6:]) for line in body.split("\n\n")[:-2]]
    words = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]]
    assert "".join(words) == SEEN and words[1:4] == ["A", " cat", " with"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] == 12


@pytest.mark.parametrize(
    "changes, status, message",
    [
        ({"model": None}, 400, "model is missing"),
        ({"model": 5}, 400, "model is not a text"),
        ({"model": "gpt-4o"}, 404, "model 'gpt-4o' not found; there is 'picaption'"),
        ({"messages": None}, 400, "messages is missing"),
        ({"messages": {}}, 400, "messages is not a list"),
        ({"messages": []}, 400, "messages is empty"),
        ({"messages": [5]}, 400, "an entry of messages is not an object"),
        ({"messages": [{}]}, 400, "role is missing"),
        ({"messages": [{"role": "user", "content": 5}]}, 400, "neither text nor a list"),
        ({"messages": [user({"type": "text"})]}, 400, "text is missing"),
        ({"messages": [user({"type": "audio"})]}, 400, "of type 'audio'"),
        ({"messages": [user({"type": "image_url"})]}, 400, "address of a picture is a text"),
        ({"messages": [user(*[IMAGE] * 33)]}, 400, "more than 32 pictures"),
        ({"stream": "yes"}, 400, "stream is not true or false"),
        ({"n": 2}, 400, "one answer only"),
        ({"n": True}, 400, "n is not a whole number"),
        ({"response_format": "json"}, 400, "response_format is not an object"),
        ({"response_format": {"type": "xml"}}, 400, "json_schema"),
        ({"response_format": {"type": "json_schema"}}, 400, "has no schema"),
    ],
)
def test_what_is_malformed_is_refused(service, changes, status, message):
    request = {"model": "picaption", "messages": [user(IMAGE)]} | changes
    with pytest.raises(ApiError, match=message) as error:
        complete_chat(request, service)
    assert error.value.status == status
