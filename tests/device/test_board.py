"""What boards say of themselves, as the files of real ones have it."""

import re

import pytest

from picaption.device import board


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes what a board's files hold; those that are not written are not there."""
    for name in ("_MODEL", "_TEMPERATURE", "_THROTTLED", "_GOVERNOR"):
        monkeypatch.setattr(board, name, tmp_path / name)
    return lambda name, text: (tmp_path / name).write_text(text)


def test_a_pi_5(files):
    files("_MODEL", "Raspberry Pi 5 Model B Rev 1.0\0")
    files("_TEMPERATURE", "48850\n")
    files("_THROTTLED", "0\n")
    files("_GOVERNOR", "ondemand\n")
    assert board.model() == "Raspberry Pi 5 Model B Rev 1.0" and board.temperature() == 48.85
    assert board.throttled() == ((), ()) and board.governor() == "ondemand"


@pytest.mark.parametrize(
    "text, now, since",
    [
        # 0x50005: under-voltage and throttled, at this moment and since the start.
        ("50005", ("under-voltage", "throttled"), ("under-voltage", "throttled")),
        ("0x50000", (), ("under-voltage", "throttled")),
        ("e0008", ("temperature limit",), ("clock capped", "throttled", "temperature limit")),
    ],
)
def test_what_holds_a_board_back(files, text, now, since):
    files("_THROTTLED", f"{text}\n")
    assert board.throttled() == (now, since)


def test_the_firmware_is_asked_without_a_file_of_the_kernel(files, vcgencmd):
    vcgencmd("get_throttled", "throttled=0x50001\n")
    throttling = board.throttled()
    assert throttling == (("under-voltage",), ("under-voltage", "throttled"))
    assert throttling.now == ("under-voltage",)
    assert throttling.since_start == ("under-voltage", "throttled")


def test_a_firmware_that_does_not_answer(files, vcgencmd):
    vcgencmd("measure_temp", "temp=48.0'C\n")
    assert board.throttled() is None and board.vcgencmd("get_throttled") == ""


def test_a_machine_that_reports_nothing(files, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert board.model() is board.temperature() is board.governor() is None
    assert board.throttled() is None and board.vcgencmd("get_throttled") == ""
    files("_TEMPERATURE", "N/A")
    files("_THROTTLED", "error")
    assert board.temperature() is board.throttled() is None


def test_an_identity_is_this_boards_and_this_names(tmp_path, monkeypatch):
    assert board.identity("a") == board.identity("a") != board.identity("b")
    assert re.fullmatch("[0-9a-f]{12}", board.identity("a"))
    identities = set()
    for machine in ("one\n", "two\n", None):
        path = tmp_path / "machine-id"
        path.write_text(machine) if machine else path.unlink()
        monkeypatch.setattr(board, "_IDENTITIES", (path,))
        identities.add(board.identity("a"))
    assert len(identities) == 3
