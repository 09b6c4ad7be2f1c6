"""The annotated video."""

import os
import resource
import signal

import cv2
import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.outputs.overlay import annotate
from picaption.device.outputs.video import Video, fit
from tests.device.fakes.standins import FRAME, recognition, recognized


def read_video(path):
    """Return a video's frames as uint8 RGB."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while True:
        arrived, frame = capture.read()
        if not arrived:
            return frames
        frames.append(frame[..., ::-1])


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


def test_a_live_video_lasts_as_long_as_what_it_shows(tmp_path):
    clock = iter([100.0, 100.05, 100.1, 100.5, 101.0])
    sink = Video(tmp_path / "said.mp4", clock=lambda: next(clock))
    for _ in range(5):
        sink.write(recognized())
    sink.close()
    # Ten frames a second: number 0 at 0 s, none at 0.05 s, 1 at 0.1 s, up to 5 at 0.5 s, and up
    # to 10 at 1 s.
    assert len(read_video(tmp_path / "said.mp4")) == 11


def test_frames_of_another_size_are_fitted_into_the_first(tmp_path):
    sink = Video(tmp_path / "said.avi", rate=5)
    for shape in ((241, 481), (480, 480), (30, 20), (1080, 1920)):
        sink.write(recognized(image=np.full((*shape, 3), 90, np.uint8)))
    sink.close()
    assert [frame.shape for frame in read_video(tmp_path / "said.avi")] == [(240, 480, 3)] * 4


def test_fit_centres_on_black():
    image = np.full((2, 4, 3), 50, np.uint8)
    assert fit(image, 4, 2) is image
    fitted = fit(image, 8, 8)[..., 0]
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


def test_a_video_that_is_not_complete_does_not_get_its_name(tmp_path):
    sink = Video(tmp_path / "said.mp4", rate=10)
    sink.write(recognized())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:  # A limit on the file's size cuts the video short as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        with pytest.raises(PicaptionError, match="could not be finished"):
            sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert os.listdir(tmp_path) == []


def test_a_video_ends_once_it_is_as_large_as_it_may_be(tmp_path, caplog):
    random = np.random.default_rng(0)
    sink = Video(tmp_path / "said.avi", rate=10, max_bytes=200_000)
    for _ in range(30):
        sink.write(recognized(image=random.integers(0, 255, FRAME.shape, np.uint8)))
    sink.close()
    assert 200_000 <= (tmp_path / "said.avi").stat().st_size < 500_000
    assert 1 <= len(read_video(tmp_path / "said.avi")) < 30 and os.listdir(tmp_path) == ["said.avi"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/said.avi ends here: it is as large as it may be"
    ]


def test_a_video_ends_before_the_disk_is_full(tmp_path, caplog):
    sink = Video(tmp_path / "said.mp4", rate=10, min_free_bytes=1 << 60)
    for _ in range(3):
        sink.write(recognized())
    sink.close()
    assert len(read_video(tmp_path / "said.mp4")) == 1 and "the disk is nearly full" in caplog.text
