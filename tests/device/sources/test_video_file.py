"""Video files, and what only looks like one."""

import cv2
import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.sources.sources import open_source


def write_video(path, codec, frames, rate=12):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, (width, height)
    )
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


@pytest.mark.parametrize(
    "name, codec", [("red.mp4", "mp4v"), ("red.avi", "MJPG"), ("red.webm", "VP80")]
)
def test_a_video_has_every_frame_in_rgb(tmp_path, name, codec):
    levels = [40, 90, 140, 190, 240]
    write_video(
        tmp_path / name,
        codec,
        [np.full((48, 64, 3), (level, 20, 30), np.uint8) for level in levels],
    )
    source = open_source(str(tmp_path / name))
    assert not source.live and source.rate == pytest.approx(12)
    frames = [source.read() for _ in levels]
    assert source.read() is None
    for frame, level in zip(frames, levels):
        assert frame.shape == (48, 64, 3)
        np.testing.assert_allclose(frame.reshape(-1, 3).mean(axis=0), (level, 20, 30), atol=9)
    source.close()


@pytest.mark.parametrize("data", [b"", b"text, no video\n" * 50])
def test_what_is_no_video(tmp_path, capfd, data):
    (tmp_path / "film.mp4").write_bytes(data)
    with pytest.raises(PicaptionError, match="film.mp4 is not a video"):
        open_source(tmp_path / "film.mp4")
    assert capfd.readouterr().err == ""


def test_a_video_cut_short(tmp_path, capfd):
    write_video(
        tmp_path / "complete.mp4",
        "mp4v",
        [np.full((48, 64, 3), level, np.uint8) for level in range(0, 250, 5)],
    )
    data = (tmp_path / "complete.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(PicaptionError, match="cut.mp4 is not a video, or it is cut short"):
        open_source(tmp_path / "cut.mp4")
    assert capfd.readouterr().err == ""
