"""Programs that are run, and addresses that are posted to, when something appears."""

import json
import logging
import os
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from picaption.device.config.settings import Event
from picaption.device.errors import PicaptionError
from picaption.device.outputs import events, webhooks
from picaption.device.outputs.events import EventRunner, arguments
from picaption.device.outputs.sink import RecognizedFrame
from tests.device.fakes.servers import certificates, free_port, wait_for
from tests.device.fakes.standins import FRAME, recognition, recognized

HOSTILE = "; rm -rf $(x) `y` 'quotes' \"more\" \n{class} {caption} %s && é"
#: A program that adds its arguments, as a line of JSON, to a file.
NOTE = "import json, os, sys; open(sys.argv[1], 'a').write(json.dumps([*sys.argv[2:], os.isatty(0), sys.stdin.read()]) + '\\n')"


def noting(path, *others, **what):
    """Return an Event that notes `others` in the file."""
    return Event(**{"every": 0.0} | what, run=(sys.executable, "-c", NOTE, str(path), *others))


def noted(path, sink, count=1):
    """Return the arguments of each run, once there are `count` and the sink is closed."""
    wait_for(lambda: path.exists() and path.read_text().count("\n") >= count)
    sink.close()
    return (
        [json.loads(line)[:-2] for line in path.read_text().splitlines()] if path.exists() else []
    )


@pytest.fixture
def fired(monkeypatch):
    """What would have been run: each one's arguments, at once."""
    ran = []
    monkeypatch.setattr(
        EventRunner,
        "_run",
        lambda self, event, recognition: ran.append(arguments(event, recognition)[1:]),
    )
    return ran


# --- what appears


def test_a_word_is_an_event_when_it_comes_into_the_caption_and_not_while_it_stays(fired):
    sink = EventRunner((Event(word="Cat", run=("true", "{caption}"), every=0),), 0.5)
    for text in ("a dog", "a cat", "a cat", "a big cat", "a caterpillar", None, "the cat"):
        sink.write(recognized(text))
    assert fired == [["a cat"], ["the cat"]]
    sink = EventRunner((Event(word="big cat", run=("true", "{caption}"), every=0),), 0.5)
    for text in ("a cat", "a big cats", "a big cat"):
        sink.write(recognized(text))
    assert fired[2:] == [["a big cat"]]


def test_a_class_is_an_event_when_it_becomes_certain(fired):
    sink = EventRunner((Event(class_="cat", run=("true", "{class} {score}"), every=0),), 0.5)
    for classes, unsure in (
        ((("cat", 0.4),), True),
        ((("cat", 0.6),), False),
        ((("cat", 0.9),), False),
        ((("dog", 0.9),), False),
        ((("dog", 0.9), ("cat", 0.49)), False),
        ((("dog", 0.9), ("cat", 0.5)), False),
        ((), False),
    ):
        sink.write(recognized(classes=classes, unsure=unsure))
    assert fired == [["cat 0.60"], ["cat 0.50"]]


def test_a_caption_is_an_event_when_its_text_is_another_one(fired):
    sink = EventRunner((Event(caption=True, run=("true", "{caption}|{class}"), every=0),), 0.5)
    for text in ("a cat", "a cat", "a dog", None, "a dog"):
        sink.write(recognized(text, unsure=text == "a dog"))
    assert fired == [["a cat|cat"], ["a dog|"], ["a dog|"]]


def test_between_two_of_an_event_lies_its_interval(fired, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: clock[0])
    sink = EventRunner(
        (
            Event(caption=True, run=("true", "{caption}"), every=10),
            Event(word="cat", run=("true", "word"), every=0),
        ),
        0.5,
    )
    for at, text in (
        (0, "a cat"),
        (9.9, "a dog"),
        (10, "a dog"),
        (11, "a cat"),
        (12, "a bird"),
        (21, "a dog"),
    ):
        clock[0] = 1000.0 + at
        sink.write(recognized(text))
    assert fired == [["a cat"], ["word"], ["a cat"], ["word"], ["a dog"]]


# --- programs


def test_a_program_gets_what_was_seen_as_it_is(tmp_path):
    path = tmp_path / "noted"
    event = noting(
        path,
        "{caption}",
        "<{class}:{score}>",
        "{word}{word}",
        "{time}",
        "{} {0} {other} {{word}} $HOME",
        word="cat",
    )
    sink = EventRunner((event,), 0.5)
    sink.write(recognized("a cat"))
    ((caption, best, twice, when, other),) = noted(path, sink)
    assert (caption, best, twice, other) == (
        "a cat",
        "<cat:0.97>",
        "catcat",
        "{} {0} {other} {cat} $HOME",
    )
    assert time.mktime(time.strptime(when[:19], "%Y-%m-%dT%H:%M:%S")) == 1700000000


