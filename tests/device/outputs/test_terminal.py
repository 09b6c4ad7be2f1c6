"""Terminal, JSON lines and video."""

import io
import json
import os
import resource
import signal
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.outputs import video
from picaption.device.outputs.jsonl import JsonLines
from picaption.device.outputs.overlay import annotate
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.outputs.terminal import Terminal, summary_line
from picaption.device.outputs.video import Video, fit
from picaption.device.outputs.window import Window
from tests.device.fakes.standins import FRAME, recognition, recognized


class Screen(io.StringIO):
    def isatty(self):
        return True


def read_video(path):
    """Return a video's frames as uint8 RGB."""
    capture, frames = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    while True:
        arrived, frame = capture.read()
        if not arrived:
            return frames
        frames.append(frame[..., ::-1])


# --- terminal


def test_without_a_terminal_a_line_is_printed_when_something_changes():
    stream = io.StringIO()
    sink = Terminal(stream)
    for result in (
        recognition(),
        recognition(classes=(("cat", 0.91),)),
        recognition("a dog"),
        recognition("a dog", classes=(("dog", 0.9),)),
    ):
        sink.write(RecognizedFrame(FRAME, result))
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


def test_a_terminal_that_saw_nothing_stays_as_it_is():
    stream = Screen()
    Terminal(stream).close()
    assert stream.getvalue() == ""


def test_the_line_leaves_out_what_a_bundle_does_not_have():
    assert summary_line(recognition(None)) == "cat 0.97 | 12 ms"
    assert summary_line(recognition(None, unsure=True)) == "cat? 0.97 | 12 ms"
    assert summary_line(recognition(classes=()), 0.1) == "a cat with green eyes | 10.0 fps | 12 ms"
    for width in range(60):
        assert len(summary_line(recognition(), 0.05, width)) <= width


# --- JSON lines


def test_each_json_line_is_written_at_once_behind_those_of_an_earlier_run(tmp_path):
    path = tmp_path / "said.jsonl"
    path.write_text('"of an earlier run"\n')
    sink = JsonLines(path)
    results = [recognition(frame=number) for number in range(3)]
    for number, result in enumerate(results):
        sink.write(RecognizedFrame(FRAME, result))
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines == [
            "of an earlier run",
            *(result.to_json() for result in results[: number + 1]),
        ]
    sink.close()


def test_a_file_that_grows_too_large_begins_anew_and_the_last_ones_are_kept(tmp_path):
    line = len(json.dumps(recognition(frame=10).to_json())) + 1
    sink = JsonLines(tmp_path / "said.jsonl", most=2 * line, kept=2)
    for number in range(10, 19):
        sink.write(recognized(frame=number))
    sink.close()
    kept = {
        path.name: [json.loads(line)["frame"] for line in path.read_text().splitlines()]
        for path in tmp_path.iterdir()
    }
    assert kept == {"said.jsonl": [18], "said.jsonl.1": [16, 17], "said.jsonl.2": [14, 15]}
    again = JsonLines(tmp_path / "said.jsonl", most=2 * line, kept=2)
    again.write(recognized(frame=19))
    again.write(recognized(frame=20))
    again.close()
    assert [
        json.loads(line)["frame"] for line in (tmp_path / "said.jsonl").read_text().splitlines()
    ] == [20]


@pytest.mark.parametrize(
    "left, kept",
    [
        (b'{"frame": 0}\n' + bytes(100_000), b'{"frame": 0}\n'),
        (b'{"frame": 0}\n{"fra' + bytes(9), b'{"frame": 0}\n{"fra\n'),
        (bytes(65536), b""),
        (b'{"frame": 0}\n', b'{"frame": 0}\n'),
        (b"", b""),
    ],
)
def test_what_a_power_cut_has_left_of_a_line_does_not_spoil_the_next(tmp_path, left, kept):
    (tmp_path / "said.jsonl").write_bytes(left)
    sink = JsonLines(tmp_path / "said.jsonl")
    sink.write(recognized())
    sink.close()
    data = (tmp_path / "said.jsonl").read_bytes()
    assert data.startswith(kept)
    assert json.loads(data[len(kept) :])["caption"]["text"] == "a cat with green eyes"


def test_a_full_disk_leaves_lines_out_but_none_half_written(tmp_path, caplog):
    path = tmp_path / "said.jsonl"
    sink = JsonLines(path)
    sink.write(recognized(frame=10))
    line, soft = path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:  # A limit on the file's size cuts a write short as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * line + 10, soft[1]))
        for number in range(11, 15):
            sink.write(recognized(frame=number))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
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
    sink = JsonLines("-")
    sink.write(recognized())
    sink.close()
    print("still open")
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first) == recognition().to_json() and second == "still open"


def test_json_lines_into_a_folder_that_is_not_there(tmp_path):
    for path in (tmp_path / "absent" / "said.jsonl", tmp_path):
        with pytest.raises(PicaptionError, match="cannot be written"):
            JsonLines(path)


