"""What programs ask of a live run."""

import json

import cv2
import numpy as np
import pytest

from tests.device.fakes.standins import recognition, recognized, silent
from tests.device.fakes.web_client import TOKEN, ask


def size_of(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]


def test_before_the_first_frame_there_is_nothing_to_tell(serve):
    page = serve()
    for path in ("/state", "/snapshot.jpg", "/readyz"):
        status, headers, body = ask(page, path)
        assert status == 503 and headers["Retry-After"] == "1" and b"there is no frame yet" in body
    assert ask(page, "/healthz")[0] == 200


def test_the_state_is_the_newest_recognition(serve):
    page = serve()
    page.write(recognized("a dog"))
    page.write(recognized("a cat"))
    status, headers, body = ask(page, "/state")
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert json.loads(body) == recognition("a cat").to_json()
    assert json.loads(ask(page, "/readyz")[2]) == {"ready": True}


def test_a_snapshot_has_the_size_and_the_overlay_that_are_asked_for(serve):
    page = serve(token=TOKEN)
    page.write(recognized())
    plain = ask(page, f"/snapshot.jpg?token={TOKEN}")
    assert plain[0] == 200 and plain[1]["Content-Type"] == "image/jpeg"
    assert "Set-Cookie" not in plain[1] and size_of(plain[2]) == (240, 480)
    overlay = ask(page, f"/snapshot.jpg?overlay=1&width=100&token={TOKEN}")[2]
    assert size_of(overlay) == (50, 100)
    assert ask(page, "/snapshot.jpg")[0] == 401
    assert ask(page, f"/snapshot.jpg?token={TOKEN}", "HEAD")[::2] == (200, b"")


@pytest.mark.parametrize(
    "query",
    [
        "width=0",
        "width=15",
        "width=4097",
        "width=-1",
        "width=1e3",
        "width=%D9%A4%D9%A0",
        "overlay=2",
    ],
)
def test_options_that_cannot_be_are_refused(serve, query):
    page = serve()
    page.write(recognized())
    status, _, body = ask(page, f"/snapshot.jpg?{query}")
    assert status == 400 and query.partition("=")[0].encode() in body


def test_a_frame_that_shows_nothing_is_told_as_such(serve):
    page = serve()
    page.write(recognized())
    frame = recognized()
    frame.recognition = silent()
    page.write(frame)
    assert json.loads(ask(page, "/state")[2])["silence"] == "too dark to tell"
