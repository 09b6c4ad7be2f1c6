"""What all sinks share of a frame."""

import threading

import numpy as np

from picaption.device.outputs import sink
from picaption.device.outputs.overlay import annotate
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.recognition.result import Recognition
from tests.device.fakes.standins import FRAME, recognition, recognized


def test_every_form_is_made_once_whoever_asks(monkeypatch):
    made = []

    def counted(name, function):
        def call(*arguments):
            made.append(name)
            return function(*arguments)

        return call

    monkeypatch.setattr(Recognition, "to_json", counted("json", Recognition.to_json))
    monkeypatch.setattr(sink, "annotate", counted("annotated", annotate))
    frame = recognized()
    assert made == []
    threads = [threading.Thread(target=frame.annotated) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert frame.json() is frame.json() and frame.annotated() is frame.annotated()
    for thread in threads:
        thread.join()
    assert sorted(made) == ["annotated", "json"]


def test_the_forms_are_those_of_the_recognition():
    frame = recognized("a dog")
    assert frame.json() == recognition("a dog").to_json()
    np.testing.assert_array_equal(frame.annotated(), annotate(FRAME, recognition("a dog")))


def test_a_retained_image_is_copied_once_and_lasts():
    image = FRAME.copy()
    frame = RecognizedFrame(image, recognition())
    assert frame.image is image
    frame.retain_image()
    copy = frame.image
    frame.retain_image()
    image[:] = 0
    assert frame.image is copy
    np.testing.assert_array_equal(frame.image, FRAME)
    np.testing.assert_array_equal(frame.annotated(), annotate(FRAME, recognition()))