def test_nothing_seen_is_more_than_one_argument_and_no_shell_reads_it(tmp_path):
    path = tmp_path / "noted"
    sink = EventRunner((noting(path, "{caption}", "{class}", caption=True),), 0.5)
    sink.write(recognized(HOSTILE, classes=((HOSTILE, 0.9),)))
    assert noted(path, sink) == [[HOSTILE, HOSTILE]]


def test_what_is_seen_does_not_choose_the_program():
    assert arguments(Event(word="cat", run=("{word}", "{word}")), recognition()) == [
        "{word}",
        "cat",
    ]


def test_a_program_that_cannot_be_run_is_logged_once(tmp_path, caplog):
    with pytest.raises(PicaptionError, match="no program 'nosuchprogram'; install it"):
        EventRunner((Event(word="cat", run=("nosuchprogram",)),), 0.5)
    program = tmp_path / "program"
    program.write_text("#!/nosuchinterpreter\n")
    program.chmod(0o755)
    sink = EventRunner((Event(caption=True, run=(str(program),), every=0),), 0.5)
    program.unlink()
    for text in ("a cat", "a dog", "a bird"):
        sink.write(recognized(text))
    sink.close()
    assert [record.message for record in caplog.records] == [
        f"event: {program} cannot be run: [Errno 2] No such file or directory: '{program}'"
    ]


def test_an_argument_that_cannot_be_one_is_no_end(caplog):
    sink = EventRunner((Event(caption=True, run=("true", "{caption}"), every=0),), 0.5)
    sink.write(recognized("a\0cat"))
    sink.close()
    assert "cannot be run: embedded null byte" in caplog.text


def test_at_most_four_programs_run_at_once_and_none_for_too_long(tmp_path, caplog):
    sleeper = "import subprocess, sys, time; subprocess.Popen(['sleep', '100']); time.sleep(100)"
    sink = EventRunner(
        (Event(caption=True, run=(sys.executable, "-c", sleeper), every=0),), 0.5, seconds=0.6
    )
    for number in range(6):
        sink.write(recognized(f"caption {number}"))
    running = [process for process, _ in sink._running]
    assert len(running) == 4 and caplog.text.count("4 programs are running still") == 2
    time.sleep(0.7)
    assert wait_for(lambda: sink.write(recognized("caption 5")) or not sink._running)
    assert [process.returncode for process in running] == [-9] * 4 and caplog.text.count(
        "has run for 0.6 seconds"
    ) == 4
    sink.close()
    for process in running:  # neither they, as zombies, nor what they started is left
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_close_waits_for_programs_a_moment_only(tmp_path):
    path = tmp_path / "noted"
    sink = EventRunner(
        (Event(word="cat", run=("sleep", "100")), noting(path, "{word}", word="cat")), 0.5
    )
    sink.write(recognized("a cat"))
    assert wait_for(lambda: path.exists() and path.read_text())
    processes, began = [process for process, _ in sink._running], time.monotonic()
    sink.close()
    assert time.monotonic() - began < 2 and [process.returncode for process in processes] == [-9, 0]


def test_finished_programs_are_reaped_by_the_next_frame():
    sink = EventRunner((Event(word="cat", run=("true",)),), 0.5)
    sink.write(recognized("a cat"))
    process = sink._running[0][0]
    assert (
        wait_for(lambda: sink.write(recognized("a cat")) or not sink._running)
        and process.returncode == 0
    )
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


# --- posts


class Server(ThreadingHTTPServer):
    """Keeps what is posted: (path, headers, JSON); answers `status`, once `answer` is set."""

    daemon_threads = True

    def __init__(self):
        self.posts, self.status, self.headers, self.answer = [], 200, {}, threading.Event()
        self.answer.set()
        super().__init__(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, self.headers, json.loads(body)))
        self.server.answer.wait(20)
        self.send_response(self.server.status)
        for header in self.server.headers.items():
            self.send_header(*header)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    yield server
    server.answer.set()
    server.shutdown()
    server.server_close()


def post(address, **what):
    return Event(**{"every": 0.0} | what, post=address)


def posts_threads():
    return [thread for thread in threading.enumerate() if thread.name == "posts"]


