"""A caption lasts as long as its scene: the shipped bundle on real photographs."""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Recognizer, default_bundle
from picaption.device.recognition.result import Caption
from picaption.device.recognition.scene import SceneTracker


class Counting(Recognizer):
    """A Recognizer that counts its captions, and may be given the next one."""

    captions = 0
    next_caption = None

    def caption(self, encoded, class_scores, name_scores):
        self.captions += 1
        self.guiding_scores = class_scores
        return self.next_caption or super().caption(encoded, class_scores, name_scores)


@pytest.fixture
def counting():
    return Counting(default_bundle(), threads=1)


def test_a_scene_is_captioned_once(counting, photos):
    watch, alone = SceneTracker(counting), Recognizer(counting.model)
    random = np.random.default_rng(0)
    noisy = np.clip(photos["cat"] + random.normal(0, 4, photos["cat"].shape), 0, 255).astype(
        np.uint8
    )
    first = watch(photos["cat"], 7, 3.5)
    assert first.caption == alone(photos["cat"]).caption and (first.frame, first.captured_at) == (
        7,
        3.5,
    )
    assert watch(noisy).caption is watch(photos["cat"]).caption is first.caption
    assert counting.captions == 1


def test_another_scene_is_captioned_anew_and_so_is_the_old_one_when_it_comes_back(counting, photos):
    watch, alone = SceneTracker(counting), Recognizer(counting.model)
    for count, name in enumerate(("cat", "coffee", "cat"), 1):
        watched, expected = watch(photos[name]), alone(photos[name])
        assert watched.caption == expected.caption and counting.captions == count
        assert watched.classes == expected.classes and watched.tags == expected.tags
        assert watched.scene == count and type(watched.scene) is int  # numpy's have no form in JSON


def test_scenes_are_counted_and_have_a_json_form(counting, photos):
    watch = SceneTracker(counting)
    scenes = [watch(photos[name]).to_json()["scene"] for name in ("cat", "cat", "coffee", "cat")]
    assert json.dumps(scenes) == "[1, 1, 2, 3]"


def test_scores_are_averages_within_a_scene(counting, photos):
    now = [100.0]
    watch = SceneTracker(counting, smoothing=2.0, clock=lambda: now[0])
    alone = Recognizer(counting.model)
    bright = np.clip(photos["cat"] * 1.1, 0, 255).astype(np.uint8)
    first, at_once = watch(photos["cat"]), SceneTracker(counting)(bright)
    now[0] = 102.0
    second = watch(bright)
    name, new = first.classes[0].name, 1 - math.exp(-1)
    expected = first.classes[0].score + new * (at_once.classes[0].score - first.classes[0].score)
    assert second.classes[0].name == name and second.classes[0].score == pytest.approx(
        expected, abs=0.01
    )
    assert (
        watch(photos["coffee"]).classes == alone(photos["coffee"]).classes
    )  # another scene begins from nothing


def test_all_certain_classes_are_known_however_many(counting, photos):
    watch = SceneTracker(counting)
    labels = counting.model.labels
    scores = np.zeros(len(labels), np.float32)
    scores[[0, 3, 5, 7]] = (0.99, 0.97, 0.98, 0.96)
    smoothed = watch.smooth(None, scores)
    assert smoothed.certain_names == tuple(labels[index] for index in (0, 3, 5, 7))
    assert len(smoothed.classes) == 3
    assert watch.smooth(None, np.zeros(len(labels), np.float32)).certain_names == ()
    frame = watch(photos["cat"])
    certain = {score.name for score, doubted in frame.doubted_classes if not doubted}
    assert certain and certain == set(frame.certain_names)
    assert set(Recognizer(counting.model)(photos["cat"]).certain_names) == certain


def test_every_frame_is_classified_and_tagged_by_what_it_shows(counting, photos):
    watch, bright = SceneTracker(counting), np.clip(photos["cat"] * 1.1, 0, 255).astype(np.uint8)
    first, second = watch(photos["cat"]), watch(bright)
    assert counting.captions == 1 and second.caption is first.caption
    assert second.classes != first.classes and second.tags != first.tags


def test_the_threshold_is_the_bundles(counting, photos):
    counting.model.metadata = replace(counting.model.metadata, scene_threshold=2.0)
    watch = SceneTracker(counting)
    assert (
        watch(photos["coffee"]).caption is watch(photos["cat"]).caption and counting.captions == 1
    )


def test_an_old_caption_gives_way_to_a_likelier_one_only(counting, photos):
    now = [100.0]
    watch = SceneTracker(counting, caption_every=5, clock=lambda: now[0])
    first = watch(photos["cat"]).caption
    now[0] = 104.9
    assert watch(photos["cat"]).caption is first and counting.captions == 1
    now[0] = 105.0
    counting.next_caption = Caption("less likely", ("less", "likely"), first.log_probability - 1)
    assert watch(photos["cat"]).caption is first and counting.captions == 2
    now[0], counting.next_caption = (
        110.0,
        Caption("likelier", ("likelier",), first.log_probability + 1),
    )
    assert watch(photos["cat"]).caption is counting.next_caption and counting.captions == 3
    now[0], counting.next_caption = 110.1, Caption("too early", ("too", "early"), -0.1)
    assert watch(photos["cat"]).caption.text == "likelier" and counting.captions == 3


def test_a_caption_that_is_asked_for_replaces_a_likelier_one(counting, photos):
    watch = SceneTracker(counting)
    first = watch(photos["cat"])
    counting.next_caption = Caption("a dog", ("a", "dog"), first.caption.log_probability - 5)
    assert watch(photos["cat"]).caption is first.caption and counting.captions == 1
    watch.caption_next()
    second = watch(photos["cat"])
    assert second.caption.text == "a dog" and second.scene == first.scene
    assert watch(photos["cat"]).caption is second.caption and counting.captions == 2


def test_with_nothing_between_captions_every_frame_is_captioned(counting, photos):
    watch = SceneTracker(counting, caption_every=0)
    for _ in range(3):
        watch(photos["cat"])
    assert counting.captions == 3


def test_an_old_caption_gives_way_to_a_surer_one_where_captions_have_confidence(counting, photos):
    counting.next_caption = surer = Caption("a dog", ("a", "dog"), -2.0, 0.5)
    watch = SceneTracker(counting, caption_every=0)
    assert watch(photos["cat"]).caption is surer
    counting.next_caption = Caption("likelier", ("likelier",), -1.0, 0.4)
    assert watch(photos["cat"]).caption is surer
    counting.next_caption = Caption("surer", ("surer",), -3.0, 0.6)
    assert watch(photos["cat"]).caption is counting.next_caption


def test_the_caption_listens_to_the_classes_of_its_frame(counting, photos):
    watch = SceneTracker(counting)
    watch(photos["cat"])
    expected = Recognizer(counting.model).class_scores(photos["cat"])
    np.testing.assert_array_equal(counting.guiding_scores, expected)


def test_captions_leave_no_memory_behind(photos, bundle):
    watch = SceneTracker(Recognizer(bundle, threads=1), caption_every=0)
    for _ in range(100):
        watch(photos["cat"])
    before = sys.getallocatedblocks()
    for _ in range(100):
        watch(photos["cat"])
    # Python's own lists of free objects may take some; a block a frame would be 100.
    assert sys.getallocatedblocks() - before < 50
