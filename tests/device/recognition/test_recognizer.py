"""From a picture to a Recognition, with a bundle and with a stand-in for one."""

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from picaption.device import Bundle, Caption, Recognition, Recognizer, Score
from picaption.device.bundle.bundle import Encoded
from picaption.device.bundle.metadata import Beam, Guidance, Input, Metadata
from picaption.device.bundle.vocabulary import (
    END_ID,
    SPECIAL_WORDS,
    START_ID,
    UNKNOWN_ID,
    Vocabulary,
)
from picaption.device.bundle.word_evidence import REFERENCE_PROBABILITY
from picaption.device.errors import PicaptionError
from picaption.device.recognition.recognizer import best_caption, best_scores
from picaption.device.recognition.stopwatch import Stopwatch

GREY = np.full((9, 9, 3), 60, np.uint8)
#: What follows two words in "a man 's a dog", a being 3, man 4, 's 5 and dog 6.
NEXT = {(START_ID, START_ID): 3, (START_ID, 3): 4, (3, 4): 5, (4, 5): 3, (5, 3): 6, (3, 6): END_ID}
STAGES = ["preprocess", "encode", "classify", "caption"]


@pytest.fixture
def recognizer(bundle):
    return Recognizer(bundle)


def told(recognition):
    """Return all that a Recognition says of the picture itself."""
    return recognition.caption, recognition.tags, recognition.classes


def stand_in(words=(), labels=("cat", "cup", "dog", "spoon")):
    """Return a model that tells "a man's a dog" of each picture, or nothing without those words."""

    def encode(image):
        assert image.shape == (4, 6, 3)
        tags = np.array([0.9, 0.1], np.float32)
        return Encoded(
            image.mean((0, 1))[None], *((np.zeros((1, 2)), tags) if words else (None, None))
        )

    def next_word(history, context):
        scores = np.full((len(history), 7), -9, np.float32)
        scores[
            np.arange(len(history)), [NEXT.get(tuple(row), UNKNOWN_ID) for row in history.tolist()]
        ] = -0.5
        return scores

    def classify(features, evidence):
        called = (
            0 if evidence is None else REFERENCE_PROBABILITY * np.expm1(evidence[3:]).sum() / 10
        )
        return np.array([0.25, 0.5, features[0, 0] / 100, called], np.float32)

    return SimpleNamespace(
        metadata=Metadata(
            "stand-in", order=3, input=Input(4, 6), prompts=("a", "a man"), tags=("man", "cat")
        ),
        vocabulary=Vocabulary(SPECIAL_WORDS + words) if words else None,
        labels=labels,
        names=(),
        encode=encode,
        next_word=next_word,
        classify=classify,
    )


def test_a_recognition_says_all_of_a_picture(recognizer, photos):
    before = time.time()
    recognition = recognizer(photos["cat"])
    assert isinstance(recognition, Recognition) and isinstance(recognition.caption, Caption)
    assert 4 <= len(recognition.caption.words) <= 8 and set(recognition.caption.words) < set(
        recognizer.model.vocabulary.words
    )
    assert recognition.caption.text == " ".join(recognition.caption.words).replace(" 's", "'s")
    assert recognition.caption.log_probability < 0
    assert len(recognition.classes) == 3 and {label.name for label in recognition.classes} < {
        "cat",
        "cup",
        "person",
        "spoon",
    }
    assert recognition.frame == 0 and before <= recognition.captured_at <= time.time()
    later = recognizer(photos["cat"], 7, 1700000000.25)
    assert (later.frame, later.captured_at) == (7, 1700000000.25)


def test_a_recognition_comes_with_the_features_and_all_tags(recognizer, photos):
    encoded = recognizer.encode(photos["cat"])
    expected = recognizer.model.encode(recognizer.prepare(photos["cat"]))
    np.testing.assert_array_equal(encoded.features, expected.features)
    np.testing.assert_array_equal(encoded.tags, expected.tags)
    recognition = recognizer.recognize(encoded, Stopwatch(), 7, 1.5)
    assert recognition == replace(recognizer(photos["cat"], 7, 1.5), timings=recognition.timings)


def test_a_recognition_passes_on_what_the_camera_reports(recognizer, photos):
    assert recognizer(photos["cat"]).camera is None
    assert recognizer(photos["cat"], camera={"Lux": 12.5}).camera == {"Lux": 12.5}


def test_caption_and_classes_are_those_of_the_recognition(recognizer, photos):
    encoded = recognizer.encode(photos["cat"])
    word_evidence = recognizer.class_evidence(encoded)
    np.testing.assert_array_equal(word_evidence, recognizer.word_evidence(encoded))
    scores = recognizer.classify(encoded, word_evidence)
    caption = recognizer.caption(encoded, scores)
    recognition = recognizer(photos["cat"])
    assert caption == recognition.caption
    assert best_scores(recognizer.model.labels, scores, 3) == recognition.classes


