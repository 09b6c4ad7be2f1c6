"""Bodies that are large, slow or cut short, and requests beyond what can wait."""

import http.client
import json
import socket
import threading
import time
from contextlib import ExitStack, closing

import pytest

from picaption.device.images import encode_image
from picaption.device.outputs.web.api import routes
from picaption.device.outputs.web.api.worker import MAX_REQUESTS
from tests.device.fakes.standins import FRAME
from tests.device.fakes.web_client import TOKEN, port_of, until

JPEG = encode_image(FRAME, ".jpg")


def post(server, path, body, **headers):
    """Return (status, JSON)."""
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=60)) as client:
        client.request("POST", path, body, {"Authorization": f"Bearer {TOKEN}"} | headers)
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())


def open_request(server, length, path="/recognize", token=TOKEN):
    """Return a socket with the head of a request that says how long its body is."""
    client = socket.create_connection(("127.0.0.1", port_of(server)), timeout=30)
    head = f"POST {path} HTTP/1.1\r\nHost: pi\r\nAuthorization: Bearer {token}\r\n"
    client.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
    return client


def status_of(client):
    """Return the status that comes, and None if the connection ends without one."""
    answer = b"".join(iter(lambda: client.recv(65_536), b""))
    return int(answer.split()[1]) if answer else None


def test_a_picture_is_recognised_by_itself_and_in_a_form(answering):
    status, form = post(answering, "/recognize", JPEG)
    assert status == 200 and form["version"] == 1 and form["classes"]
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    content_type = {"Content-Type": "multipart/form-data; boundary=x"}
    status, again = post(answering, "/recognize", body + JPEG + b"\r\n--x--\r\n", **content_type)
    assert status == 200 and again["classes"] == form["classes"]
    assert post(answering, "/recognize", b"hello")[0] == 415


def test_another_sites_page_cannot_post(answering):
    status, form = post(answering, "/recognize", JPEG, Origin="http://elsewhere.example")
    assert status == 403 and "another site" in form["error"]


def test_a_body_that_is_too_large_is_refused_after_it_was_sent(answering, monkeypatch):
    monkeypatch.setattr(routes.read_body, "__defaults__", (1 << 20, 20.0))
    status, form = post(answering, "/recognize", bytes(5 << 20))
    assert status == 413 and form["error"] == "the body is larger than 1 MB"


def test_a_body_that_takes_too_long_is_refused(answering, monkeypatch):
    monkeypatch.setattr(routes.read_body, "__defaults__", (1 << 20, 0.3))
    with open_request(answering, 1000) as client:
        client.sendall(b"a")
        start = time.monotonic()
        assert status_of(client) == 408
        assert time.monotonic() - start < 5


def test_a_body_that_is_cut_short_ends_the_request(answering):
    with open_request(answering, 1000) as client:
        client.sendall(b"a")
        client.shutdown(socket.SHUT_WR)
        assert status_of(client) in (400, None)


def test_beyond_what_can_wait_requests_are_refused_at_once(answering):
    with ExitStack() as stack:
        waiting = [
            stack.enter_context(open_request(answering, len(JPEG))) for _ in range(MAX_REQUESTS)
        ]
        until(lambda: len(answering.buffered) == MAX_REQUESTS)
        status, form = post(answering, "/v1/chat/completions", bytes(300_000))
        assert status == 429 and form["error"]["code"] == "rate_limit_exceeded"
        status, form = post(answering, "/api/generate", b"{}")
        assert status == 429 and form["error"] == "too many requests at once; try again"
        for client in waiting:
            client.sendall(JPEG)
        statuses = []
        threads = [
            threading.Thread(target=lambda client=client: statuses.append(status_of(client)))
            for client in waiting
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * MAX_REQUESTS
    assert post(answering, "/recognize", JPEG)[0] == 200


def test_without_the_token_nothing_of_it_is_answered(answering):
    for path in ("/recognize", "/v1/chat/completions", "/api/generate", "/api/tags"):
        with open_request(answering, 3, path, token="wrong") as client:
            client.sendall(b"abc")
            assert status_of(client) == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused_in_the_clients_form(answering, method):
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(answering), timeout=30)) as client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        client.request(method, "/v1/chat/completions", headers=headers)
        answer = client.getresponse()
        error = json.loads(answer.read())["error"]
    assert answer.status == 405 and answer.headers["Allow"] == "POST" and "POST" in error["message"]
