"""A caption's confidence, worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Recognizer
from picaption.device.bundle.metadata import Confidence, Metadata
from picaption.device.bundle.object_words import Phrases, index_phrases
from picaption.device.recognition.confidence import (
    INPUTS,
    caption_confidence,
    confidence_inputs,
    index_object_tags,
    log_odds,
)
from tests.device.fakes.model import StandInModel

PHRASES = index_phrases((("cat", "kitten"), ("dog",), ("cup",)), ("hot dog",))
SCORES = np.array([0.9, 0.2, 0.5], np.float32)
GREY = np.full((8, 8, 3), 60, np.uint8)


def inputs(text, log_probability=-4.0, scores=SCORES):
    return dict(
        zip(INPUTS, confidence_inputs(text.split(), log_probability, scores, PHRASES).tolist())
    )


def test_the_inputs_by_hand():
    assert inputs("a cat and a kitten and a dog", -9.0) == {
        # 0.2 of the dog: ln(0.2 / 0.8); the cup of 0.5 is not named; eight words and the end.
        "lowest_score": pytest.approx(math.log(0.25), abs=1e-6),
        "other_score": 0.0,
        "word_log_probability": -1.0,
        "objects": 2.0,
        "lowest_tag": 0.0,
    }
    assert inputs("a hot dog") == {
        "lowest_score": 0.0,
        "other_score": pytest.approx(math.log(9), abs=1e-6),
        "word_log_probability": -1.0,
        "objects": 0.0,
        "lowest_tag": 0.0,
    }
    everything = inputs("cat dog cup", -400.0)
    assert everything["other_score"] == 0.0 and everything["objects"] == 3.0
    assert everything["word_log_probability"] == -5.0


def test_scores_without_classes_are_no_trouble():
    assert confidence_inputs((), 0.0, np.empty(0, np.float32), Phrases()).tolist() == [
        0,
        0,
        0,
        0,
        0,
    ]
    # Of the tags among its words the lowest counts: ln(0.2 / 0.8).
    with_tags = confidence_inputs(("cat",), 0.0, SCORES, PHRASES, (0.9, 0.2))
    assert with_tags[4] == pytest.approx(math.log(0.25))


def test_tags_that_are_words_for_classes():
    metadata = Metadata("x", tags=("sitting", "dog", "hot"), object_words=(("hot dog",), ("cat",)))
    assert index_object_tags(metadata) == {"dog": 1, "hot": 2}


@pytest.mark.parametrize("score, bounded", [(0.0, 0.01), (1.0, 0.99), (0.3, 0.3)])
def test_log_odds_are_bounded(score, bounded):
    assert log_odds(score) == pytest.approx(math.log(bounded / (1 - bounded)))


def test_the_confidence_by_hand():
    values = np.array([math.log(9), math.log(0.25), -1.0, 2.0, 0.0])
    # 0.5 ln 9 = ln 3, 1 * ln 4, 0.5 * -1, 0.25 * 2 and ln 5: together ln 60.
    weights = Confidence(math.log(5), 0.5, -1.0, 0.5, 0.25, 3.0, 0.8)
    assert caption_confidence(weights, values) == pytest.approx(60 / 61)
    assert caption_confidence(Confidence(), values) == 0.5
    # Without an object nothing is known.
    assert caption_confidence(weights, np.zeros(5)) == pytest.approx(0.799)
    assert caption_confidence(replace(weights, threshold=0.0), np.zeros(5)) == 0
    for bias in (-100, 100):
        extreme = Confidence(bias, *[bias] * len(INPUTS))
        assert 0 <= caption_confidence(extreme, np.full(len(INPUTS), 1000.0)) <= 1


class SureModel(StandInModel):
    """Names the cat by its words, with a confidence."""

    metadata = replace(
        StandInModel.metadata,
        object_words=(("cat",), ("dog",)),
        confidence=Confidence(bias=-1.0, lowest_score=1.0, threshold=0.9),
    )


def test_a_caption_has_the_confidence_of_what_it_names():
    caption = Recognizer(SureModel())(GREY).caption
    # Odds of the cat are 0.97 / 0.03; the tag cat, at 0.8, has no weight.
    assert caption.confidence == pytest.approx(1 / (1 + math.e * 3 / 97), abs=1e-6)
    assert not caption.unsure and caption.hedged == "a cat with green eyes"


def test_the_tags_of_what_it_names_count():
    model = SureModel()
    weights = replace(SureModel.metadata.confidence, lowest_tag=0.5)
    model.metadata = replace(SureModel.metadata, confidence=weights)
    caption = Recognizer(model)(GREY).caption
    # Odds of 97 / 3 / e, times the root of 4.
    assert caption.confidence == pytest.approx(1 / (1 + math.e * 3 / 97 / 2), abs=1e-6)


def test_below_the_threshold_a_caption_is_unsure():
    model = SureModel()
    weights = replace(SureModel.metadata.confidence, bias=-1.3)
    model.metadata = replace(SureModel.metadata, confidence=weights)
    caption = Recognizer(model)(GREY).caption
    assert caption.confidence == pytest.approx(1 / (1 + math.exp(1.3) * 3 / 97), abs=1e-6)
    assert caption.unsure and caption.hedged == "perhaps a cat with green eyes"


@pytest.mark.parametrize("changes", [{"confidence": None}, {"object_words": ()}])
def test_without_weights_or_words_for_the_classes_there_is_none(changes):
    model = SureModel()
    model.metadata = replace(SureModel.metadata, **changes)
    caption = Recognizer(model)(GREY).caption
    assert caption.confidence is None and not caption.unsure