def test_the_stages_take_the_time_in_all(recognizer, photos):
    start = time.perf_counter()
    timings = recognizer(photos["cat"]).timings
    assert timings["total"] < 1000 * (time.perf_counter() - start)
    assert list(timings) == [*STAGES, "total"]
    assert sum(timings[stage] for stage in STAGES) == pytest.approx(timings["total"])
    assert all(milliseconds > 0 for milliseconds in timings.values())


def test_the_json_form_is_versioned_and_rounded():
    recognition = Recognition(
        Caption("a cat", ("a", "cat"), -1.23456789),
        (Score("cat", 0.123456),),
        (Score("dog", 0.987654),),
        {"encode": 1.23456, "total": 2.0},
        3,
        1700000000.123456,
    )
    assert json.loads(json.dumps(recognition.to_json())) == {
        "version": 1,
        "frame": 3,
        "captured_at": 1700000000.123,
        "caption": {
            "text": "a cat",
            "words": ["a", "cat"],
            "log_probability": -1.2346,
            "confidence": None,
            "unsure": False,
        },
        "tags": [{"name": "cat", "score": 0.1235}],
        "classes": [{"name": "dog", "score": 0.9877}],
        "unsure": False,
        "names": [],
        "scene": 0,
        "camera": None,
        "silence": None,
        "timings_ms": {"encode": 1.235, "total": 2.0},
    }


def test_what_a_bundle_says_has_a_json_form(recognizer, photos):
    recognition = recognizer(photos["coffee"])
    told_again = json.loads(json.dumps(recognition.to_json()))
    assert told_again["caption"]["words"] == list(recognition.caption.words)
    assert [label["name"] for label in told_again["classes"]] == [
        label.name for label in recognition.classes
    ]


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (64, 64), (480, 640), (1080, 1920)])
def test_a_picture_may_have_any_size(recognizer, shape):
    image = np.full((*shape, 3), 77, np.uint8)
    prepared = recognizer.prepare(image)
    assert prepared.shape == (64, 64, 3) and prepared.dtype == np.uint8 and (prepared == 77).all()
    # All these are the same grey square to the network.
    assert told(recognizer(image)) == told(recognizer(np.full((64, 64, 3), 77, np.uint8)))


def test_the_same_picture_says_the_same_whatever_came_before(recognizer, bundle, photos):
    first, other, again = (told(recognizer(photos[name])) for name in ("cat", "coffee", "cat"))
    assert first == again != other
    assert told(Recognizer(bundle)(photos["cat"])) == first
    assert told(Recognizer(bundle)(photos["coffee"])) == other


def test_class_scores_are_those_of_the_recognition(recognizer, photos):
    for image in photos.values():
        scores = recognizer.class_scores(image)
        assert (
            scores.shape == (4,)
            and scores.dtype == np.float32
            and (scores >= 0).all()
            and (scores <= 1).all()
        )
        assert best_scores(recognizer.model.labels, scores, 3) == recognizer(image).classes


def test_tags_are_those_above_the_threshold_best_first(recognizer, photos):
    model = recognizer.model
    scores = model.encode(recognizer.prepare(photos["coffee"])).tags
    assert scores.shape == (10,)
    third = float(np.sort(scores)[-3])
    for threshold, count in ((0.0, 5), (third, 3), (third + 1e-6, 2), (1.0, 0)):
        model.metadata = replace(model.metadata, tag_threshold=threshold)
        recognition = recognizer(photos["coffee"]).tags
        assert len(recognition) == count
        assert recognition == best_scores(model.metadata.tags, scores, count)


def test_the_beam_is_the_bundles_or_ones_own(bundle, photos, monkeypatch):
    model, widths = Bundle(bundle), []
    next_word = model.next_word
    monkeypatch.setattr(
        model,
        "next_word",
        lambda history, context: (widths.append(len(history)), next_word(history, context))[1],
    )
    for beam, width in ((None, 2), (replace(model.metadata.beam, width=5), 5)):
        Recognizer(model, beam=beam)(photos["cat"])
        assert set(widths) == {width, len(model.metadata.prompts)}
        widths.clear()


def test_the_tags_help_to_choose_the_caption():
    model = stand_in(("a", "man", "'s", "dog"))
    # "man" and "dog" are as likely after the start; only the tags know which of them is seen.
    model.next_word = lambda history, context: np.log(
        np.where(
            history[:, -1:] == START_ID,
            [1e-9, 1e-9, 1e-9, 1e-9, 0.4, 1e-9, 0.6],
            [1e-9, 1, *[1e-9] * 5],
        )
    ).astype(np.float32)
    encoded = Encoded(np.zeros((1, 3)), np.zeros((1, 2)), np.array([0.9, 0.1], np.float32))
    model.metadata = replace(model.metadata, tags=("man", "dog"))
    assert best_caption(model, encoded, Beam(2, 1, 3)).words == (6,)
    # log 0.4 / 2 + 0.9 weight against log 0.6 / 2 + 0.1 weight: even at 0.253.
    assert best_caption(model, encoded, Beam(2, 1, 3, tag_weight=0.25)).words == (6,)
    assert best_caption(model, encoded, Beam(2, 1, 3, tag_weight=0.26)).words == (4,)


