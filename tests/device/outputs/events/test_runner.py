"""What appears, and that a program runs or an address gets the recognition then."""

import email
import email.policy
import json
import os
import sys
import tempfile
import time
from datetime import datetime

import pytest

from picaption.device.bundle.metadata import Metadata
from picaption.device.config.settings import Config, Event
from picaption.device.errors import PicaptionError
from picaption.device.images import read_image
from picaption.device.outputs.events.output import open_output
from picaption.device.outputs.events.programs import ProgramRunner
from picaption.device.outputs.events.runner import EventRunner, arguments
from picaption.device.outputs.sink import OutputContext, RecognizedFrame
from tests.device.fakes.servers import PostServer, wait_for
from tests.device.fakes.standins import FRAME, recognition, recognized, silent

HOSTILE = "; rm -rf $(x) `y` 'quotes' \"more\" \n{class} {caption} %s && é"
#: A program that adds its arguments, as a line of JSON, to a file.
NOTE = (
    "import json, os, sys; open(sys.argv[1], 'a').write("
    "json.dumps([*sys.argv[2:], os.isatty(0), sys.stdin.read()]) + '\\n')"
)


class Programs:
    """Runs nothing, and notes the arguments of what would have been run."""

    def __init__(self):
        self.arguments = []

    def run(self, arguments, file=""):
        self.arguments.append(arguments[1:])

    def has_room(self, program):
        return True

    def reap(self):
        pass

    def close(self):
        pass


@pytest.fixture
def programs():
    return Programs()


def noting(path, *words, **trigger):
    """Return an Event that notes `words` in the file."""
    return Event(**{"every": 0.0} | trigger, run=(sys.executable, "-c", NOTE, str(path), *words))


def noted(path, sink, count=1):
    """Return the arguments of each run, once there are `count` and the sink is closed."""
    wait_for(lambda: path.exists() and path.read_text().count("\n") >= count)
    sink.close()
    if not path.exists():
        return []
    return [json.loads(line)[:-2] for line in path.read_text().splitlines()]


def post(address, **trigger):
    """Return an Event that posts."""
    return Event(**{"every": 0.0} | trigger, post=address)


# --- what appears


def test_nothing_is_an_event_where_there_is_nothing_to_see(programs):
    events = (
        Event(word="dark", run=("true", "word"), every=0),
        Event(caption=True, run=("true", "{caption}"), every=0),
        Event(class_="cat", run=("true", "class {class}"), every=0),
    )
    sink = EventRunner(events, 0.5, programs)
    for result in (silent(), silent(), recognition("a cat"), silent()):
        sink.write(RecognizedFrame(FRAME, result))
    assert programs.arguments == [["a cat"], ["class cat"]]


def test_a_word_is_an_event_when_it_comes_into_the_caption_and_not_while_it_stays(programs):
    sink = EventRunner((Event(word="Cat", run=("true", "{caption}"), every=0),), 0.5, programs)
    for text in ("a dog", "a cat", "a cat", "a big cat", "a caterpillar", None, "the cat"):
        sink.write(recognized(text))
    assert programs.arguments == [["a cat"], ["the cat"]]
    sink = EventRunner((Event(word="big cat", run=("true", "{caption}"), every=0),), 0.5, programs)
    for text in ("a cat", "a big cats", "a big cat"):
        sink.write(recognized(text))
    assert programs.arguments[2:] == [["a big cat"]]


def test_a_class_is_an_event_when_it_becomes_certain(programs):
    sink = EventRunner(
        (Event(class_="cat", run=("true", "{class} {score}"), every=0),), 0.5, programs
    )
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
    assert programs.arguments == [["cat 0.60"], ["cat 0.50"]]


def test_a_caption_is_an_event_when_its_text_is_another_one(programs):
    sink = EventRunner(
        (Event(caption=True, run=("true", "{caption}|{class}"), every=0),), 0.5, programs
    )
    for text in ("a cat", "a cat", "a dog", None, "a dog"):
        sink.write(recognized(text, unsure=text == "a dog"))
    assert programs.arguments == [["a cat|cat"], ["a dog|"], ["a dog|"]]


def test_between_two_of_an_event_lies_its_interval(programs):
    now = 1000.0
    sink = EventRunner(
        (
            Event(caption=True, run=("true", "{caption}"), every=10),
            Event(word="cat", run=("true", "word"), every=0),
        ),
        0.5,
        programs,
        clock=lambda: now,
    )
    for at, text in (
        (0, "a cat"),
        (9.9, "a dog"),
        (10, "a dog"),
        (11, "a cat"),
        (12, "a bird"),
        (21, "a dog"),
    ):
        now = 1000.0 + at
        sink.write(recognized(text))
    assert programs.arguments == [["a cat"], ["word"], ["a cat"], ["word"], ["a dog"]]


# --- programs


def test_a_program_gets_what_was_recognised_as_it_is(tmp_path):
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
    ((caption, best, twice, when, unknown),) = noted(path, sink)
    assert (caption, best, twice, unknown) == (
        "a cat",
        "<cat:0.97>",
        "catcat",
        "{} {0} {other} {cat} $HOME",
    )
    assert time.mktime(time.strptime(when[:19], "%Y-%m-%dT%H:%M:%S")) == 1700000000


