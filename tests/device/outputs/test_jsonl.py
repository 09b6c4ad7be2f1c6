"""JSON lines: every one complete, whatever happens to disk and power."""

import json
import os
import resource
import signal

import pytest

from picaption.device.bundle.metadata import Metadata
from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.outputs.jsonl import JsonLines, OnChange, StandardOutput, open_output
from picaption.device.outputs.sink import OutputContext, RecognizedFrame
from tests.device.fakes.standins import FRAME, Collector, recognition, recognized


def test_each_json_line_is_written_at_once_behind_those_of_an_earlier_run(tmp_path):
    path = tmp_path / "said.jsonl"
    path.write_text('"of an earlier run"\n')
    sink = JsonLines(path)
    frames = [recognized(frame=number) for number in range(3)]
    for count, frame in enumerate(frames, 1):
        sink.write(frame)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines == [
            "of an earlier run",
            *(frame.recognition.to_json() for frame in frames[:count]),
        ]
    sink.close()


def test_a_file_that_grows_too_large_is_followed_by_another_and_the_last_ones_remain(tmp_path):
    line = len(json.dumps(recognition(frame=10).to_json())) + 1
    sink = JsonLines(tmp_path / "said.jsonl", max_bytes=2 * line, max_old_files=2)
    for number in range(10, 19):
        sink.write(recognized(frame=number))
    sink.close()
    frames = {
        path.name: [json.loads(line)["frame"] for line in path.read_text().splitlines()]
        for path in tmp_path.iterdir()
    }
    assert frames == {"said.jsonl": [18], "said.jsonl.1": [16, 17], "said.jsonl.2": [14, 15]}
    again = JsonLines(tmp_path / "said.jsonl", max_bytes=2 * line, max_old_files=2)
    again.write(recognized(frame=19))
    again.write(recognized(frame=20))
    again.close()
    assert [
        json.loads(line)["frame"] for line in (tmp_path / "said.jsonl").read_text().splitlines()
    ] == [20]


@pytest.mark.parametrize(
    "before, repaired",
    [
        (b'{"frame": 0}\n' + bytes(100_000), b'{"frame": 0}\n'),
        (b'{"frame": 0}\n{"fra' + bytes(9), b'{"frame": 0}\n{"fra\n'),
        (bytes(65536), b""),
        (b'{"frame": 0}\n', b'{"frame": 0}\n'),
        (b"", b""),
    ],
)
def test_what_a_power_cut_has_left_of_a_line_does_not_spoil_the_next(tmp_path, before, repaired):
    (tmp_path / "said.jsonl").write_bytes(before)
    sink = JsonLines(tmp_path / "said.jsonl")
    sink.write(recognized())
    sink.close()
    data = (tmp_path / "said.jsonl").read_bytes()
    assert data.startswith(repaired)
    assert json.loads(data[len(repaired) :])["caption"]["text"] == "a cat with green eyes"


def test_a_device_is_written_to_and_never_renamed(tmp_path):
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    sink = JsonLines(null, max_bytes=100)
    for number in range(9):
        sink.write(recognized(frame=number))
    sink.close()
    assert os.listdir(tmp_path) == ["null"] and null.is_char_device()


def test_a_full_disk_leaves_lines_out_but_none_half_written(tmp_path, caplog):
    path = tmp_path / "said.jsonl"
    sink = JsonLines(path)
    sink.write(recognized(frame=10))
    line = path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:  # A limit on the file's size cuts a write short as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * line + 10, limits[1]))
        for number in range(11, 15):
            sink.write(recognized(frame=number))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    sink.write(recognized(frame=15))
    sink.close()
    assert [json.loads(line)["frame"] for line in path.read_text().splitlines()] == [10, 11, 15]
    assert (
        f"{path}: No space left on device; lines are left out until it can be written"
        in caplog.text
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_disk_that_was_full_from_the_start(caplog):
    sink = JsonLines("/dev/full")
    sink.write(recognized())
    sink.close()
    assert "/dev/full: No space left on device" in caplog.text


def test_json_lines_to_standard_output_leave_it_open(capsys):
    sink = StandardOutput()
    sink.write(recognized())
    sink.close()
    print("still open")
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first) == recognition().to_json() and second == "still open"


def test_json_lines_into_a_folder_that_is_not_there(tmp_path):
    for path in (tmp_path / "absent" / "said.jsonl", tmp_path):
        with pytest.raises(PicaptionError, match="cannot be written"):
            JsonLines(path)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0", b"two words\n", b"\0\0\xff\xd8"])
def test_a_file_of_another_kind_is_not_added_to(tmp_path, data):
    (tmp_path / "cat.png").write_bytes(data)
    with pytest.raises(PicaptionError, match="something else than JSON lines"):
        JsonLines(tmp_path / "cat.png")
    assert (tmp_path / "cat.png").read_bytes() == data


def test_of_a_file_time_is_its_own():
    sink = Collector()
    output = OnChange(sink, 10, lambda: 0.0)
    for seconds in (0.0, 5.0, 9.9, 10.0, 19.9, 20.0):
        output.write(RecognizedFrame(FRAME, recognition(frame=int(seconds)), seconds))
    assert [said.frame for _, said in sink.got] == [0, 10, 20]


def test_a_line_tells_when_a_class_becomes_certain_that_is_not_among_the_three_best():
    sink = Collector()
    output = OnChange(sink, 10, lambda: 0.0)
    for names in (("cat",), ("cat",), ("cat", "fourth"), ("cat",)):
        output.write(recognized(certain_names=names))
    assert [said.certain_names for _, said in sink.got] == [("cat",), ("cat", "fourth"), ("cat",)]


def test_by_default_there_are_lines_on_change_and_the_files_are_bounded(tmp_path):
    config = Config(json=str(tmp_path / "said.jsonl"))
    assert (config.json_every, config.json_megabytes, config.json_files) == (10, 100, 3)
    output = open_output(config, OutputContext(None, Metadata("kitchen")))
    for _ in range(5):
        output.write(recognized())
    output.close()
    assert (tmp_path / "said.jsonl").read_text().count("\n") == 1


def test_lines_on_change_and_now_and_then():
    sink = Collector()
    clock = iter([0.0, 1.0, 2.0, 9.0, 12.0, 13.0])
    output = OnChange(sink, 10, lambda: next(clock))
    for text, scene in (("a", 1), ("a", 1), ("b", 1), ("b", 1), ("b", 1), ("b", 2)):
        output.write(recognized(text, scene=scene))
    assert [(said.text, said.scene) for _, said in sink.got] == [
        ("a", 1),
        ("b", 1),
        ("b", 1),
        ("b", 2),
    ]
    output.close()
    assert sink.closed == 1
