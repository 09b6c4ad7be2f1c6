"""Where the server listens, and what it costs the loop: next to nothing."""

import os
import socket
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from picaption.device.errors import PicaptionError, TemporaryError
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.outputs.web.server import WebServer
from tests.device.fakes.standins import recognition, recognized
from tests.device.fakes.web_client import (
    TOKEN,
    ask,
    events_of,
    feeding,
    images_of,
    port_of,
    stream,
    until,
)


def cost(page, frames=500, **changes):
    """Return the median of the seconds that writing a frame takes."""
    frame = recognized(**changes)
    took = []
    for _ in range(frames):
        start = time.perf_counter()
        page.write(frame)
        took.append(time.perf_counter() - start)
    return np.median(took)


def test_nothing_is_logged(serve, capfd):
    page = serve(token=TOKEN)
    ask(page, f"/?token={TOKEN}")
    ask(page, "/?token=wrong")
    page.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("body", [b"1\ra\r\n0\r\n\r\n", b"zz\r\n", b"1\r\nabc\r\n"])
def test_a_broken_body_is_one_answer_and_nothing_is_logged(serve, caplog, method, body):
    page = serve(token=TOKEN)
    head = f"{method} /?token={TOKEN} HTTP/1.1\r\nHost: pi\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port_of(page)), timeout=60) as client:
        client.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1
    page.close()
    assert not caplog.records


def test_a_body_that_breaks_during_the_answer_ends_the_connection(serve, caplog):
    page = serve(token=TOKEN)
    head = f"GET /events?token={TOKEN} HTTP/1.1\r\nHost: pi\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port_of(page)), timeout=60) as client:
        client.sendall(head.encode())
        answer = client.recv(65_536)
        client.sendall(b"zz\r\n")
        answer += b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.count(b"HTTP/1.1 ") == 1
    until(lambda: not page.feed.streams["events"])
    page.close()
    assert not caplog.records


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
    threads = set(threading.enumerate())
    page = serve()
    with (
        feeding(page),
        stream(page, "/events") as (_, file),
        stream(page, "/picture.mjpeg", buffer=4096),
    ):
        next(events_of(file))
        start = time.monotonic()
    page.close()
    assert time.monotonic() - start < 10  # Clients are not waited for.
    assert set(threading.enumerate()) <= threads
    page.close()
    assert len(os.listdir("/proc/self/fd")) == before
    serve(port=port_of(page))


def test_close_is_not_held_up_by_clients_that_come_again_at_once(serve, caplog):
    page = serve()
    port = port_of(page)
    is_over = threading.Event()

    def come_again():
        while not is_over.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
                client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                while client.recv(4096):
                    continue

    clients = [threading.Thread(target=come_again) for _ in range(4)]
    for client in clients:
        client.start()
    until(lambda: page.feed.streams["events"] == 4)
    start = time.monotonic()
    page.close()
    seconds = time.monotonic() - start
    is_over.set()
    for client in clients:
        client.join()
    # Nothing was cut off after the second that answers have.
    assert seconds < 1 and not caplog.records


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
        assert np.median(took) < 1e-3 and max(took) < 2
        assert len(page.buffered) == 3 and max(page.buffered) < 1_000_000


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
def test_a_client_that_reads_nothing_is_dropped(serve):
    page = serve(client_timeout=1)
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    with feeding(page, noise), stream(page, "/picture.mjpeg", buffer=2048):
        until(lambda: page.feed.streams["images"] == 1)
        until(lambda: page.feed.streams["images"] == 0, 20)


def test_what_fails_behind_the_page_is_a_line_and_ends_nothing(serve, caplog):
    page = serve()
    with stream(page, "/events") as (_, file):
        until(lambda: page.feed.wants_frame)
        page.write(recognized(camera={"Lux": object()}))
        until(lambda: caplog.records)
        with feeding(page):
            assert "message" in (name for name, _ in events_of(file))
    page.write(None)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "the page: TypeError: Object of type object is not JSON serializable",
        "the page: AttributeError: 'NoneType' object has no attribute 'recognition'",
    ]
