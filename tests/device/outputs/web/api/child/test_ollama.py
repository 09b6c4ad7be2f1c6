"""Ollama's forms: what is read of a request, and what is refused."""

import base64
import json

import pytest

from picaption.device.outputs.web.api.child.observer import Observer
from picaption.device.outputs.web.api.child.ollama import (
    BundleFile,
    chat,
    generate,
    list_tags,
    show_model,
)
from picaption.device.outputs.web.api.child.questions import PURPOSE, Service
from picaption.device.outputs.web.api.exchange import ApiError
from picaption.device.recognition.recognizer import Recognizer
from tests.device.fakes.model import StandInModel
from tests.device.outputs.web.api.child.test_openai import JPEG, SEEN

IMAGE = base64.b64encode(JPEG).decode()
BUNDLE = BundleFile("kitchen", 1234, "ab" * 32, 1_700_000_000.5)


@pytest.fixture(scope="module")
def service():
    return Service(Observer(Recognizer(StandInModel())))


def ask(service, **request):
    body, media_type = generate({"model": "picaption", "stream": False} | request, service)
    assert media_type == "application/json"
    return json.loads(body)


def test_a_picture_is_described(service):
    answer = ask(service, prompt="Describe it.", images=[IMAGE])
    assert answer["response"] == SEEN and answer["done"] is True and answer["eval_count"] == 12
    assert ask(service, prompt="Hi")["response"] == PURPOSE
    assert ask(service)["done_reason"] == "load"


def test_json_is_open_or_fills_a_schema(service):
    answer = ask(service, prompt="Label it.", images=[IMAGE], format="json")
    assert json.loads(answer["response"])["labels"] == [{"name": "cat", "confidence": 0.97}]
    schema = {"type": "object", "properties": {"scene": {"type": "string"}}}
    answer = ask(service, prompt="", images=[IMAGE], format=schema)
    assert json.loads(answer["response"]) == {"scene": SEEN}
    assert ask(service, prompt="", images=[IMAGE], format="")["response"] == SEEN


def test_a_stream_is_lines_with_a_word_each(service):
    body, media_type = generate(
        {"model": "picaption", "prompt": "What?", "images": [IMAGE]}, service
    )
    lines = [json.loads(line) for line in body.splitlines()]
    assert media_type == "application/x-ndjson"
    assert "".join(line["response"] for line in lines) == SEEN
    assert [line["done"] for line in lines] == [False] * 12 + [True]


def test_a_chat_asks_with_its_last_words(service):
    messages = [
        {"role": "user", "content": "Image 1:", "images": [IMAGE]},
        {"role": "user", "content": "Is there a dog?"},
    ]
    request = {"model": "picaption:latest", "messages": messages, "stream": False}
    answer = json.loads(chat(request, service)[0])
    assert answer["message"] == {
        "role": "assistant",
        "content": "No: dog (4 %). A cat with green eyes.",
    }
    assert json.loads(chat(request | {"messages": []}, service)[0])["done_reason"] == "load"


def test_the_model_is_listed_and_shown():
    (model,) = list_tags(BUNDLE)["models"]
    assert model["name"] == "picaption:latest" and model["size"] == 1234
    assert model["modified_at"] == "2023-11-14T22:13:20.500000Z"
    assert "vision" in show_model({"name": "picaption"}, BUNDLE)["capabilities"]
    with pytest.raises(ApiError, match="model 'llava' not found"):
        show_model({"model": "llava"}, BUNDLE)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"prompt": 5}, "prompt is not a text"),
        ({"images": "abc"}, "images is not a list"),
        ({"images": [5]}, "a picture is a text in base64"),
        ({"images": ["???"]}, "not valid base64"),
        ({"format": 5}, "format is neither"),
        ({"format": "xml"}, "format is neither"),
        ({"stream": 1}, "stream is not true or false"),
    ],
)
def test_what_is_malformed_is_refused(service, changes, message):
    with pytest.raises(ApiError, match=message) as error:
        ask(service, **changes)
    assert error.value.status == 400