def test_a_post_holds_the_recognition_and_the_event(server):
    result = recognition(HOSTILE, classes=(("cat", 0.97),))
    sink = EventRunner(
        (
            post(f"http://{server.place}/hook?a=1#part", class_="cat"),
            post(f"http://{server.place}", caption=True),
            post(f"http://{server.place}", word="rm"),
        ),
        0.5,
    )
    sink.write(RecognizedFrame(FRAME, result))
    sink.close()
    assert [(path, body["event"]) for path, _, body in server.posts] == [
        ("/hook?a=1", {"class": "cat"}),
        ("/", {"caption": True}),
        ("/", {"word": "rm"}),
    ]
    for _, headers, body in server.posts:
        assert body | {"event": None} == result.to_json() | {"event": None}
        assert headers["Content-Type"] == "application/json" and headers["Authorization"] is None
    assert not posts_threads()


def test_user_and_password_are_sent_and_nothing_but_the_host_is_logged(server, caplog):
    server.status = 403
    with caplog.at_level(logging.DEBUG):
        sink = EventRunner(
            (
                post(
                    f"http://us%40er:pass%3Aword@{server.place}/hook/key?token=secret", caption=True
                ),
            ),
            0.5,
        )
        for text in ("a cat", "a dog"):
            sink.write(recognized(text))
        sink.close()
    assert [headers["Authorization"] for _, headers, _ in server.posts] == [
        "Basic dXNAZXI6cGFzczp3b3Jk"
    ] * 2
    assert caplog.messages == [f"event: no post to {server.place}: it answers 403"]


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirections_are_not_followed(server, caplog, status):
    server.status, server.headers = status, {"Location": f"http://{server.place}/elsewhere"}
    sink = EventRunner((post(f"http://{server.place}/hook", caption=True),), 0.5)
    sink.write(recognized())
    sink.close()
    assert [path for path, _, _ in server.posts] == [
        "/hook"
    ] and f"it answers {status}" in caplog.text


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
        EventRunner((post(address, caption=True),), 0.5)
    assert "hidden" not in str(caught.value) and not posts_threads()


def test_https_is_for_servers_with_a_trusted_certificate(server, tmp_path, monkeypatch, caplog):
    authority, certificate, key = certificates(tmp_path / "right", "IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    for trusted in (False, True):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        sink = EventRunner((post(f"https://{server.place}/hook", caption=True),), 0.5)
        sink.write(recognized())
        sink.close()
        assert len(server.posts) == trusted and len(caplog.messages) == 1
    assert "certificate verify failed" in caplog.text


def test_a_server_that_hangs_holds_up_nothing(server, caplog):
    server.answer.clear()
    sink, slowest = EventRunner((post(f"http://{server.place}", caption=True),), 0.5), 0.0
    for number in range(100):
        began = time.perf_counter()
        sink.write(recognized(f"caption {number}"))
        slowest = max(slowest, time.perf_counter() - began)
    assert (
        slowest < 0.05
        and len(server.posts) <= 1
        and sink._poster._waiting.qsize() == webhooks.WAITING
    )
    assert "is too slow: a post to it is let go" in caplog.text
    began = time.monotonic()
    sink.close()
    assert time.monotonic() - began < 2 and not posts_threads()


def test_after_a_pause_the_newest_posts_arrive(server):
    server.answer.clear()
    sink = EventRunner((post(f"http://{server.place}", caption=True),), 0.5)
    for number in range(100):
        sink.write(recognized(f"caption {number}"))
        if not number:
            assert wait_for(lambda: server.posts)
    server.answer.set()
    sink.close()
    said = [body["caption"]["text"] for _, _, body in server.posts]
    # The last to give way made room for the word that it is the end.
    assert said == [
        "caption 0",
        *(f"caption {number}" for number in range(101 - webhooks.WAITING, 100)),
    ] or said == [
        "caption 0",
        *(f"caption {number}" for number in range(100 - webhooks.WAITING, 100)),
    ]


def test_a_server_that_is_away_is_logged_once(caplog):
    port = free_port()
    sink = EventRunner((post(f"http://127.0.0.1:{port}/key", caption=True),), 0.5)
    for text in ("a cat", "a dog", "a bird"):
        sink.write(recognized(text))
    sink.close()
    assert (
        caplog.messages == [f"event: no post to 127.0.0.1:{port}: [Errno 111] Connection refused"]
        and not posts_threads()
    )