def test_a_program_gets_the_captions_confidence_if_it_has_one():
    event = Event(word="cat", run=("echo", "{confidence}", "{caption}"))
    sure = recognition("a cat", confidence=0.123456, doubted=True)
    assert arguments(event, sure) == ["echo", "0.12", "a cat"]
    assert arguments(event, recognition("a cat")) == ["echo", "", "a cat"]


def test_nothing_recognised_is_more_than_one_argument_and_no_shell_reads_it(tmp_path):
    path = tmp_path / "noted"
    sink = EventRunner((noting(path, "{caption}", "{class}", caption=True),), 0.5)
    sink.write(recognized(HOSTILE, classes=((HOSTILE, 0.9),)))
    assert noted(path, sink) == [[HOSTILE, HOSTILE]]


def test_what_is_recognised_does_not_choose_the_program():
    assert arguments(Event(word="cat", run=("{word}", "{word}")), recognition()) == [
        "{word}",
        "cat",
    ]


def test_a_program_that_is_not_there_is_logged(caplog):
    sink = EventRunner((Event(word="cat", run=("nosuchprogram",)),), 0.5)
    assert "no program 'nosuchprogram'; install it" in caplog.text
    sink.write(recognized())
    sink.close()


@pytest.mark.parametrize(
    "event, message",
    [
        (Event(class_="persn", run=("true",)), "no class 'persn'; did you mean person[?]"),
        (Event(word="Catz", run=("true",)), "no word 'catz' for captions; did you mean cat"),
        (Event(word="big dog", run=("true",)), "has no word 'dog' for captions"),
    ],
)
def test_what_the_bundle_does_not_know_never_comes(event, message):
    words = {"big": 0, "cat": 1}
    context = OutputContext(None, Metadata("kitchen"), ("person", "cup"), words)
    for known in (Event(class_="cup", run=("true",)), Event(word="Big cat", run=("true",))):
        open_output(Config(event=(known,)), context).close()
    with pytest.raises(PicaptionError, match=message):
        open_output(Config(event=(event,)), context)


def test_the_events_of_a_file_go_by_its_time(programs):
    event = Event(caption=True, run=("true", "{caption}"), every=10)
    sink = EventRunner((event,), 0.5, programs, clock=lambda: 0.0)
    for seconds in (0.0, 4.0, 8.0, 12.0):
        sink.write(RecognizedFrame(FRAME, recognition(f"a cat at {seconds:g}"), seconds))
    assert programs.arguments == [["a cat at 0"], ["a cat at 12"]]
    sink.close()


def test_what_is_no_address_is_one_line():
    with pytest.raises(PicaptionError, match="http:// or https:// address"):
        EventRunner((post("file:///etc/passwd", caption=True),), 0.5)


def test_an_argument_that_cannot_be_one_is_no_end(caplog):
    sink = EventRunner((Event(caption=True, run=("true", "{caption}"), every=0),), 0.5)
    sink.write(recognized("a\0cat"))
    sink.close()
    assert "cannot be run: embedded null byte" in caplog.text


def test_finished_programs_are_reaped_by_the_next_frame():
    programs = ProgramRunner()
    sink = EventRunner((Event(word="cat", run=("true",)),), 0.5, programs)
    sink.write(recognized("a cat"))
    (process,) = programs.running

    def ended():
        sink.write(recognized("a cat"))
        return not programs.running

    assert wait_for(ended) and process.returncode == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    sink.close()


def test_close_gives_programs_a_moment_only(tmp_path):
    path = tmp_path / "noted"
    programs = ProgramRunner()
    events = Event(word="cat", run=("sleep", "100")), noting(path, "{word}", word="cat")
    sink = EventRunner(events, 0.5, programs)
    sink.write(recognized("a cat"))
    assert wait_for(lambda: path.exists() and path.read_text())
    processes = programs.running
    began = time.monotonic()
    sink.close()
    assert time.monotonic() - began < 60 and [process.returncode for process in processes] == [
        -9,
        0,
    ]


# --- pictures


COPY = "import shutil, sys, time; shutil.copy(sys.argv[1], sys.argv[2]); time.sleep(0.3)"


