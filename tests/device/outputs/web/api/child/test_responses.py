"""OpenAI's responses: at once, and as the events of a stream."""

import json

import pytest

from picaption.device.outputs.web.api.child.observer import Observer
from picaption.device.outputs.web.api.child.questions import PURPOSE, Service
from picaption.device.outputs.web.api.child.responses import create_response
from picaption.device.outputs.web.api.exchange import ApiError
from picaption.device.recognition.recognizer import Recognizer
from tests.device.fakes.model import StandInModel
from tests.device.outputs.web.api.child.test_openai import SEEN, URL

MESSAGE = {
    "role": "user",
    "content": [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": URL},
    ],
}


@pytest.fixture(scope="module")
def service():
    return Service(Observer(Recognizer(StandInModel())))


def test_a_response_has_the_answer_of_a_chat(service):
    body, media_type = create_response({"model": "picaption", "input": [MESSAGE]}, service)
    assert media_type == "application/json"
    assert json.loads(body)["output"][0]["content"][0]["text"] == SEEN
    body, _ = create_response({"model": "picaption", "input": "Hi"}, service)
    assert json.loads(body)["output"][0]["content"][0]["text"] == PURPOSE


def test_a_stream_grows_to_that_response(service):
    request = {"model": "picaption", "input": [MESSAGE], "stream": True}
    body, media_type = create_response(request, service)
    assert media_type == "text/event-stream" and body.endswith("\n\n")
    heads, lines = zip(*(event.split("\n") for event in body[:-2].split("\n\n")))
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert [f"event: {event['type']}" for event in events] == list(heads)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    types = [event["type"].removeprefix("response.") for event in events]
    assert types[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert types[4:-4] == ["output_text.delta"] * 12
    assert types[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert "".join(event["delta"] for event in events[4:-4]) == SEEN
    assert events[0]["response"]["status"] == "in_progress" and not events[0]["response"]["output"]
    response = events[-1]["response"]
    assert response["status"] == "completed" and response["usage"]["output_tokens"] == 12
    (message,) = response["output"]
    assert message["content"][0]["text"] == SEEN and events[-2]["item"] == message
    assert {event["item_id"] for event in events[3:-2]} == {message["id"]}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"stream": "yes"}, "stream is not true or false"),
        ({"input": None}, "input is neither text nor a list"),
        ({"input": []}, "input is neither text nor a list"),
        ({"input": [5]}, "an entry of input is not an object"),
        ({"text": {"format": {"type": "json_schema"}}}, "has no schema"),
    ],
)
def test_what_is_malformed_is_refused(service, changes, message):
    with pytest.raises(ApiError, match=message) as error:
        create_response({"model": "picaption", "input": [MESSAGE]} | changes, service)
    assert error.value.status == 400
