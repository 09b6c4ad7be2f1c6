"""Names that OpenCV and FFmpeg would not open: not UTF-8, or with a colon."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.images import read_image, write_image
from picaption.device.opencv_path import is_utf8, opencv_path
from picaption.device.outputs.overlay import annotate
from picaption.device.outputs.video import Video
from picaption.device.sources.sources import open_source
from picaption.device.sources.video_file import VideoFile
from tests.device.fakes.standins import recognition, recognized

LATIN_1 = os.fsdecode(b"caf\xe9")
GREY_IMAGE = np.full((48, 64, 3), 90, np.uint8)


def test_a_path_of_utf8_is_made_absolute_and_stays_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opencv_path("a/../10:30 é.mp4") as name:
        assert name == f"{tmp_path}/a/../10:30 é.mp4"


def test_a_whole_path_needs_no_current_folder(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with opencv_path(tmp_path / "a.jpg") as name:
        assert name == str(tmp_path / "a.jpg")
    with pytest.raises(OSError), opencv_path("a.jpg"):
        pass


def test_other_paths_are_opened_through_a_link_that_goes_again(tmp_path):
    path = tmp_path / f"{LATIN_1}.png"
    assert not is_utf8(path)
    with opencv_path(path) as name:
        assert is_utf8(name) and name.endswith(".png")
        Path(name).write_text("through")
    assert path.read_text() == "through" and not os.path.lexists(name)


def test_a_temporary_folder_that_is_not_utf8_is_an_error(tmp_path, monkeypatch):
    folder = tmp_path / LATIN_1
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with pytest.raises(OSError, match="TMPDIR"), opencv_path(folder / "a.png"):
        pass


@pytest.mark.parametrize("name", [f"{LATIN_1}.png", "a:b.png", "file:x.png", "%03d.png"])
def test_pictures_of_such_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_image(name, GREY_IMAGE)
    np.testing.assert_array_equal(read_image(name), GREY_IMAGE)
    source = open_source(".")
    np.testing.assert_array_equal(source.read(), GREY_IMAGE)
    assert source.read() is None


@pytest.mark.parametrize("name", [f"{LATIN_1}.mp4", "10:30:00.mp4", "10:30.webm", "cam:1/b.avi"])
def test_videos_of_such_names_are_written_and_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    sink = Video(name, rate=5)
    for _ in range(3):
        sink.write(recognized(image=GREY_IMAGE))
    assert Path(name).with_name(f".partial.{Path(name).name}").exists()
    sink.close()
    assert [path.name for path in Path(name).parent.iterdir()] == [Path(name).name]
    video = VideoFile(name)
    frames = [video.read() for _ in range(4)]
    assert frames[3] is None and all(frame is not None for frame in frames[:3])
    video.close()


def test_texts_that_are_not_unicode_are_drawn_and_no_ending_of_a_picture():
    drawn = annotate(GREY_IMAGE, recognition("caf\udce9"))
    np.testing.assert_array_equal(drawn, annotate(GREY_IMAGE, recognition("caf?")))
    with pytest.raises(PicaptionError, match="no ending of a picture"):
        write_image(f"a.{LATIN_1}", GREY_IMAGE)


def test_the_command_names_such_a_file(tmp_path, bundle):
    path = tmp_path / f"{LATIN_1}.png"
    path.write_bytes(cv2.imencode(".png", GREY_IMAGE)[1].tobytes())
    program = "import sys; from picaption.device.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "image", "--bundle", bundle, path]
    for locale in ({}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        process = subprocess.run(command, capture_output=True, env=os.environ | locale)
        assert (process.returncode, process.stderr) == (0, b"")
        assert process.stdout.splitlines()[0].endswith(b"caf\\udce9.png")
