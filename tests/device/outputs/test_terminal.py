"""The line on the terminal."""

import io

from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.outputs.terminal import Terminal, summary_line
from tests.device.fakes.standins import FRAME, recognition, recognized, silent


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_without_a_terminal_a_line_is_printed_when_something_changes():
    stream = io.StringIO()
    sink = Terminal(stream)
    for frame in (
        recognized(),
        recognized(classes=(("cat", 0.91),)),
        recognized("a dog"),
        recognized("a dog", classes=(("dog", 0.9),)),
    ):
        sink.write(frame)
    sink.close()
    lines = stream.getvalue().splitlines()
    assert [line.split(" | ")[:2] for line in lines] == [
        ["a cat with green eyes", "cat 0.97"],
        ["a dog", "cat 0.97"],
        ["a dog", "dog 0.90"],
    ]
    assert lines[0].endswith("| 12 ms") and "fps" in lines[1]


def test_on_a_terminal_one_line_is_rewritten_in_place(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Screen()
    sink = Terminal(stream)
    for text in ("a cat with green eyes", "a dog " * 30, "a dog"):
        sink.write(recognized(text))
    sink.close()
    assert stream.getvalue().count("\n") == 1 and stream.getvalue().endswith("\n")
    rewrites = stream.getvalue().rstrip("\n").split("\r")[1:]
    assert len(rewrites) == 3
    for line in rewrites:
        assert line.endswith("\x1b[K") and len(line.removesuffix("\x1b[K")) < 60
    assert "..." in rewrites[1] and "cat 0.97" in rewrites[1]


def test_where_there_is_nothing_to_see_the_line_says_so():
    stream = io.StringIO()
    sink = Terminal(stream)
    for result in (recognition(), silent(), silent(), recognition()):
        sink.write(RecognizedFrame(FRAME, result))
    texts = [line.split(" | ")[0] for line in stream.getvalue().splitlines()]
    assert texts == ["a cat with green eyes", "too dark to tell", "a cat with green eyes"]
    assert summary_line(silent()) == "too dark to tell | 12 ms"


def test_a_terminal_that_showed_nothing_stays_as_it_is():
    stream = Screen()
    Terminal(stream).close()
    assert stream.getvalue() == ""


def test_the_line_leaves_out_what_a_bundle_does_not_have():
    assert summary_line(recognition(None)) == "cat 0.97 | 12 ms"
    assert summary_line(recognition(None, unsure=True)) == "cat? 0.97 | 12 ms"
    assert summary_line(recognition(classes=()), 0.1) == "a cat with green eyes | 10.0 fps | 12 ms"
    doubted = recognition("a cat", confidence=0.5, doubted=True)
    assert summary_line(doubted) == "perhaps a cat | cat 0.97 | 12 ms"
    for width in range(60):
        assert len(summary_line(recognition(), 0.05, width)) <= width
