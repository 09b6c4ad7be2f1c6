"""What the clients of the page are sent."""

import time

import cv2
import numpy as np
import pytest

from picaption.device import board
from picaption.device.outputs.overlay import annotate
from picaption.device.outputs.web.feed import MAX_HISTORY
from picaption.device.recognition.result import Score
from picaption.device.sources.source import SourceStatus
from tests.device.fakes.standins import FRAME, recognition, recognized
from tests.device.fakes.web_client import ask, events_of, feeding, images_of, stream, until


def test_events_hold_what_was_recognised_and_the_figures(serve, monkeypatch):
    monkeypatch.setattr(board, "temperature", lambda: 54.3)
    monkeypatch.setattr(board, "throttled", lambda: ((), ("under-voltage",)))
    page = serve()
    with feeding(page, camera={"Lux": 340.5}), stream(page, "/events") as (_, file):
        names = set()
        message = None
        for name, data in events_of(file):
            names.add(name)
            message = data if name == "message" else message
            if message and message["fps"] and "chart" in names:
                break
    expected = recognition(camera={"Lux": 340.5}).to_json()
    assert message | {"captured_at": expected["captured_at"]} == expected | {
        "fps": message["fps"],
        "latency_ms": message["latency_ms"],
        "temperature": 54.3,
        "throttled": [[], ["under-voltage"]],
        "size": [480, 240],
    }
    assert 0 < message["fps"] < 110 and 0 <= message["latency_ms"] < 5000
    assert names == {"history", "chart", "message"}


def test_the_stream_of_images_shows_the_annotated_frame(serve):
    page = serve()
    with feeding(page), stream(page, "/picture.mjpeg") as (_, file):
        images = images_of(file)
        start = time.monotonic()
        for _ in range(16):
            image = next(images)
        rate = 15 / (time.monotonic() - start)
    expected = annotate(FRAME, recognition())
    assert image.shape == expected.shape and np.abs(image.astype(int) - expected).mean() < 6
    assert rate < 16


def test_the_plain_stream_shows_the_frame_beside_the_annotated_one(serve):
    page = serve()
    with (
        feeding(page),
        stream(page, "/picture.mjpeg?overlay=0") as (_, plain),
        stream(page, "/picture.mjpeg?overlay=1") as (_, annotated),
    ):
        image = next(images_of(plain))
        expected = annotate(FRAME, recognition())
        for _ in range(3):
            assert np.abs(next(images_of(annotated)).astype(int) - expected).mean() < 6
    assert image.shape == FRAME.shape and np.abs(image.astype(int) - FRAME).max() < 6


def test_what_is_known_of_the_source_is_sent_first_and_when_it_changes(serve):
    status = SourceStatus("usb:0", "HD Webcam", "the camera is gone", failures=1)
    page = serve(name="kitchen", source_status=lambda: status)
    expected = {"name": "usb:0", "model": "HD Webcam", "bundle": "kitchen", "failures": 1}
    with stream(page, "/events") as (_, file):
        events = events_of(file)
        gone = {"problem": "the camera is gone", "is_paused": False}
        assert next(events) == ("source", expected | gone)
        status = SourceStatus("usb:0", "HD Webcam", None, 1, True)
        assert next(events) == ("source", expected | {"problem": None, "is_paused": True})


def test_a_large_frame_is_shown_smaller(serve):
    page = serve()
    with (
        feeding(page, np.zeros((1080, 1920, 3), np.uint8)),
        stream(page, "/picture.mjpeg") as (_, file),
    ):
        assert next(images_of(file)).shape == (720, 1280, 3)


def test_a_frame_is_copied_for_it_changes_after_write(serve):
    page = serve()
    frame = FRAME.copy()
    with stream(page, "/picture.mjpeg") as (_, file):
        until(lambda: page.feed.wants_frame)
        page.write(recognized(image=frame))
        frame[:] = 0
        assert next(images_of(file))[0, 0].tolist() == pytest.approx([200, 10, 20], abs=6)


def test_history_has_an_entry_a_scene_and_a_caption_and_is_bounded(serve):
    page = serve()
    for scene, text in ((1, "a cat"), (1, "a cat"), (1, "a dog"), (2, "a dog"), (2, None)):
        page.write(recognized(text, scene=scene))
    with stream(page, "/events") as (_, file):
        name, entries = next(events_of(file))
    assert name == "history" and [entry["text"] for entry in entries] == [
        "a cat",
        "a dog",
        "a dog",
        "cat",
    ]
    assert entries[0]["caption"]["text"] == "a cat" and entries[3]["caption"] is None
    assert entries[0]["classes"] == [{"name": "cat", "score": 0.97}, {"name": "dog", "score": 0.04}]
    status, headers, body = ask(page, f"/scenes/{entries[0]['number']}.jpg")
    assert status == 200 and headers["Content-Type"] == "image/jpeg"
    scene = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert scene.shape == FRAME.shape and np.abs(scene.astype(int) - FRAME).max() < 6
    status, headers, body = ask(page, f"/thumbnails/{entries[0]['number']}.jpg")
    assert status == 200 and headers["Content-Type"] == "image/jpeg" and len(body) < 20_000
    assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR).shape == (96, 192, 3)
    for scene in range(100):
        page.write(recognized(scene=scene))
    with stream(page, "/events") as (_, file):
        assert len(next(events_of(file))[1]) == MAX_HISTORY == len(page.feed.history)
    for folder in ("thumbnails", "scenes"):
        assert ask(page, f"/{folder}/{entries[0]['number']}.jpg")[0] == 404


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"text": "a cat", "confidence": 0.2, "doubted": True}, "perhaps a cat"),
        ({"text": None, "classes": (("cat", 0.2), ("dog", 0.9)), "certain": (False, True)}, "dog"),
        ({"text": None, "unsure": True}, "cat?"),
        ({"text": None, "unsure": True, "names": (Score("tabby", 0.8),)}, "tabby"),
        ({"text": None, "classes": (), "silence": "too dark to tell"}, "too dark to tell"),
        ({"text": None, "classes": ()}, ""),
    ],
)
def test_the_history_says_what_people_are_shown_first(serve, changes, text):
    page = serve()
    page.write(recognized(**changes))
    with stream(page, "/events") as (_, file):
        assert next(events_of(file))[1][0]["text"] == text


def test_a_page_that_was_away_gets_what_it_missed_once(serve):
    page = serve()
    page.write(recognized("a cat"))
    with stream(page, "/events") as (_, file):
        events = events_of(file)
        assert [entry["text"] for entry in next(events)[1]] == ["a cat"]
        page.write(recognized("a dog"))
        entries = [data for name, data in [next(events)] if name == "history"]
        assert [entry["text"] for entry in entries[0]] == ["a dog"]
