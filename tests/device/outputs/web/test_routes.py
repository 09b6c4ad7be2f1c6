"""Streams that come and go, and how many there may be."""

import os
import threading
import time

from picaption.device.outputs.web.routes import MAX_STREAMS
from tests.device.fakes.standins import FRAME, recognized
from tests.device.fakes.web_client import ask, events_of, feeding, stream, until


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


def test_a_number_beyond_all_numbers_is_an_address_where_nothing_is(serve, caplog):
    page = serve()
    page.write(recognized())
    for digits in (18, 19, 5000):  # Python reads none of more than 4,300.
        for path in ("/thumbnails", "/scenes"):
            assert ask(page, f"{path}/{'9' * digits}.jpg")[0] == 404
    assert not caplog.records


def test_clients_that_come_and_go_leave_nothing_behind(serve):
    page = serve()

    def visit():
        with stream(page, "/events") as (_, file), stream(page, "/picture.mjpeg"):
            next(events_of(file))
        until(lambda: not page.buffered)

    with feeding(page):
        visit()
        threads = threading.active_count()
        files = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            visit()
        # A connection may take a moment to close.
        until(lambda: threading.active_count() <= threads)
        until(lambda: len(os.listdir("/proc/self/fd")) <= files)
    until(lambda: not any(page.feed.streams.values()))
    # A frame that the feed still wants is not copied.
    frame = recognized()
    page.write(frame)
    assert frame.image is FRAME
