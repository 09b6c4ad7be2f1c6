"""The log: which lines are written, how often, and what they hide."""

import io
import logging
import sys
import threading

import pytest

from picaption.device import log
from picaption.device.log import one_line, printable

logger = logging.getLogger("picaption")


@pytest.fixture
def lines(monkeypatch):
    """Configures the log; reads what it wrote since."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.setattr(log, "_secrets", set())
    stream = io.StringIO()

    def lines(level=None, **options):
        if level:
            log.configure(level, stream, **options)
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return text.splitlines()

    return lines


def test_levels(lines):
    lines("warning")
    logger.info("not shown")
    logger.warning("the camera is %s", "gone")
    assert lines() == ["picaption: the camera is gone"]
    lines("debug")
    logger.debug("shown\nin one line")
    assert lines() == ["picaption: shown in one line"]


def test_the_pages_server_writes_there_too_a_line_for_an_exception(lines):
    lines("debug")
    for name in ("asyncio", "uvicorn.error"):
        for _ in range(1000):
            logging.getLogger(name).error("it failed", exc_info=ValueError("why\nso"))
    logging.getLogger("asyncio").info("not shown")
    assert lines() == ["picaption: it failed ValueError: why so"]


def test_configured_twice_it_says_things_once(lines):
    lines("info"), lines("info")
    logger.info("once")
    assert lines() == ["picaption: once"]


def test_progress_is_written_as_it_stands_but_obeyed_by_no_terminal(capsys, lines):
    lines("warning")
    log.configure_progress()
    for _ in range(2):
        logger.info("left out \x1b]0;title\x07.jpg")
    assert capsys.readouterr().err == "left out \\x1b]0;title\\x07.jpg\n" * 2
    assert lines() == []
    log.configure("warning")
    logger.info("not shown")
    logger.warning("\x9b2J")
    assert capsys.readouterr().err == "picaption: \\x9b2J\n"


def test_the_journal_gets_priorities(lines, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "8:12345")
    lines("debug")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(level, "said")
    assert lines() == [f"<{priority}>picaption: said" for priority in (7, 6, 4, 3)]


def test_a_line_is_not_repeated_for_a_minute(lines):
    now = [100.0]
    lines("warning", clock=lambda: now[0])
    for _ in range(5):
        logger.warning("%s is full", "the disk")
    logger.warning("%s is full", "the other disk")
    assert lines() == ["picaption: the disk is full", "picaption: the other disk is full"]
    now[0] = 161.0
    logger.warning("the disk is full")
    assert lines() == ["picaption: the disk is full (4 like it not shown)"]
    now[0] = 222.0
    logger.warning("the disk is full")
    assert lines() == ["picaption: the disk is full"]


def record(message):
    return logging.LogRecord("picaption", logging.INFO, "", 0, message, (), None)


def test_what_is_remembered_is_bounded():
    rate_limit = log.RateLimitFilter(max_remembered=100)
    for number in range(300):
        assert rate_limit.filter(record(f"line {number}"))
    assert not any(rate_limit.filter(record(f"line {number}")) for number in range(200, 300))
    assert rate_limit.filter(record("line 199"))  # It was forgotten.


def test_no_secret_is_told(lines):
    lines("debug")
    log.hide("s3cret")
    log.hide("")
    logger.error("cannot reach rtsp://anna:pa55word@camera.lan/s3cret as %r", "s3cret")
    try:
        raise ValueError("token s3cret for http://anna:pa55word@x/")
    except ValueError:
        logger.exception("it failed with s3cret")
    text = "\n".join(lines())
    assert "s3cret" not in text and "pa55word" not in text
    assert (
        "rtsp://***@camera.lan/*** as '***'" in text
        and "ValueError: token *** for http://***@x/" in text
    )


@pytest.mark.parametrize(
    "secrets, message, expected",
    [
        (["pass  word"], "pass  word", "***"),
        (["ta\tb"], "ta\tb", "***"),
        (["it's\\me"], repr("it's\\me"), '"***"'),
        (["p@ss w"], "http://x/?token=p%40ss%20w", "http://x/?token=***"),
        (["abc", "abcdef"], "abcdef abc", "*** ***"),
        ([" "], "a b", "a b"),
        ([], "rtsp://anna:p@ss@x/y", "rtsp://***@x/y"),
        ([], "rtsp://anna:pa/ss@x/y", "rtsp://***@x/y"),
        ([], "rtsp://token@x/y", "rtsp://***@x/y"),
        ([], "http://x/y?mail=a@b", "http://x/y?mail=a@b"),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(lines, secrets, message, expected):
    lines("debug")
    for secret in secrets:
        log.hide(secret)
    logger.error("%s", message)
    assert lines() == [f"picaption: {expected}"]


def test_arguments_that_do_not_fit_end_nothing(lines):
    class Broken:
        def __str__(self):
            raise ValueError("no text")

    lines("debug")
    logger.error("%d bytes", "many")
    logger.error("this is %s", Broken())
    assert lines() == ["picaption: %d bytes", "picaption: this is %s"]


def test_threads_may_log_at_once(lines):
    interval = sys.getswitchinterval()
    rate_limit = log.RateLimitFilter(max_remembered=20)
    failures = []

    def talk(name):
        try:
            for number in range(5000):
                rate_limit.filter(record(f"{name} {number}"))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a cat", "a cat"),
        ("naïve 猫 👩‍🚀", "naïve 猫 👩‍🚀"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("one\r\ntwo\x85\u2028three", "one\\r\\ntwo\\x85\\u2028three"),
        ("\x9b2J", "\\x9b2J"),
        ("gpj.\u202etac", "gpj.\\u202etac"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_are_shown_not_obeyed(text, shown):
    assert printable(text) == shown


def test_a_line_has_no_control_characters():
    assert (
        one_line("no picture at \x1b]0;owned\x07.jpg\n") == "no picture at \\x1b]0;owned\\x07.jpg"
    )


@pytest.mark.parametrize("err", [False, True])
def test_a_line_is_one_whatever_stands_in_it(capsys, err):
    log.say("a\nb: 3 pictures", "\x1b[2J\u202ered", err=err)
    printed = capsys.readouterr()
    assert (printed.err if err else printed.out) == "a\\nb: 3 pictures\n\\x1b[2J\\u202ered\n"
    assert not (printed.out if err else printed.err)
