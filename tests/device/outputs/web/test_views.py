"""Several cameras at the server: an address has the one that is asked for, the page has a grid."""

import json
import time

import cv2
import numpy as np
import pytest

from picaption.device.outputs.web.server import WebServer
from picaption.device.sources.source import SourceStatus
from tests.device.fakes.browser import CHROMIUM, texts, wait_for_text
from tests.device.fakes.standins import recognized
from tests.device.fakes.web_client import ask, events_of, feeding, images_of, stream, until

RED = np.full((120, 160, 3), (200, 0, 0), np.uint8)
BLUE = np.full((240, 160, 3), (0, 0, 200), np.uint8)
GONE = "the camera is gone; plug it in again"
STATUS = {
    "Front door": SourceStatus("cam.lan", "HD"),
    "yard": SourceStatus("/dev/video0"),
    "<b>attic": SourceStatus("/dev/video1", problem=GONE, failures=2),
}


@pytest.fixture(scope="module")
def server():
    """A server of three cameras, two of which have given a frame."""
    cameras = {name: lambda name=name: STATUS[name] for name in STATUS}
    server = WebServer("127.0.0.1", 0, name="kitchen", cameras=cameras)
    write(server, "Front door", "a red wall", RED)
    write(server, "yard", "a blue wall", BLUE)
    yield server
    server.close()


def write(server, name, text, image, **changes):
    frame = recognized(text, camera_name=name, image=image, captured_at=time.time(), **changes)
    server.write(frame)


def state(server, query=""):
    status, _, body = ask(server, f"/state{query}")
    return status, json.loads(body)


def test_the_state_is_that_of_the_camera_that_is_asked_for(server):
    status, first = state(server)
    assert (status, first["camera_name"], first["caption"]["text"]) == (
        200,
        "Front door",
        "a red wall",
    )
    assert state(server, "?camera=yard")[1]["camera_name"] == "yard"
    assert state(server, "?camera=Front%20door")[1]["caption"]["text"] == "a red wall"
    status, error = state(server, "?camera=cellar")
    assert status == 404
    assert error["error"] == "there is no such camera; there are: Front door, yard, <b>attic"
    assert state(server, "?camera=%3Cb%3Eattic")[0] == 503


def test_the_snapshot_is_of_that_camera_and_says_so(server):
    _, headers, body = ask(server, "/snapshot.jpg?camera=yard")
    image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert image.shape == BLUE.shape and image[0, 0, 2] > 150
    assert headers["X-Camera"] == "yard"
    assert ask(server, "/snapshot.jpg")[1]["X-Camera"] == "Front%20door"
    assert ask(server, "/snapshot.jpg?camera=cellar")[0] == 404


def test_the_cameras_are_listed_with_what_is_known_of_each(server):
    cameras = json.loads(ask(server, "/cameras.json")[2])
    assert [camera["name"] for camera in cameras] == list(STATUS)
    assert [camera["problem"] for camera in cameras] == [None, None, GONE]
    assert [camera["text"] for camera in cameras] == ["a red wall", "a blue wall", None]
    assert (cameras[0]["source"], cameras[0]["model"]) == ("cam.lan", "HD")
    # One that gives frames is enough.
    assert ask(server, "/readyz")[0] == 200


def test_streams_are_of_the_camera_that_is_asked_for(server):
    view = server.views["yard"]
    with stream(server, "/picture.mjpeg?overlay=0&camera=yard") as (_, file):
        until(lambda: view.feed.wants_frame)
        write(server, "Front door", "a red wall", RED)
        write(server, "yard", "a blue wall", BLUE)
        assert next(images_of(file)).shape == BLUE.shape
    with stream(server, "/events?camera=yard") as (_, file):
        names = {}
        for name, data in events_of(file):
            until(lambda: view.feed.wants_frame)
            write(server, "Front door", "a red wall", RED)
            write(server, "yard", "a blue wall", BLUE)
            names[name] = data
            if {"message", "source", "history"} <= set(names):
                break
    assert names["message"]["camera_name"] == names["source"]["camera_name"] == "yard"
    assert {entry["camera_name"] for entry in names["history"]} == {"yard"}
    until(lambda: not any(view.feed.streams.values()))


def test_without_a_name_the_events_of_all_come_and_their_end_is_noticed(server):
    red = feeding(server, RED, rate=10, text="a red wall", camera_name="Front door")
    blue = feeding(server, BLUE, rate=10, text="a blue wall", camera_name="yard")
    with red, blue, stream(server, "/events") as (_, file):
        names = set()
        for name, data in events_of(file):
            assert name != "chart"
            if name == "message":
                names.add(data["camera_name"])
            if names == {"Front door", "yard"}:
                break
    until(lambda: not any(sum(view.feed.streams.values()) for view in server.views.values()))


def test_scenes_are_found_whichever_camera_they_are_of(server):
    entry = server.views["yard"].feed.history[0]
    assert ask(server, f"/thumbnails/{entry.number}.jpg")[0] == 200
    assert ask(server, f"/scenes/{entry.number}.jpg")[0] == 200
    numbers = [entry.number for view in server.views.values() for entry in view.feed.history]
    assert len(set(numbers)) == len(numbers)


def test_figures_have_the_cameras_name(server):
    pytest.importorskip("prometheus_client")
    lines = ask(server, "/metrics")[2].decode().splitlines()
    frames = {line for line in lines if line.startswith("picaption_frames_total{")}
    assert {line.rpartition(" ")[0] for line in frames} == {
        f'picaption_frames_total{{camera="{name}"}}' for name in STATUS
    }
    assert 'picaption_source_up{camera="<b>attic"} 0.0' in lines
    assert 'picaption_source_up{camera="yard"} 1.0' in lines


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_the_page_has_a_grid_and_one_large(server, browser):
    with feeding(server, BLUE, rate=5, text="a blue wall", camera_name="yard"):
        browser.open(f"{server.address}?camera=yard")
        wait_for_text(browser, "#camera-grid strong", *STATUS)
        assert texts(browser, "#camera-grid b") == []
        wait_for_text(browser, "#caption", "a blue wall")
        wait_for_text(browser, "#camera-grid [aria-pressed=true] strong", "yard")
        wait_for_text(browser, "#camera-grid li:last-child .tile-words span", GONE)
        tile = "#camera-grid li:nth-child(2) img"
        assert browser.wait_for(f"document.querySelector('{tile}').naturalWidth") == 160
        assert texts(browser, "#source")[0].startswith("yard · /dev/video0")
    browser.evaluate("document.querySelector('#camera-grid button').click()")
    with feeding(server, RED, rate=5, text="a red wall", camera_name="Front door"):
        wait_for_text(browser, "#caption", "a red wall")
        wait_for_text(browser, "#history .text", "a red wall")
    until(lambda: not any(server.views["yard"].feed.streams.values()))
