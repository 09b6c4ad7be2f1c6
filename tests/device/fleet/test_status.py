"""Statuses, which anyone on the broker may write, and the table, JSON and metrics of them."""

import json

import pytest

from picaption.device.fleet.forms import exposition, json_lines, table_lines
from picaption.device.fleet.meter import FrameMeter, LastError
from picaption.device.fleet.status import (
    DeviceStatus,
    is_device_name,
    parse_status,
    to_device_name,
)
from picaption.device.fleet.watch import Device, FleetWatch, settled
from picaption.device.log import printable
from picaption.device.outputs.mqtt.connection import Message
from tests.device.fakes.standins import recognized, silent

STATUS = DeviceStatus(
    version="0.2",
    bundle="everyday",
    bundle_hash="0123abcd",
    board="Raspberry Pi 5",
    camera="usb:0",
    started=1000.0,
    fps=9.25,
    age_ms=61.0,
    silent_s=0.1,
    temperature=55.5,
    throttled=("under-voltage",),
    unsure=0.25,
    error="usb:0: no frame",
    at=4600.0,
)


def test_a_status_comes_back_from_its_message():
    assert parse_status(json.dumps(STATUS.to_json()).encode()) == STATUS
    assert STATUS.uptime(4600.0) == 3600.0


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"\xff", b"[" * 9000, b"9" * 9000, b'{"a": "' + b"x" * 20_000 + b'"}']
)
def test_what_is_no_status_is_none(payload):
    assert parse_status(payload) is None


def test_hostile_values_are_left_out_or_escaped():
    payload = (
        b'{"fps": NaN, "age_ms": 1e999, "unsure": true, "started": "now", "temperature": 1e300,'
        b'"version": "\\u001b[2J\\u202e", "error": ["x"], "throttled": [1, "\\u0007 bell"],'
        b'"board": "' + b"b" * 1000 + b'"}'
    )
    status = parse_status(payload)
    assert [status.fps, status.age_ms, status.unsure, status.started] == [None] * 4
    assert status.temperature is None and status.error == ""
    assert status.version == "\\x1b[2J\\u202e" and status.throttled == ("\\x07 bell",)
    assert len(status.board) == 200
    lines = table_lines([Device("a", True, status)], 5000.0)
    assert all(printable(line) == line for line in lines)


def test_names_of_devices():
    assert is_device_name("kitchen-1.lan") and not is_device_name("a/b")
    assert not is_device_name("") and not is_device_name("a" * 64) and not is_device_name("a\n")
    assert to_device_name("Küche 1") == "K-che-1" and to_device_name("...") == "picaption"


def test_the_watch_collects_what_devices_say():
    watch = FleetWatch("fleet", max_devices=2)

    def say(topic, payload):
        watch.receive(Message(topic, payload, True))

    say("fleet/kitchen/status", b"online")
    say("fleet/kitchen/figures", json.dumps(STATUS.to_json()).encode())
    say("fleet/attic/figures", b"{}")
    assert watch.devices == [Device("attic"), Device("kitchen", True, STATUS)]
    # No more than are asked for, and nothing that is no device.
    for topic in ("fleet/cellar/status", "fleet/a b/status", "fleet/status", "x/kitchen/status"):
        say(topic, b"online")
    say("fleet/attic/status", b"maybe")
    say("fleet/attic/figures", b"[]")
    assert (watch.messages, watch.refused) == (9, 6)
    say("fleet/kitchen/status", b"offline")
    say("fleet/attic/figures", b"")
    assert watch.devices == [Device("kitchen", False, STATUS)]


def test_all_is_there_once_nothing_retained_comes_however_much_else_does():
    now = [0.0]
    watch = FleetWatch("fleet")
    is_settled = settled(watch, 1.0, lambda: now[0])
    for is_retained, expected in ((True, False), (True, False), (False, False), (False, True)):
        watch.receive(Message("fleet/kitchen/figures", b"{}", is_retained))
        assert is_settled() is expected
        now[0] += 0.6


def test_the_first_message_may_take_longer_than_the_next():
    now = [0.0]
    is_settled = settled(FleetWatch("fleet"), 1.0, lambda: now[0])
    now[0] = 9.0  # The connection took its time, too.
    assert not is_settled()
    now[0] += 2.9
    assert not is_settled()
    now[0] += 0.2
    assert is_settled()


def test_the_table_is_read_from_left_to_right():
    lines = table_lines([Device("attic"), Device("kitchen", True, STATUS)], 94_600.0)
    assert [len(line.split("  ")) > 5 for line in lines] == [True] * 3
    assert lines[1].split()[:3] == ["attic", "offline", "-"]
    words = lines[2].split()
    assert words[:5] == ["kitchen", "online", "0.2", "everyday", "0123abcd"]
    # 93,600 seconds are a day and two hours; 55.5 degrees are even rounded.
    assert "1d 2h" in lines[2] and "9.2" in words and "61" in words and "56" in words
    assert "25%" in words and lines[2].endswith("usb:0: no frame")


def test_json_and_metrics_say_the_same():
    pytest.importorskip("prometheus_client")
    devices = [Device("kitchen", True, STATUS)]
    values = json.loads(next(json_lines(devices)))
    assert values["name"] == "kitchen" and values["online"] and values["unsure"] == 0.25
    text = exposition(devices)
    assert 'picaption_fleet_frames_per_second{device="kitchen"} 9.25\n' in text
    assert 'picaption_fleet_online{device="kitchen"} 1.0\n' in text
    assert 'board="Raspberry Pi 5"' in text and 'picaption_fleet_throttled{device="kitchen"} 1.0'


def test_the_meter_measures_between_two_readings():
    now = [100.0]
    meter = FrameMeter(lambda: now[0])
    for unsure in (False, True, False, False):
        now[0] += 0.5
        meter.add(recognized(unsure=unsure, timings={"queue": 2.0, "total": 8.0}))
    now[0] += 2.0
    # Four frames in four seconds, 2 + 8 ms each, one of four unsure, the last two seconds ago.
    assert vars(meter.read()) == {"fps": 1.0, "age_ms": 10.0, "silent_s": 2.0, "unsure": 0.25}
    now[0] += 1.0
    assert vars(meter.read()) == {"fps": 0.0, "age_ms": None, "silent_s": 3.0, "unsure": None}


def test_a_dark_frame_is_not_unsure():
    meter = FrameMeter(lambda: 0.0)
    frame = recognized()
    frame.recognition = silent()
    meter.add(frame)
    assert meter.read().unsure is None


def test_the_last_error_is_one_line(caplog):
    import logging

    handler = LastError()
    logger = logging.getLogger("picaption.test")
    logger.addHandler(handler)
    logger.warning("a warning")
    assert handler.line == ""
    logger.error("usb:0:\nno frame from rtsp://me:secret@host")
    logger.removeHandler(handler)
    assert handler.line == "usb:0: no frame from rtsp://***@host"
