"""What the loop's frames leave to be published, with a clock of the test's own."""

import numpy as np

from picaption.device.outputs.control import LoopState
from picaption.device.outputs.jpeg import MAX_BYTES, MAX_SIDE, encode_jpeg
from picaption.device.outputs.mqtt.intake import Intake
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.outputs.subjects import Subject
from tests.device.fakes.standins import FRAME, recognition, recognized, silent

CUP = Subject("cup", True)
CAT = Subject("cat", False)


def happened(intake):
    """Return the events since the last call."""
    events = [(event.event_type, event.name) for event in intake.events]
    intake.events.clear()
    return events


def test_what_appears_and_goes_is_an_event_and_what_cannot_be_seen_is_neither():
    intake = Intake([CUP, CAT])
    with_cup = {"classes": (("dog", 0.9),), "certain_names": ("dog", "cup"), "scene": 1}
    intake.write(recognized("a cat", **with_cup))
    assert happened(intake) == [
        ("scene", ""),
        ("caption", ""),
        ("appeared", "cup"),
        ("appeared", "cat"),
    ]
    assert [watched.present for watched in intake.newest.headline.watched] == [True, True]
    intake.write(recognized("a cat", **with_cup))
    assert happened(intake) == []
    intake.write(RecognizedFrame(FRAME, silent(scene=2)))
    assert happened(intake) == []
    assert [watched.present for watched in intake.newest.headline.watched] == [None, None]
    intake.write(recognized("a caterpillar", scene=3, certain_names=("cup",)))
    assert happened(intake) == [("scene", ""), ("caption", ""), ("gone", "cat")]
    event = {"scene": 3, "caption": "a dog", "confidence": 0.5, "captured_at": 1700000000.5}
    intake.write(recognized("a dog", scene=3, confidence=0.5, certain_names=("cat",)))
    assert [news.to_json() for news in intake.events] == [
        {"event_type": "caption", "name": "", **event},
        {"event_type": "gone", "name": "cup", **event},
    ]


def test_of_what_the_bundle_in_use_lacks_nothing_is_known():
    intake = Intake([CUP, CAT])
    for labels, words, present in (
        (("cup",), {"cat": 4}, [True, True, None]),
        (("mug",), {"cat": 4}, [None, True, None]),
        (("cup",), {}, [True, None, None]),
    ):
        state = LoopState(labels=labels, words=words)
        intake.write(recognized("a cat", certain_names=("cup",)), state)
        assert [watched.present for watched in intake.newest.headline.watched] == present
    intake.write(recognized("a dog"), state, looked_for=Subject("dog", False))
    assert intake.newest.headline.watched[-1] == ("dog", True)


def test_when_something_was_last_there_is_the_time_of_the_last_frame_with_it():
    intake = Intake([CUP, CAT])
    assert intake.sightings == {}
    intake.write(recognized("a cat", certain_names=("dog",), captured_at=100.0))
    assert intake.sightings == {"cat": 100.0}
    intake.write(recognized("a cat", certain_names=("cup",), captured_at=101.0))
    intake.write(recognized("a dog", certain_names=("cup",), captured_at=102.0))
    intake.write(RecognizedFrame(FRAME, silent(captured_at=103.0)))
    assert intake.sightings == {"cat": 101.0, "cup": 102.0}


def test_a_caption_that_was_asked_for_is_an_event_though_it_is_the_same():
    intake = Intake([])
    intake.write(recognized("a cat"), LoopState())
    happened(intake)
    intake.write(recognized("a cat"), LoopState(captions=1))
    assert happened(intake) == [("caption", "")]


def test_pictures_are_taken_on_change_at_most_one_a_second_and_only_if_wanted():
    now = 0.0
    intake = Intake([], clock=lambda: now)
    taken = []
    for now, text, wanted in (
        (0.0, "a", False),  # Nobody is connected.
        (0.1, "a", True),
        (0.2, "a", True),
        (0.3, "b", True),  # Too soon, so:
        (1.2, "b", True),
        (5.0, "b", True),
        (5.1, "c", True),
        (9.0, "c", True),
    ):
        intake.wants_image = wanted
        intake.imaged = None
        frame = recognized(text)
        shared = frame.image
        intake.write(frame)
        assert (frame.image is shared) == (intake.imaged is None)  # Copied only if needed.
        if intake.imaged:
            taken.append(now)
    assert taken == [0.1, 1.2, 5.1]
    intake.imaged = None
    intake.is_image_due = True
    now = 20.0
    intake.write(recognized("c"))
    assert intake.imaged and not intake.is_image_due


def test_events_that_nobody_takes_are_bounded():
    intake = Intake([])
    for number in range(1000):
        intake.write(recognized(f"caption {number}"))
    assert len(intake.events) == 64
    assert intake.events[-1].recognition.caption.text == "caption 999"


def test_a_picture_is_never_large():
    noise = np.random.default_rng(0).integers(0, 256, (2160, 3840, 3), np.uint8)
    for image in (noise, FRAME, noise[:, :5]):
        data = encode_jpeg(image)
        assert data.startswith(b"\xff\xd8\xff") and len(data) <= MAX_BYTES
    assert MAX_SIDE == 1280 and recognition().text
