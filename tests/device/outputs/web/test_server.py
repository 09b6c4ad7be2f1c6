"""The page of the live run, over real sockets and in a real browser."""

import http.client
import json
import os
import socket
import threading
import time
from contextlib import closing, contextmanager

import cv2
import numpy as np
import pytest

from picaption.device import board
from picaption.device.errors import PicaptionError, TemporaryError
from picaption.device.outputs.overlay import annotate
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.outputs.web.feed import MAX_HISTORY
from picaption.device.outputs.web.routes import MAX_STREAMS
from picaption.device.outputs.web.server import WebServer
from tests.device.fakes.browser import CHROMIUM, Browser
from tests.device.fakes.standins import FRAME, recognition, recognized

TOKEN = "a-token-of-more-than-16"


@pytest.fixture
def serve():
    """Returns a WebServer on a free port, which is closed in the end."""
    made = []

    def serve(host="127.0.0.1", port=0, token="", **options):
        made.append(WebServer(host, port, token, **options))
        return made[-1]

    yield serve
    for page in made:
        page.close()


@contextmanager
def feeding(page, frame=FRAME, **changes):
    """Write the frame 100 times a second meanwhile, with these changes of its recognition."""
    done = threading.Event()

    def feed():
        while not done.wait(0.01):
            page.write(recognized(image=frame, captured_at=time.time(), **changes))

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def port_of(page):
    return int(page.address.rstrip("/").rpartition(":")[2])


def ask(page, path="/", method="GET", **headers):
    """Return (status, headers, body)."""
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=10)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


@contextmanager
def stream(page, path, buffer=None):
    """Yield the socket and the file of a stream."""
    with socket.socket() as client:
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(10)
        client.connect(("127.0.0.1", port_of(page)))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with client.makefile("rb") as file:
            yield client, file


def events_of(file):
    """Yield (event, data) of a stream of server-sent events."""
    name = "message"
    for line in file:
        if line.startswith(b"event: "):
            name = line[7:].decode().strip()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])
            name = "message"


def images_of(file):
    """Yield the images of a stream of them, uint8 RGB."""
    for line in file:
        if line.lower().startswith(b"content-length: "):
            assert file.readline() == b"\r\n"
            data = np.frombuffer(file.read(int(line.split()[1])), np.uint8)
            yield cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def cost(page, frames=500, **changes):
    """Return the median of the seconds that writing a frame takes."""
    frame = recognized(**changes)
    took = []
    for _ in range(frames):
        start = time.perf_counter()
        page.write(frame)
        took.append(time.perf_counter() - start)
    return np.median(took)


# --- what it serves


def test_the_page_is_complete_and_needs_nothing_from_elsewhere(serve):
    status, headers, body = ask(serve(name="<kitchen> & co"))
    page = body.decode()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>picaption · &lt;kitchen&gt; &amp; co</title>" in page and "$title" not in page
    assert page.count("http") == page.count("http://www.w3.org/2000/svg")
    assert "innerHTML" not in page and " style=" not in page and " onclick=" not in page


def test_every_answer_has_the_headers_that_browsers_heed(serve):
    for page, path, expected in (
        (serve(), "/", 200),
        (serve(), "/absent", 404),
        (serve(token=TOKEN), "/", 401),
    ):
        status, headers, _ = ask(page, path)
        policy = headers["Content-Security-Policy"]
        assert status == expected and "default-src 'none'" in policy and "unsafe" not in policy
        assert (
            headers["X-Content-Type-Options"] == "nosniff"
            and headers["Cache-Control"] == "no-store"
        )
        assert headers["Referrer-Policy"] == "no-referrer" and "Server" not in headers


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
    }
    assert 10 < message["fps"] < 110 and 0 <= message["latency_ms"] < 500
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
    status, headers, body = ask(page, f"/thumbnails/{entries[0]['number']}.jpg")
    assert status == 200 and headers["Content-Type"] == "image/jpeg" and len(body) < 20_000
    assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR).shape == (96, 192, 3)
    for scene in range(100):
        page.write(recognized(scene=scene))
    with stream(page, "/events") as (_, file):
        assert len(next(events_of(file))[1]) == MAX_HISTORY == len(page.feed.history)
    assert ask(page, f"/thumbnails/{entries[0]['number']}.jpg")[0] == 404


def test_a_page_that_was_away_gets_what_it_missed_once(serve):
    page = serve()
    page.write(recognized("a cat"))
    with stream(page, "/events") as (_, file):
        events = events_of(file)
        assert [entry["text"] for entry in next(events)[1]] == ["a cat"]
        page.write(recognized("a dog"))
        entries = [data for name, data in [next(events)] if name == "history"]
        assert [entry["text"] for entry in entries[0]] == ["a dog"]


