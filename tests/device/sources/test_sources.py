"""The demo, pictures and video files, and how they are turned."""

import cv2
import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.images import list_images, read_image, write_image
from picaption.device.sources import sources
from picaption.device.sources.sources import DEMO_PICTURES, Demo, RotatedSource, open_source
from tests.device.fakes.standins import Counter


def write_video(path, codec, frames, rate=12):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, (width, height)
    )
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


# --- demo


def test_demo_photographs_are_small_and_named_with_their_licence():
    table = (DEMO_PICTURES / "SOURCES.md").read_text()
    paths = list_images(DEMO_PICTURES)
    assert len(paths) >= 4
    for path in paths:
        row = next(line for line in table.splitlines() if f"`{path.name}`" in line)
        assert row.rstrip(" |").endswith(("CC0", "public domain"))
        assert path.stat().st_size < 80_000
        assert read_image(path).std() > 20


def test_a_demo_frame_depends_on_its_number_alone():
    one, other = Demo((320, 240)), Demo((320, 240))
    for number in (0, 7, 99, 100, 12345):
        np.testing.assert_array_equal(one.frame(number), other.frame(number))
    np.testing.assert_array_equal(one.read(), other.frame(0))
    np.testing.assert_array_equal(one.read(), other.frame(1))


def test_the_demo_moves_smoothly_and_shows_every_photograph():
    demo = Demo((160, 120))
    length = demo.SECONDS * demo.rate
    frames = [cv2.blur(demo.frame(number), (9, 9)).astype(int) for number in range(length)]
    steps = [np.abs(after - before).mean() for before, after in zip(frames, frames[1:])]
    assert np.abs(frames[-1] - frames[0]).mean() > 25 and 0 < min(steps) and max(steps) < 4
    shots = {demo.frame(number * length).tobytes() for number in range(12)}
    assert (
        len(shots) == len(list_images(DEMO_PICTURES)) * 2
    )  # forwards, then, their number being odd, backwards


def test_the_demo_starts_with_the_whole_width_of_a_square_photograph():
    first = read_image(list_images(DEMO_PICTURES)[0])
    assert first.shape == (512, 512, 3)
    np.testing.assert_array_equal(Demo((512, 384)).frame(0), first[:384])


def test_the_demo_writes_over_the_frame_it_is_given():
    demo, spare = Demo((320, 240)), np.zeros((240, 320, 3), np.uint8)
    assert demo.read(spare) is spare
    np.testing.assert_array_equal(spare, demo.frame(0))
    assert demo.read(np.zeros((2, 2, 3), np.uint8)).shape == (240, 320, 3)


def test_the_demo_keeps_its_pace():
    demo = Demo((64, 48))
    start = sources.time.monotonic()
    for _ in range(10):
        demo.read()
    assert 9 / demo.rate <= sources.time.monotonic() - start < 3


# --- folder of pictures


def test_a_folder_gives_each_picture_once_in_order(tmp_path):
    for name, level in (("b.png", 20), ("a.png", 10), ("c.png", 30)):
        write_image(tmp_path / name, np.full((4, 6, 3), level, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    source = open_source(tmp_path)
    assert not source.live
    assert [source.read()[0, 0, 0] for _ in range(3)] == [10, 20, 30]
    assert source.read() is None and source.read() is None


def test_a_pattern_of_names_gives_the_pictures_that_fit(tmp_path):
    for name, level in (("b1.png", 20), ("a1.png", 10), ("a2.png", 30), ("a1.txt", 0)):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no picture")
        else:
            write_image(tmp_path / name, np.full((4, 6, 3), level, np.uint8))
    source = open_source(f"{tmp_path}/?1.*")
    assert [source.read()[0, 0, 0] for _ in range(2)] == [10, 20] and source.read() is None
    with pytest.raises(PicaptionError, match=r"there is no source .*/c\*.png"):
        open_source(f"{tmp_path}/c*.png")


def test_a_broken_picture_is_told_of_and_left_out(tmp_path, caplog):
    write_image(tmp_path / "a.png", np.full((4, 6, 3), 10, np.uint8))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    write_image(tmp_path / "c.png", np.full((4, 6, 3), 30, np.uint8))
    source = open_source(tmp_path)
    assert [source.read()[0, 0, 0] for _ in range(2)] == [10, 30] and source.read() is None
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/b.png is cut short or damaged; copy it again"
    ]


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(PicaptionError, match="holds no pictures"):
        open_source(tmp_path)


# --- video file


@pytest.mark.parametrize(
    "name, codec", [("red.mp4", "mp4v"), ("red.avi", "MJPG"), ("red.webm", "VP80")]
)
def test_a_video_gives_every_frame_in_rgb(tmp_path, name, codec):
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
        tmp_path / "whole.mp4",
        "mp4v",
        [np.full((48, 64, 3), level, np.uint8) for level in range(0, 250, 5)],
    )
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(PicaptionError, match="cut.mp4 is not a video, or it is cut short"):
        open_source(tmp_path / "cut.mp4")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("spec", ["nothing", "/nowhere/film.mp4", "usb:one"])
def test_an_unknown_source(spec):
    with pytest.raises(PicaptionError, match=f"there is no source {spec}"):
        open_source(spec)


# --- turned


@pytest.mark.parametrize(
    "rotate, hflip, vflip, expected",
    [
        (0, True, False, [[2, 1], [4, 3]]),
        (0, False, True, [[3, 4], [1, 2]]),
        (0, True, True, [[4, 3], [2, 1]]),
        (90, False, False, [[3, 1], [4, 2]]),
        (180, False, False, [[4, 3], [2, 1]]),
        (270, False, False, [[2, 4], [1, 3]]),
        (90, True, False, [[4, 2], [3, 1]]),
    ],
)
def test_frames_turned_by_hand(rotate, hflip, vflip, expected):
    class Four(Counter):
        def read(self, into=None):
            frame = super().read(into)
            if frame is not None:
                frame[..., 0] = [[1, 2], [3, 4]]
            return frame

    source = RotatedSource(Four(2, shape=(2, 2)), rotate, hflip, vflip)
    first = source.read()
    assert first[..., 0].tolist() == expected
    assert source.read(first) is first and first[..., 0].tolist() == expected
    assert source.read() is None
    source.close()


def test_a_frame_on_its_side_is_higher_than_wide():
    source = RotatedSource(Demo((64, 48)), rotate=270)
    np.testing.assert_array_equal(source.read(), np.rot90(Demo((64, 48)).frame(0)))
    assert source.live and source.rate == 25 and source.metadata is None
