"""Posts to real servers: ones that are slow, away, or not to be trusted."""

import logging
import ssl
import threading
import time

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.outputs.events.webhooks import ANSWER_SECONDS, MAX_WAITING, WebhookPoster
from tests.device.fakes.servers import PostServer, certificates, free_port, wait_for


@pytest.fixture
def server():
    server = PostServer()
    yield server
    server.close()


def posts_threads():
    return [thread for thread in threading.enumerate() if thread.name == "posts"]


def test_values_are_sent_as_json_and_the_fragment_is_not(server):
    address = f"http://{server.host}/hook?a=1#part"
    poster = WebhookPoster([address, f"http://{server.host}"])
    poster.put(address, {"text": "é"})
    poster.put(f"http://{server.host}", 1)
    poster.close()
    assert [(path, body) for path, _, body in server.posts] == [
        ("/hook?a=1", {"text": "é"}),
        ("/", 1),
    ]
    for _, headers, _ in server.posts:
        assert headers["Content-Type"] == "application/json" and headers["Authorization"] is None
    assert not posts_threads()


def test_user_and_password_are_sent_and_nothing_but_the_host_is_logged(server, caplog):
    server.status = 403
    address = f"http://us%40er:pass%3Aword@{server.host}/hook/key?token=secret"
    with caplog.at_level(logging.DEBUG):
        poster = WebhookPoster([address])
        for value in range(2):
            poster.put(address, value)
        poster.close()
    assert [headers["Authorization"] for _, headers, _ in server.posts] == [
        "Basic dXNAZXI6cGFzczp3b3Jk"
    ] * 2
    assert caplog.messages == [f"event: no post to {server.host}: it answers 403"]


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirections_are_not_followed(server, caplog, status):
    server.status = status
    server.headers = {"Location": f"http://{server.host}/elsewhere"}
    poster = WebhookPoster([f"http://{server.host}/hook"])
    poster.put(f"http://{server.host}/hook", 1)
    poster.close()
    assert [path for path, _, _ in server.posts] == ["/hook"]
    assert f"it answers {status}" in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "ftp://host/",
        "http://",
        "http://host:port/",
        "http://host/a b",
        "http://user:hidden@host:99999/",
        "http://host/\r\nX: y",
        "host",
    ],
)
def test_what_is_no_address(address):
    with pytest.raises(PicaptionError, match="http:// or https:// address") as caught:
        WebhookPoster([address])
    assert "hidden" not in str(caught.value) and not posts_threads()


def test_https_is_for_servers_with_a_trusted_certificate(server, tmp_path, monkeypatch, caplog):
    authority, certificate, key = certificates(tmp_path / "right", "IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    for trusted in (False, True):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        poster = WebhookPoster([f"https://{server.host}/hook"])
        poster.put(f"https://{server.host}/hook", 1)
        # `close` waits for a moment only, which a busy machine may need for the handshake.
        assert wait_for((lambda: server.posts) if trusted else (lambda: caplog.messages))
        poster.close()
        assert len(server.posts) == trusted and len(caplog.messages) == 1
    assert "certificate verify failed" in caplog.text


def test_a_server_that_hangs_holds_up_nothing(server, caplog):
    server.answer.clear()
    poster = WebhookPoster([f"http://{server.host}"])
    slowest = 0.0
    for value in range(100):
        began = time.perf_counter()
        poster.put(f"http://{server.host}", value)
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < ANSWER_SECONDS / 5 and len(server.posts) <= 1 and poster.waiting == MAX_WAITING
    assert "is too slow: a post to it is let go" in caplog.text
    began = time.monotonic()
    poster.close()
    assert time.monotonic() - began < ANSWER_SECONDS and not posts_threads()


def test_after_a_pause_the_newest_posts_arrive(server):
    server.answer.clear()
    poster = WebhookPoster([f"http://{server.host}"])
    poster.put(f"http://{server.host}", 0)
    assert wait_for(lambda: server.posts)
    for value in range(1, 100):
        poster.put(f"http://{server.host}", value)
    server.answer.set()
    poster.close()
    values = [body for _, _, body in server.posts]
    # The last to give way made room for the word that it is the end.
    assert values in (
        [0, *range(101 - MAX_WAITING, 100)],
        [0, *range(100 - MAX_WAITING, 100)],
    )


def test_a_server_that_is_away_is_logged_once(caplog):
    address = f"127.0.0.1:{free_port()}"
    poster = WebhookPoster([f"http://{address}/key"])
    for value in range(3):
        poster.put(f"http://{address}/key", value)
    poster.close()
    assert caplog.messages == [f"event: no post to {address}: [Errno 111] Connection refused"]
    assert not posts_threads()
