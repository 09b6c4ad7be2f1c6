"""Clients of the page: requests, streams, and frames that come meanwhile."""

import http.client
import json
import socket
import threading
import time
from contextlib import closing, contextmanager
from urllib.parse import urlencode

import cv2
import numpy as np

from tests.device.fakes.standins import FRAME, recognized

TOKEN = "a-token-of-more-than-16"


@contextmanager
def feeding(page, frame=FRAME, rate=100, **changes):
    """Write the frame so many times a second meanwhile, with these changes of its recognition."""
    done = threading.Event()

    def feed():
        while not done.wait(1 / rate):
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
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=60)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def log_in(page, token="", raw=None, **headers):
    """Send the form of the login, or the bytes of another; return (status, headers, body)."""
    body = urlencode({"token": token}) if raw is None else raw
    form = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=60)) as connection:
        connection.request("POST", "/login", body, form | headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


@contextmanager
def stream(page, path, buffer=None):
    """Yield the socket and the file of a stream."""
    with socket.socket() as client:
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(60)
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


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
