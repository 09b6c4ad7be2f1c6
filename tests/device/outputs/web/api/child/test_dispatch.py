"""From a request's bytes to its answer's."""

import json

import pytest

from picaption.device.outputs.web.api.child.dispatch import Dispatcher
from picaption.device.outputs.web.api.child.observer import Observer
from picaption.device.outputs.web.api.child.questions import Service
from picaption.device.outputs.web.api.exchange import API_PATHS, ApiRequest
from picaption.device.recognition.recognizer import Recognizer
from tests.device.fakes.model import StandInModel
from tests.device.outputs.web.api.child.test_ollama import BUNDLE
from tests.device.outputs.web.api.child.test_openai import JPEG, SEEN


def dispatcher(has_camera=False):
    service = Service(Observer(Recognizer(StandInModel())), has_camera)
    return Dispatcher(service, BUNDLE, "1.2")


def ask(path, body=b"", **options):
    head, answer = dispatcher().answer(ApiRequest("POST", path, **options), body)
    return head.status, head.media_type, answer


def test_a_recognition_is_that_of_the_schema():
    status, media_type, body = ask("/recognize", JPEG, content_type="image/jpeg")
    answer = json.loads(body)
    assert status == 200 and media_type == "application/json"
    assert answer["caption"]["text"] == "a cat with green eyes" and answer["captured_at"] > 1e9


def test_what_there_is_to_tell():
    assert json.loads(ask("/api/version")[2]) == {"version": "1.2"}
    assert json.loads(ask("/v1/models")[2])["data"][0]["id"] == "picaption"
    assert json.loads(ask("/v1/models/picaption")[2])["created"] == 1_700_000_000
    assert ask("/v1/models/gpt-4o")[0] == 404
    assert json.loads(ask("/api/ps")[2])["models"][0]["digest"] == "ab" * 32


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b"\xff\xfe", b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}"]
)
def test_what_is_no_json_is_refused_in_the_clients_form(body):
    for path in ("/v1/chat/completions", "/v1/responses"):
        status, _, answer = ask(path, body)
        error = json.loads(answer)["error"]
        assert status == 400 and error["type"] == "invalid_request_error"
        assert "JSON" in error["message"]
    for path in ("/api/generate", "/api/chat", "/api/show"):
        status, _, answer = ask(path, body)
        assert status == 400 and "JSON" in json.loads(answer)["error"]


def test_every_address_has_an_answer():
    for path in API_PATHS:
        assert ask(path, b"{}")[0] != 404, path
    assert ask("/absent")[0] == 404


def test_the_frame_comes_before_the_body():
    body = json.dumps({"model": "picaption", "prompt": "Hi", "stream": False}).encode()
    live = dispatcher(has_camera=True)
    head, answer = live.answer(ApiRequest("POST", "/api/generate"), body)
    assert head.needs_frame and answer == b""
    request = ApiRequest("POST", "/api/generate", frame_bytes=len(JPEG), has_asked_frame=True)
    head, answer = live.answer(request, JPEG + body)
    assert head.status == 200 and json.loads(answer)["response"] == SEEN
