"""Which bundles are remembered, where, and whose word counts."""

import os
import stat

import pytest

from picaption.device.bundle.archive import Identity
from picaption.device.bundle.trust import known
from picaption.device.bundle.trust.known import cache_folder, is_remembered, remember

CAT = Identity("c" * 64, 1000)
DOG = Identity("d" * 64, 1000)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_what_was_checked_is_remembered():
    assert not is_remembered(CAT)
    remember(CAT)
    assert is_remembered(CAT) and not is_remembered(DOG)
    remember(DOG)
    assert is_remembered(CAT) and is_remembered(DOG)


def test_another_end_of_the_graph_is_another_bundle():
    remember(CAT)
    assert not is_remembered(Identity(CAT.sha256, 1001))


def test_another_runtime_is_asked_anew(monkeypatch):
    remember(CAT)
    monkeypatch.setattr(known, "runtime_name", lambda: "tflite-runtime 2.14.0")
    assert not is_remembered(CAT)


def test_the_folder_is_that_of_the_service_or_of_the_user(home, monkeypatch):
    assert cache_folder() == home / "cache" / "picaption"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(home))
    assert cache_folder() == home / ".cache" / "picaption"
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/picaption")
    assert str(cache_folder()) == "/var/cache/picaption"


def test_nobody_else_may_write_the_file():
    remember(CAT)
    path = cache_folder() / known.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_word_of_another_user_is_not_taken(monkeypatch):
    remember(CAT)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert not is_remembered(CAT)


def test_a_planted_link_is_not_followed(home):
    cache_folder().mkdir(parents=True)
    (home / "precious").write_text("mine\n")
    (cache_folder() / known.FILE).symlink_to(home / "precious")
    remember(CAT)
    assert (home / "precious").read_text() == "mine\n"


def test_a_pipe_in_its_place_holds_nothing_up():
    cache_folder().mkdir(parents=True)
    os.mkfifo(cache_folder() / known.FILE)
    assert not is_remembered(CAT)
    remember(CAT)
    assert not is_remembered(CAT)


def test_where_nothing_can_be_written_nothing_is_said(home):
    (home / "cache").write_text("a file where the folder should be")
    remember(CAT)
    assert not is_remembered(CAT)


def test_the_file_does_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr(known, "MAX_REMEMBERED", 20)
    for index in range(100):
        remember(Identity(f"{index:064}", 5))
    assert is_remembered(Identity(f"{99:064}", 5))
    assert (cache_folder() / known.FILE).stat().st_size <= 256 * 20
