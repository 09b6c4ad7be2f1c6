"""What boards say of themselves, as the files of real ones have it."""

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


def test_a_machine_that_tells_nothing(files):
    assert board.model() is board.temperature() is board.throttled() is board.governor() is None
    files("_TEMPERATURE", "N/A")
    files("_THROTTLED", "error")
    assert board.temperature() is board.throttled() is None


def test_an_identity_is_this_boards_and_this_names():
    assert board.identity("a") == board.identity("a") != board.identity("b")
