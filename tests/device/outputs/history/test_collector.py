"""Which frames make a scene, and what is remembered of it."""

import numpy as np
import pytest

from picaption.device.outputs.history.collector import Origin, SceneCollector
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.recognition.result import Caption, Score
from tests.device.fakes.standins import FRAME, recognition, silent

ORIGIN = Origin("desk", "a.tflite")


def collector(retain_images=False):
    return SceneCollector(retain_images, lambda: ORIGIN)


def caption(text="a cat", confidence=0.5, alternatives=()):
    return Caption(text, tuple(text.split()), -4.0, confidence, alternatives=alternatives)


def frame(at, scene=1, said=None, classes=(), **changes):
    """A frame of so many seconds after 1000; its classes are certain."""
    values = {
        "captured_at": 1000.0 + at,
        "scene": scene,
        "certain": tuple(True for _ in classes),
        "certain_names": tuple(name for name, _ in classes),
        "threshold": 0.5,
    }
    made = recognition(classes=classes, **values | changes)
    object.__setattr__(made, "caption", said)
    return RecognizedFrame(FRAME, made)


def run(collecting, frames, bundle=None):
    """Return what is written of frames, (begin, end, caption, is_complete), and at the end."""
    requests = [request for item in frames for request in collecting.add(item, bundle)]
    last = collecting.finish()
    rows = [(request.scene.to_scene(), request.is_complete) for request in requests]
    if last is not None:
        rows.append((last.to_scene(), True))
    return [
        (scene.begin_seconds - 1000, scene.end_seconds - 1000, scene.text, is_complete)
        for scene, is_complete in rows
    ]


def test_a_scene_lasts_from_its_first_to_its_last_frame():
    cat = caption("a cat")
    dog = caption("a dog")
    frames = [frame(0, 1, cat), frame(3, 1, cat), frame(4, 2, dog), frame(9, 2, dog)]
    assert run(collector(), frames) == [(0, 3, "a cat", True), (4, 9, "a dog", True)]


def test_scenes_that_change_at_once_are_one_with_the_surest_caption():
    frames = [
        frame(0, 1, caption("a blur", 0.3)),
        frame(1.0, 2, caption("a cat", 0.8)),
        frame(1.75, 3, caption("a rug", 0.5)),
        frame(2.0, 4, caption("a dog", 0.1)),
    ]
    assert run(collector(), frames) == [(0, 1.75, "a cat", True), (2.0, 2.0, "a dog", True)]


def test_a_moment_of_darkness_says_nothing_of_the_scene_and_a_night_is_one():
    dark = RecognizedFrame(FRAME, silent(captured_at=1000.0, scene=1))
    cat = caption("a cat")
    night = [
        RecognizedFrame(FRAME, silent(captured_at=1000.0 + second, scene=3)) for second in (9, 99)
    ]
    frames = [dark, frame(1, 2, cat), frame(8, 2, cat), *night]
    assert run(collector(), frames) == [
        (0, 8, "a cat", True),
        (9, 99, "too dark to tell", True),
    ]


def test_a_better_caption_of_the_same_scene_replaces_the_one_before():
    first = caption("a cat", 0.5, ("a rug",))
    better = caption("a cat on a rug", 0.6, ("a cat", "a dog"))
    worse = caption("a dog", 0.4)
    collecting = collector(retain_images=True)
    images = [frame(0, 1, first), frame(1, 1, better), frame(2, 1, worse)]
    assert not any(collecting.add(item) for item in images)
    scene = collecting.finish()
    assert scene.to_scene().caption == "a cat on a rug"
    assert scene.to_scene().alternatives == ("a cat", "a dog")
    assert scene.best is images[1]
    assert scene.best.image is not FRAME and np.array_equal(scene.best.image, FRAME)


def test_images_are_not_copied_where_none_is_remembered():
    collecting = collector()
    collecting.add(frame(0, 1, caption()))
    assert collecting.finish().best.image is FRAME


def test_classes_are_those_that_were_certain_with_their_peaks():
    collecting = collector()
    said = caption()
    collecting.add(frame(0, 1, said, (("cat", 0.7),)))
    collecting.add(frame(1, 1, said, (("cat", 0.9), ("dog", 0.6))))
    collecting.add(frame(2, 1, said, (("cat", 0.8),), certain_names=("cat", "bird")))
    collecting.add(frame(3, 1, said, (("cow", 0.3),), certain=(False,), certain_names=()))
    scene = collecting.finish().to_scene()
    # Of the bird, the frame has no score: it reaches the threshold.
    assert scene.classes == (Score("cat", 0.9), Score("dog", 0.6), Score("bird", 0.5))


def test_a_long_scene_is_written_before_it_ends_and_now_and_then():
    said = caption()
    seconds = [0, 60, 119, 120, 121, 719, 720, 1000]
    # A frame at least every five minutes: after a longer gap it is another scene.
    seconds = sorted({*seconds, 300, 500})
    frames = [frame(second, 1, said) for second in seconds]
    assert run(collector(), frames) == [
        (0, 120, "a cat", False),
        (0, 720, "a cat", False),
        (0, 1000, "a cat", True),
    ]


def test_what_is_handed_on_does_not_change_any_more():
    said = caption()
    collecting = collector()
    collecting.add(frame(0, 1, said, (("cat", 0.6),)))
    [request] = collecting.add(frame(120, 1, said))
    collecting.add(frame(130, 1, said, (("cat", 0.9), ("dog", 0.9))))
    assert request.scene.to_scene().classes == (Score("cat", 0.6),)
    assert request.scene.end == 1120
    assert request.scene.best_changed and not collecting.finish().best_changed


@pytest.mark.parametrize("second", [301, -1])
def test_after_a_pause_or_when_the_clock_is_set_a_scene_is_another(second):
    said = caption()
    rows = run(collector(), [frame(0, 1, said), frame(second, 1, said)])
    assert rows == [(0, 0, "a cat", True), (second, second, "a cat", True)]


def test_another_bundle_begins_another_scene():
    said = caption()
    collecting = collector()
    bundles = [{}, {}]
    assert not collecting.add(frame(0, 1, said), bundles[0])
    assert not collecting.add(frame(1, 1, said), bundles[0])
    assert len(collecting.add(frame(2, 1, said), bundles[1])) == 1


def test_every_file_is_a_scene_of_its_own_however_fast_they_come():
    frames = [frame(0.01 * number, number, caption(), file=f"{number}.jpg") for number in range(3)]
    assert len(run(collector(), frames)) == 3


def test_of_a_video_its_own_time_joins_scenes():
    frames = [
        frame(0.01 * number, number, caption(), file="a.mp4", seconds=1.5 * number)
        for number in range(5)
    ]
    # At 0 and 1.5 s, 3 and 4.5 s, 6 s.
    assert [row[:2] for row in run(collector(), frames)] == [
        pytest.approx((0, 0.01)),
        pytest.approx((0.02, 0.03)),
        pytest.approx((0.04, 0.04)),
    ]
