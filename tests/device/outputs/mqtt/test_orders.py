"""What comes over MQTT for the loop is checked: what makes no sense is a line in the log."""

import pytest

from picaption.device.outputs.control import LoopControl, LoopState
from picaption.device.outputs.mqtt.connection import Message
from picaption.device.outputs.mqtt.orders import Allowance, Orders
from picaption.device.outputs.subjects import Subject

STATE = LoopState(bundles=("everyday", "mine"), labels=("person", "cup"), words={"cat": 4, "a": 5})


@pytest.fixture
def control():
    control = LoopControl()
    control.state = STATE
    return control


def send(orders, name, payload, retained=False):
    orders.receive(name, Message(f"home/set/{name}", payload, retained))


@pytest.mark.parametrize(
    ("name", "payload", "attribute", "value"),
    [
        ("pause", b"ON", "paused", True),
        ("pause", b"OFF", "paused", False),
        ("max_fps", b"2.5", "max_fps", 2.5),
        ("max_fps", b"0", "max_fps", 0.0),
        ("max_fps", b"240", "max_fps", 240.0),
        ("caption", b"PRESS", "caption", True),
        ("bundle", b"mine", "bundle", "mine"),
        ("reload", b"RELOAD", "reload_bundle", True),
    ],
)
def test_orders_reach_the_loop(control, caplog, name, payload, attribute, value):
    send(Orders(control), name, payload)
    assert getattr(control.take(), attribute) == value and not caplog.messages


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("pause", b"on", "it is ON or OFF"),
        ("pause", b"", "it is ON or OFF"),
        ("max_fps", b"-1", "it is not from 0 to 240"),
        ("max_fps", b"inf", "it is not from 0 to 240"),
        ("max_fps", b"1e999", "it is not from 0 to 240"),
        ("max_fps", b"nan", "it is not a number"),
        ("max_fps", b"fast", "it is not a number"),
        ("max_fps", b"\xff\xfe", "it is not UTF-8"),
        ("caption", b"\x00", "it is PRESS"),
        ("bundle", b"min", "there is no such bundle; did you mean mine?"),
        ("bundle", b"../../etc/passwd", "there is no such bundle"),
        ("bundle", b"/root/mine.tflite", "there is no such bundle"),
        ("reload", b"now", "it is RELOAD"),
        ("look_for", b"persn", "there is no class or word 'persn'; did you mean person?"),
        ("look_for", b"c" * 65, "it is longer than 64 characters"),
        ("pause", b"ON" * 200, "it is longer than 256 bytes"),
        ("shell", b"rm -rf /", "there are pause, max_fps, caption, bundle, look_for, reload"),
        ("", b"ON", "there are pause, max_fps, caption, bundle, look_for, reload"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_changes_nothing(
    control, caplog, name, payload, reason
):
    orders = Orders(control)
    send(orders, name, payload)
    (line,) = caplog.messages
    assert line.endswith(f"is refused: {reason}") and line.startswith(f"mqtt: {name}")
    assert line.isprintable() and len(line) < 250
    assert control.take() is None and orders.looked_for is None


def test_an_order_that_is_retained_is_not_obeyed_at_every_start(control, caplog):
    send(Orders(control), "pause", b"ON", retained=True)
    assert control.take() is None and "it is retained" in caplog.text


def test_what_is_looked_for_is_a_class_or_words_of_the_bundle(control):
    orders = Orders(control)
    for payload, subject in (
        (b" cup ", Subject("cup", True)),
        (b"A Cat", Subject("A Cat", False)),
        (b"  ", None),
    ):
        send(orders, "look_for", payload)
        assert orders.looked_for == subject


def test_a_flood_of_orders_is_refused_and_logged_a_few_times_only(control, caplog):
    now = 100.0
    orders = Orders(control, clock=lambda: now)
    for _ in range(1000):
        send(orders, "caption", b"PRESS")
    assert len(caplog.messages) == 10 and caplog.messages[0].endswith("more than 5 a second")
    control.take()
    now += 0.1
    send(orders, "pause", b"ON")  # Only half of an order has been earned since.
    assert control.take() is None
    now += 0.2
    send(orders, "pause", b"ON")
    assert control.take().paused


def test_an_allowance_is_earned_with_time():
    now = 0.0
    allowance = Allowance(2.0, 3.0, clock=lambda: now)
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now = 0.5
    assert [allowance.take() for _ in range(2)] == [True, False]
    now = 100.0
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
