"""What is reported to systemd, over a real socket."""

import os
import socket

import pytest

from picaption.device.system import sd_notify
from picaption.device.system.sd_notify import ReadySink, Watchdog, notify, watchdog_interval


@pytest.fixture(params=["path", "abstract"])
def receive(request, tmp_path, monkeypatch):
    """A function that returns what was sent to $NOTIFY_SOCKET since the last call."""
    if request.param == "path":
        name = shown_name = str(tmp_path / "notify")
    else:
        shown_name = f"@picaption-{os.getpid()}"
        name = shown_name.replace("@", "\0")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name)
        monkeypatch.setenv("NOTIFY_SOCKET", shown_name)
        channel.setblocking(False)

        def receive():
            messages = []
            while True:
                try:
                    messages.append(channel.recv(4096).decode())
                except BlockingIOError:
                    return messages

        yield receive


def test_messages_arrive(receive):
    notify("READY=1")
    notify("RELOADING=1\nMONOTONIC_USEC=17")
    notify("STATUS=a\udcffb")  # a name of a file that is no UTF-8
    assert receive() == ["READY=1", "RELOADING=1\nMONOTONIC_USEC=17", "STATUS=a?b"]


@pytest.mark.parametrize("address", [None, "", "/absent/socket", "vsock:2:3"])
def test_without_systemd_nothing_happens(monkeypatch, address):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


@pytest.mark.parametrize(
    "microseconds, process, expected",
    [
        ("30000000", None, 15.0),
        pytest.param("30000000", os.getpid(), 15.0, id="this process"),
        ("30000000", 1, None),
        (None, None, None),
        ("0", None, None),
        ("soon", None, None),
        ("²", None, None),
    ],
)
def test_the_watchdogs_interval(monkeypatch, microseconds, process, expected):
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", process)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(value))
    assert watchdog_interval() == expected


def test_signs_of_life_are_sent_when_they_are_due(receive, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    now = [10.0]
    monkeypatch.setattr(sd_notify.time, "monotonic", lambda: now[0])
    watchdog = Watchdog()
    for moment in (10.0, 11.9, 12.1, 13.0, 14.2):
        now[0] = moment
        watchdog()
    assert receive() == ["WATCHDOG=1"] * 3
    monkeypatch.delenv("WATCHDOG_USEC")
    Watchdog()()
    assert receive() == []


def test_only_the_first_result_is_reported(receive):
    ready = ReadySink()
    assert receive() == []
    for _ in range(3):
        ready.write(None)
    ready.close()
    assert receive() == ["READY=1"]