# --- who may see it


def test_beyond_this_computer_a_token_is_needed():
    for host in ("0.0.0.0", "::", "192.168.1.5", "", "raspberrypi"):
        with pytest.raises(PicaptionError, match="set a token"):
            WebServer(host, 0, "")


def test_a_token_opens_every_route_and_nothing_else_does(serve):
    page = serve("0.0.0.0", token=TOKEN)
    for path in (
        "/",
        "/events",
        "/picture.mjpeg",
        "/thumbnails/1.jpg",
        "/absent",
        "/?token=wrong",
        f"/?tokens={TOKEN}",
    ):
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": "Bearer é"},
            {"Cookie": f"picaption_{port_of(page)}=wrong"},
            {"Cookie": f"picaption_{port_of(page)}={TOKEN}"},
        ):
            status, answer, body = ask(page, path, **headers)
            assert (
                status == 401
                and answer["WWW-Authenticate"] == "Bearer"
                and TOKEN.encode() not in body
            )
    assert ask(page, Authorization=f"bearer {TOKEN}")[0] == 200
    assert ask(page, Authorization=f"Bearer {TOKEN}", Host="pi.example")[0] == 200
    assert ask(page, f"/?token={TOKEN}", Host="[pi")[0] == 303


def test_a_token_in_the_address_becomes_a_cookie(serve):
    page = serve(token=TOKEN)
    status, headers, _ = ask(page, f"/?token={TOKEN}")
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert status == 303 and headers["Location"] == "/" and TOKEN not in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(attributes)
    assert ask(page, Cookie=cookie)[0] == 200
    assert ask(page, f"//elsewhere.example/?token={TOKEN}")[1]["Location"] == "/elsewhere.example/"


@pytest.mark.parametrize(
    "host, status",
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:99", 200),
        ("127.1.2.3", 200),
        ("[::1]:8080", 200),
        ("[::1]", 200),
        ("elsewhere.example", 403),
        ("127.0.0.1.elsewhere.example", 403),
        ("localhost.elsewhere.example:80", 403),
        ("", 403),
    ],
)
def test_without_a_token_only_this_computers_names_are_answered(serve, host, status):
    assert ask(serve(), Host=host)[0] == status


def test_nothing_but_get_and_head(serve):
    page = serve()
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        status, headers, _ = ask(page, method=method)
        assert status == 405 and headers["Allow"] == "GET, HEAD"
    for path in ("/", "/events", "/picture.mjpeg"):
        assert ask(page, path, "HEAD")[::2] == (200, b"")


def test_nothing_is_logged(serve, capfd):
    page = serve(token=TOKEN)
    ask(page, f"/?token={TOKEN}")
    ask(page, "/?token=wrong")
    page.close()
    assert capfd.readouterr() == ("", "")


# --- where it listens


def test_a_port_in_use_is_one_line(serve):
    page = serve()
    with pytest.raises(PicaptionError, match=f"port {port_of(page)} is in use; give another one"):
        WebServer("127.0.0.1", port_of(page), "")


@pytest.mark.parametrize(
    "host, message", [("192.0.2.7", "no such address"), ("no.such.invalid", "check the host")]
)
def test_an_address_that_is_not_there_is_one_line(host, message):
    with pytest.raises(PicaptionError, match=message) as error:
        WebServer(host, 0, TOKEN)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, TemporaryError) == (
        host == "192.0.2.7"
    )  # it may be there once the network is


def test_the_address_tells_where_it_is(serve):
    page = serve()
    assert page.address == f"http://127.0.0.1:{port_of(page)}/" and port_of(page)
    assert serve("0.0.0.0", token=TOKEN).address.startswith(f"http://{socket.gethostname()}:")
    try:
        assert serve("::1").address.startswith("http://[::1]:")
    except PicaptionError:
        pytest.skip("this computer has no IPv6")


def test_close_frees_the_port_and_ends_the_thread(serve):
    serve().close()  # at once
    before = len(os.listdir("/proc/self/fd"))
    page = serve()
    with (
        feeding(page),
        stream(page, "/events") as (_, file),
        stream(page, "/picture.mjpeg", buffer=4096),
    ):
        next(events_of(file))
        start = time.monotonic()
    page.close()
    assert time.monotonic() - start < 3
    assert "web" not in {thread.name for thread in threading.enumerate()}
    page.close()
    assert len(os.listdir("/proc/self/fd")) == before
    serve(port=port_of(page))


# --- what it costs the loop


def test_without_a_client_write_costs_next_to_nothing(serve):
    assert cost(serve()) < 20e-6