# --- video


@pytest.mark.parametrize("name", ["said.mp4", "said.avi", "said.webm", "SAID.MP4"])
def test_a_video_holds_the_annotated_frames(tmp_path, capfd, name):
    sink = Video(tmp_path / name, rate=12)
    for _ in range(4):
        sink.write(recognized())
        assert not (tmp_path / name).exists()
    sink.close()
    assert os.listdir(tmp_path) == [name]
    assert cv2.VideoCapture(str(tmp_path / name)).get(cv2.CAP_PROP_FPS) == pytest.approx(12)
    frames = read_video(tmp_path / name)
    assert len(frames) == 4 and frames[0].shape == FRAME.shape
    expected = annotate(FRAME, recognition())
    assert np.abs(frames[3].astype(int) - expected).mean() < 12
    np.testing.assert_allclose(frames[3][:80].reshape(-1, 3).mean(axis=0), (200, 10, 20), atol=9)
    assert capfd.readouterr().err == ""


def test_a_live_video_lasts_as_long_as_what_it_shows(tmp_path, monkeypatch):
    clock = iter([100.0, 100.05, 100.1, 100.5, 101.0])
    monkeypatch.setattr(video, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    sink = Video(tmp_path / "said.mp4")
    for _ in range(5):
        sink.write(recognized())
    sink.close()
    # Ten frames a second: number 0 at 0 s, none at 0.05 s, 1 at 0.1 s, up to 5 at 0.5 s, up to 10 at 1 s.
    assert len(read_video(tmp_path / "said.mp4")) == 11


def test_frames_of_another_size_are_fitted_into_the_first(tmp_path):
    sink = Video(tmp_path / "said.avi", rate=5)
    for shape in ((241, 481), (480, 480), (30, 20), (1080, 1920)):
        sink.write(recognized(image=np.full((*shape, 3), 90, np.uint8)))
    sink.close()
    assert [frame.shape for frame in read_video(tmp_path / "said.avi")] == [(240, 480, 3)] * 4


def test_fit_centres_on_black():
    picture = np.full((2, 4, 3), 50, np.uint8)
    assert fit(picture, 4, 2) is picture
    fitted = fit(picture, 8, 8)[..., 0]
    np.testing.assert_array_equal(fitted[2:6], np.full((4, 8), 50))
    assert not fitted[:2].any() and not fitted[6:].any()


def test_a_video_without_a_frame_leaves_no_file(tmp_path):
    Video(tmp_path / "said.mp4").close()
    assert os.listdir(tmp_path) == []


def test_a_video_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    for path, message in (
        (tmp_path / "said.mov", "use .mp4, .avi, .webm"),
        (tmp_path / "said", "use .mp4"),
        (tmp_path / "absent" / "said.mp4", "check the folder"),
        (tmp_path / "folder.mp4", "check the folder"),
    ):
        with pytest.raises(PicaptionError, match=message):
            Video(path)


def test_a_video_that_is_not_whole_does_not_get_its_name(tmp_path):
    sink = Video(tmp_path / "said.mp4", rate=10)
    sink.write(recognized())
    release = sink._writer

    class Full:  # a writer on a full disk: what it wrote is no video
        def release(self):
            release.release()
            sink._partial.write_bytes(b"half")

    sink._writer = Full()
    with pytest.raises(PicaptionError, match="could not be finished"):
        sink.close()
    assert os.listdir(tmp_path) == []


def test_a_video_ends_once_it_is_as_large_as_it_may_be(tmp_path, caplog):
    random = np.random.default_rng(0)
    sink = Video(tmp_path / "said.avi", rate=10, most=200_000)
    for _ in range(30):
        sink.write(recognized(image=random.integers(0, 255, FRAME.shape, np.uint8)))
    sink.close()
    assert 200_000 <= (tmp_path / "said.avi").stat().st_size < 500_000
    assert 1 <= len(read_video(tmp_path / "said.avi")) < 30 and os.listdir(tmp_path) == ["said.avi"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/said.avi ends here: it is as large as it may be"
    ]


def test_a_video_ends_before_the_disk_is_full(tmp_path, monkeypatch, caplog):
    sink = Video(tmp_path / "said.mp4", rate=10)
    for _ in range(3):
        sink.write(recognized())
    monkeypatch.setattr(video, "ROOM", 1 << 60)
    for _ in range(3):
        sink.write(recognized())
    sink.close()
    assert len(read_video(tmp_path / "said.mp4")) == 4 and "the disk is nearly full" in caplog.text


# --- window


def test_a_window_needs_a_screen_and_an_opencv_that_has_windows(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(
        PicaptionError, match="there is no screen for a window; leave --window out, or use --web"
    ):
        Window()
    monkeypatch.setenv("DISPLAY", ":97")

    def without_windows(*_):
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", without_windows)
    with pytest.raises(
        PicaptionError, match="this OpenCV has no windows: .* pip install opencv-python"
    ):
        Window()