def test_the_classifier_hears_which_words_the_picture_calls_for():
    recognizer = Recognizer(stand_in(("a", "man", "'s", "dog")))
    recognition = recognizer(GREY)
    assert recognition.caption == Caption("a man's a dog", ("a", "man", "'s", "a", "dog"), 6 * -0.5)
    assert recognition.tags == (Score("man", pytest.approx(0.9)),)
    word_evidence = recognizer.word_evidence(recognizer.encode(GREY))
    called = REFERENCE_PROBABILITY * np.expm1(word_evidence[3:]).sum() / 10
    np.testing.assert_allclose(recognizer.class_scores(GREY), [0.25, 0.5, 0.6, called], rtol=1e-4)
    assert recognition.classes == (
        Score("dog", pytest.approx(0.6)),
        Score("cup", 0.5),
        Score("cat", 0.25),
    )


def test_where_there_are_no_classes_the_captioner_is_not_asked():
    model = stand_in(("a", "man", "'s", "dog"), labels=())
    asked = []
    model.next_word = lambda history, context, known=model.next_word: (
        asked.append(len(history)) or known(history, context)
    )
    recognizer = Recognizer(model)
    assert recognizer(GREY).caption.text == "a man's a dog" and set(asked) == {3}
    assert recognizer.class_evidence(recognizer.encode(GREY)) is None


def test_the_caption_listens_to_the_classes():
    # The dog's score is 0.6: 99 * log(0.62 / 1.02) = -49.3, where other words are at -9.
    model = stand_in(("a", "man", "'s", "dog"))
    model.metadata = replace(model.metadata, object_words=((), (), ("dog",), ()))
    for guidance, says_dog in (
        (Guidance(), True),
        (Guidance(class_weight=9, pivot=0.6), True),
        (Guidance(class_weight=99, pivot=1.0, floor=-50), False),
    ):
        model.metadata = replace(model.metadata, guidance=guidance)
        caption = Recognizer(model)(GREY).caption
        assert ("dog" in caption.words) is says_dog
        unguided = Recognizer(model).caption(model.encode(np.full((4, 6, 3), 60, np.uint8)))
        assert unguided.text == "a man's a dog"


def test_a_recognition_is_unsure_where_no_class_reaches_the_threshold():
    model = stand_in(("a", "man", "'s", "dog"))
    for threshold, unsure in ((0.59, False), (0.61, True)):
        model.metadata = replace(model.metadata, label_threshold=threshold)
        recognition = Recognizer(model)(GREY)
        assert recognition.unsure is unsure and recognition.to_json()["unsure"] is unsure
    assert not Recognizer(stand_in(labels=()))(GREY).unsure


def test_without_a_captioner_there_are_classes_alone():
    recognition = Recognizer(stand_in())(GREY)
    assert recognition.caption is None and recognition.tags == ()
    assert recognition.classes == (
        Score("dog", pytest.approx(0.6)),
        Score("cup", 0.5),
        Score("cat", 0.25),
    )
    assert recognition.to_json()["caption"] is None


def test_without_labels_there_are_no_classes():
    recognizer = Recognizer(stand_in(labels=()))
    assert recognizer(GREY).classes == ()
    assert recognizer.class_scores(GREY).shape == (0,)


def test_the_bundles_path_may_be_a_string(bundle, photos):
    assert told(Recognizer(str(bundle))(photos["cat"])) == told(Recognizer(bundle)(photos["cat"]))


def test_best_scores_by_hand():
    scores = np.array([0.25, 0.75, 0.5, 0.75], np.float32)
    assert best_scores("abcd", scores, 3) == (Score("b", 0.75), Score("d", 0.75), Score("c", 0.5))
    assert best_scores("abcd", scores, 9)[3] == Score("a", 0.25)
    assert best_scores((), np.empty(0, np.float32), 3) == ()
    assert type(best_scores("abcd", scores, 1)[0].score) is float


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros((4, 6, 3), np.float32), r"not float32 \[4, 6, 3\]"),
        (np.zeros((4, 6), np.uint8), r"not uint8 \[4, 6\]"),
        (np.zeros((4, 6, 4), np.uint8), r"not uint8 \[4, 6, 4\]"),
        (np.zeros((0, 6, 3), np.uint8), r"not uint8 \[0, 6, 3\]"),
        ("cat.jpg", "not str; .*read_image"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(PicaptionError, match=message):
        Recognizer(stand_in())(image)


def test_each_class_is_certain_or_not():
    model = stand_in()
    model.metadata = replace(model.metadata, label_threshold=0.5)
    recognition = Recognizer(model)(GREY)
    assert recognition.certain == (True, True, False) and recognition.threshold == 0.5
    form = recognition.to_json()
    assert [label["certain"] for label in form["classes"]] == [True, True, False]
    assert form["threshold"] == 0.5