def test_a_client_that_reads_nothing_costs_the_loop_nothing(serve):
    page = serve()
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    with (
        stream(page, "/picture.mjpeg", buffer=2048),
        stream(page, "/events", buffer=2048),
        stream(page, "/picture.mjpeg") as (_, file),
    ):
        took = []
        images = images_of(file)
        for _ in range(500):
            frame = RecognizedFrame(noise, recognition())
            start = time.perf_counter()
            page.write(frame)
            took.append(time.perf_counter() - start)
            time.sleep(0.002)
        with feeding(page):
            for _ in range(5):  # the third client still gets them
                next(images)
        assert np.median(took) < 1e-3 and max(took) < 0.1
        assert len(page.buffered) == 3 and max(page.buffered) < 1_000_000


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
def test_a_client_that_reads_nothing_is_dropped(serve):
    page = serve(client_timeout=1)
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    with feeding(page, noise), stream(page, "/picture.mjpeg", buffer=2048):
        until(lambda: page.feed.streams["images"] == 1)
        until(lambda: page.feed.streams["images"] == 0, 20)


def test_write_raises_what_fails_behind_the_page(serve):
    page = serve()
    with stream(page, "/events"):
        until(lambda: page.feed.wants_frame)
        page.write(recognized(camera={"Lux": object()}))
        until(lambda: page.failed)
        with pytest.raises(TypeError, match="not JSON serializable"):
            page.write(recognized())


def test_so_many_streams_and_no_more(serve):
    page = serve()
    clients = [stream(page, "/events") for _ in range(MAX_STREAMS)]
    for client in clients:
        client.__enter__()
    until(lambda: page.feed.streams["events"] == MAX_STREAMS)
    assert ask(page, "/picture.mjpeg")[0] == 503 and ask(page)[0] == 200
    for client in clients:
        client.__exit__(None, None, None)
    until(lambda: not page.feed.streams["events"])
    page.write(recognized())  # which may still be wanted
    time.sleep(0.3)
    assert not page.feed.wants_frame


def test_clients_that_come_and_go_leave_nothing_behind(serve):
    page = serve()

    def visit():
        with stream(page, "/events") as (_, file), stream(page, "/picture.mjpeg"):
            next(events_of(file))
        until(lambda: not page.buffered)

    with feeding(page):
        visit()
        before = threading.active_count(), len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            visit()
        assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before
    until(lambda: page.feed.streams == {"images": 0, "events": 0})
    # A frame that the feed still wants is not copied.
    frame = recognized()
    page.write(frame)
    assert frame.image is FRAME


# --- in a browser


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_a_browser_shows_it_all(serve, tmp_path):
    page = serve(token=TOKEN, name="kitchen")
    with closing(Browser(tmp_path, 360, 800)) as browser:
        with feeding(
            page,
            unsure=True,
            tags=("cat", "<b>eyes"),
            camera={"Lux": 340.0, "ExposureTime": 8333, "AnalogueGain": 2.0},
        ):
            browser.open(f"{page.address}?token={TOKEN}")
            browser.wait_for(
                "document.querySelector('.rate path')"
                " && document.getElementById('picture').naturalWidth"
            )

            def text(selector):
                return browser.evaluate(
                    f"[...document.querySelectorAll('{selector}')].map(node => node.textContent)"
                )

            assert text("title, h1") == ["picaption · kitchen"] * 2 and text("#caption") == [
                "a cat with green eyes"
            ]
            assert text("#tags li") == ["cat", "<b>eyes"] and text("#tags b") == []
            assert text("#classes span") == ["cat?", "dog?"] and text("#classes b") == ["97%", "4%"]
            assert browser.evaluate("!document.getElementById('unsure').hidden")
            assert text("#lux, #exposure, #gain") == ["340lx", "1/120s", "2.0×"]
            assert text("#history p") == ["a cat with green eyes"] and text("#status") == ["Live"]
            assert browser.wait_for("document.querySelector('#history img').naturalWidth") == 192
            assert (
                browser.evaluate("location.search") == ""
                and browser.evaluate("document.cookie") == ""
            )
            assert (
                browser.evaluate("document.getElementById('picture').alt")
                == "Live picture: a cat with green eyes"
            )
            assert browser.evaluate("document.documentElement.scrollWidth") == 360
        browser.wait_for("document.getElementById('status').textContent == 'No new picture'")
        page.close()
        browser.wait_for("document.getElementById('status').textContent == 'Connection lost'")
        page = serve(port=port_of(page), token=TOKEN)
        with feeding(page):
            browser.wait_for("document.getElementById('status').textContent == 'Live'")
