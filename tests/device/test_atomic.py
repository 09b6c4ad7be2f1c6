"""Files that are written completely or not at all."""

import os
import threading
import time

import pytest

from picaption.device.atomic import (
    atomic_write,
    partial_path,
    read_file,
    read_text,
    require_no_device,
    require_other_files,
    write_bytes,
    write_text,
)
from picaption.device.errors import PicaptionError


def test_a_file_is_replaced_once_it_is_complete(tmp_path):
    path = tmp_path / "said.txt"
    path.write_text("old")
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["said.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "said.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as partial:
        partial.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["said.txt"]


def test_a_file_that_cannot_be_replaced_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "folder", "text")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_partial_file_is_hidden_and_keeps_its_suffixes(tmp_path):
    assert partial_path(tmp_path / "a.weights.h5") == tmp_path / ".partial.a.weights.h5"
    assert partial_path("said.mp4").name == ".partial.said.mp4"


def test_bytes_and_text(tmp_path):
    write_bytes(tmp_path / "bytes", memoryview(b"\0\1"))
    write_text(tmp_path / "text", "Bär\n")
    assert (tmp_path / "bytes").read_bytes() == b"\0\1"
    assert (tmp_path / "text").read_bytes() == "Bär\n".encode()


def test_an_output_is_no_input_by_any_name(tmp_path):
    path = tmp_path / "captions.txt"
    path.write_text("read")
    (tmp_path / "link.txt").symlink_to(path)
    inputs = {"--captions": path, "--images": tmp_path, "limit": 3, "--labels": None}
    detour = f"{tmp_path}/../{tmp_path.name}/link.txt"
    for output in (path, str(path), tmp_path / "link.txt", detour):
        with pytest.raises(PicaptionError, match="--predictions .* would overwrite .*captions.txt"):
            require_other_files({"--predictions": output}, inputs)
    require_other_files({"--json": "-", "--predictions": tmp_path / "new", "--html": None}, inputs)


def test_what_is_read_has_an_end(tmp_path):
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfa\r\nb\rc")
    assert read_file(tmp_path / "text") == b"\xef\xbb\xbfa\r\nb\rc"
    assert read_text(tmp_path / "text") == "a\nb\nc"
    assert read_file("/dev/null") == b""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert read_file(pipe) == b""  # Nobody writes to it.
    writer = threading.Thread(target=pipe.write_bytes, args=(b"x" * 200_000,))
    writer.start()
    while not (content := read_file(pipe)):
        time.sleep(0.01)
    writer.join()
    assert content == b"x" * 200_000


def test_what_has_none_or_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "loop").symlink_to("loop")
    for path, reason in (
        ("/dev/zero", "it is a device and no file"),
        ("/dev/tty", ""),
        (tmp_path / "sparse", "it has more than 1024 MB"),
        (tmp_path, "Is a directory"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path / "absent", "No such file or directory"),
    ):
        with pytest.raises(OSError) as error:
            read_file(path)
        assert reason in error.value.strerror
    with open(tmp_path / "small", "wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(OSError, match="it has more than 1 MB"):
        read_file(tmp_path / "small", 1 << 20)


def test_a_pipe_or_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "null", "stdout", "link"):
        with pytest.raises(PicaptionError, match=f"{name} is a device or a pipe and no file; give"):
            write_text(tmp_path / name, "text")
    assert (tmp_path / "pipe").is_fifo() and len(os.listdir(tmp_path)) == 4
    require_no_device(None, tmp_path / "absent", tmp_path, "/dev/absent")
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("file")
    require_no_device(tmp_path / "link")