def test_a_program_gets_a_picture_that_lives_as_long_as_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    copy = tmp_path / "copy.jpg"
    event = Event(word="cat", run=(sys.executable, "-c", COPY, "{picture}", str(copy)))
    sink = EventRunner((event,), 0.5)
    sink.write(recognized("a cat"))
    (folder,) = tmp_path.glob("picaption-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert wait_for(lambda: copy.exists() and list(folder.iterdir()))
    assert wait_for(lambda: copy.stat().st_size == next(folder.iterdir()).stat().st_size)
    assert read_image(copy).shape == FRAME.shape

    def ended():
        sink.write(recognized("a cat"))
        return not list(folder.iterdir())

    assert wait_for(ended)
    sink.close()
    assert not list(tmp_path.glob("picaption-*"))


def test_no_picture_is_left_of_programs_that_cannot_run_or_must_end(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    events = [Event(word="cat", run=("/nosuchprogram", "{picture}"))]
    events += [Event(word="cat", run=("sleep", "100", "{picture}"))] * 5
    sink = EventRunner(events, 0.5)
    sink.write(recognized("a cat"))
    (folder,) = tmp_path.glob("picaption-*")
    assert len(list(folder.iterdir())) == 4
    sink.close()
    assert not list(tmp_path.glob("picaption-*"))


def test_a_full_disk_costs_the_picture_alone(tmp_path, monkeypatch, caplog, programs):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    sink = EventRunner((Event(word="cat", run=("true", "-{picture}-"), every=0),), 0.5, programs)
    for text in ("a cat", "a dog", "a cat"):
        sink.write(recognized(text))
    sink.close()
    assert programs.arguments == [["--"], ["--"]]
    assert [text.partition("; ")[2] for text in caplog.messages] == [
        "programs get no picture until there is room"
    ]


def test_a_post_has_the_picture_if_it_is_asked_for():
    server = PostServer()
    event = Event(word="cat", post=f"http://{server.host}/hook", image=True)
    sink = EventRunner((event,), 0.5)
    sink.write(recognized("a cat"))
    sink.close()
    server.close()
    ((_, headers, body),) = server.posts
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + body, policy=email.policy.HTTP).get_payload()
    names = [part.get_param("name", header="content-disposition") for part in parts]
    assert names == ["recognition", "picture"]
    assert [part.get_content_type() for part in parts] == ["application/json", "image/jpeg"]
    assert json.loads(parts[0].get_payload(decode=True))["event"] == {"word": "cat"}
    jpeg = parts[1].get_payload(decode=True)
    assert jpeg.startswith(b"\xff\xd8\xff") and jpeg.endswith(b"\xff\xd9")


# --- quiet hours, snapshots


def at(hour, minute, text="a cat"):
    """Return a frame that was captured at that time of a day, by this computer's clock."""
    captured_at = datetime(2027, 3, 1, hour, minute).timestamp()
    return recognized(text, captured_at=captured_at)


def test_in_quiet_hours_nothing_happens_but_what_has_hours_of_its_own(programs):
    trigger = {"caption": True, "every": 0}
    events = (
        Event(run=("true", "{caption}"), **trigger),
        Event(run=("true", "never quiet"), quiet_hours="never", **trigger),
        Event(run=("true", "noon"), quiet_hours="12:00-13:00", **trigger),
    )
    sink = EventRunner(events, 0.5, programs, quiet_hours="22:00-07:00")
    happened = []
    for hour, minute in ((21, 59), (22, 0), (6, 59), (7, 0), (12, 30)):
        programs.arguments.clear()
        sink.write(at(hour, minute, f"at {hour}"))
        happened.append([words for (words,) in programs.arguments])
    assert happened == [
        ["at 21", "never quiet", "noon"],
        ["never quiet", "noon"],
        ["never quiet", "noon"],
        ["at 7", "never quiet", "noon"],
        ["at 12", "never quiet"],
    ]


def test_an_event_saves_a_snapshot_beside_what_else_it_does(tmp_path, programs):
    event = Event(word="cat", run=("true", "ran"), save=True)
    folder = tmp_path / "snapshots"
    config = Config(event=(event,), snapshots=str(folder))
    sink = open_output(config, OutputContext(None, Metadata("kitchen"), (), {"cat": 1}))
    sink._programs = programs
    sink.write(at(8, 30))
    sink.close()
    assert programs.arguments == [["ran"]]
    assert sorted(path.name for path in folder.iterdir()) == [
        "20270301-083000-000_cat.jpg",
        "20270301-083000-000_cat.json",
    ]


# --- posts


def test_a_post_holds_the_recognition_and_the_event():
    server = PostServer()
    frame = recognized(HOSTILE, classes=(("cat", 0.97),))
    sink = EventRunner(
        (
            post(f"http://{server.host}/hook?a=1#part", class_="cat"),
            post(f"http://{server.host}", caption=True),
            post(f"http://{server.host}", word="rm"),
        ),
        0.5,
    )
    sink.write(frame)
    sink.close()
    server.close()
    assert [(path, body["event"]) for path, _, body in server.posts] == [
        ("/hook?a=1", {"class": "cat"}),
        ("/", {"caption": True}),
        ("/", {"word": "rm"}),
    ]
    for _, headers, body in server.posts:
        assert body | {"event": None} == frame.recognition.to_json() | {"event": None}
        assert headers["Content-Type"] == "application/json" and headers["Authorization"] is None


def test_a_name_chooses_no_option_of_the_program():
    event = Event(caption=True, run=("notify-send", "{class}", "--hint={class}", "-{class}"))
    assert arguments(event, recognition("a cat", classes=(("--icon=/x", 0.9),)))[1:] == [
        " --icon=/x",
        "--hint=--icon=/x",
        "---icon=/x",
    ]
