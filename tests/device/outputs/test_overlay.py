"""What is drawn into the picture, and where."""

import numpy as np
import pytest

from picaption.device.outputs.overlay import BLUE, GREY, WHITE, annotate, text_width, wrap
from tests.device.fakes.standins import recognition, silent

LONG = (
    "a woman in an orange space suit smiles in front of an american flag "
    "and a model of a space shuttle"
)


def test_the_picture_above_the_band_stays_as_it_was_and_the_input_untouched():
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    before = image.copy()
    drawn = annotate(image, recognition())
    np.testing.assert_array_equal(image, before)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    top = np.flatnonzero((drawn != image).any(axis=(1, 2)))[0]
    assert 240 <= top < 440


def test_the_band_is_translucent_and_holds_white_words_and_blue_classes():
    image = np.full((480, 640, 3), 150, np.uint8)
    foot = annotate(image, recognition())[-60:].reshape(-1, 3)
    assert (foot == (150 // 3 + 10,) * 3).all(axis=1).mean() > 0.5
    drawn = annotate(image, recognition()).reshape(-1, 3)
    assert (drawn > 225).all(axis=1).sum() > 200
    assert (drawn == BLUE).all(axis=1).sum() > 200


def test_what_is_not_certain_has_a_question_mark():
    image = np.zeros((480, 640, 3), np.uint8)
    classes = (("cat", 0.97), ("dog", 0.14))
    drawn = annotate(image, recognition(classes=classes, certain=(True, False)))
    asked = annotate(image, recognition(classes=(("cat", 0.97), ("dog?", 0.14))))
    np.testing.assert_array_equal(drawn, asked)


def test_an_uncertain_caption_is_grey():
    image = np.zeros((480, 640, 3), np.uint8)
    sure = annotate(image, recognition(classes=(), tags=())).reshape(-1, 3)
    doubted = annotate(image, recognition(classes=(), tags=(), doubted=True)).reshape(-1, 3)
    assert (sure == 255).all(axis=1).sum() > 200
    assert not (doubted == 255).all(axis=1).any()
    assert (doubted == GREY).all(axis=1).sum() > 200


def test_nothing_recognised_draws_no_words():
    drawn = annotate(np.zeros((480, 640, 3), np.uint8), recognition(None, classes=(), tags=()))
    assert drawn.max() == 10


def test_where_there_is_nothing_to_see_that_stands_there_in_grey_and_nothing_else():
    drawn = annotate(np.zeros((480, 640, 3), np.uint8), silent()).reshape(-1, 3)
    assert (drawn == GREY).all(axis=1).sum() > 50
    assert not (drawn == WHITE).all(axis=1).any() and not (drawn == BLUE).all(axis=1).any()


def test_classes_with_a_low_score_are_left_out_but_the_best():
    image = np.zeros((480, 640, 3), np.uint8)

    def blue(classes):
        return (annotate(image, recognition(classes=classes)) == BLUE).all(axis=2).sum()

    best_alone = blue((("cat", 0.05),))
    assert best_alone > 0
    assert blue((("cat", 0.05), ("dog", 0.04))) == best_alone
    assert blue((("cat", 0.25), ("dog", 0.24))) > best_alone * 1.5
    assert (
        annotate(image, recognition(unsure=True)) != annotate(image, recognition())
    ).any()  # A question mark.


def test_a_longer_caption_needs_a_higher_band_of_at_most_half_the_picture():
    image = np.full((480, 640, 3), 200, np.uint8)

    def band(text):
        return (annotate(image, recognition(text))[:, -1, 0] != 200).sum()

    assert band("a cat") < band(LONG) < band(LONG + " " + LONG) <= 240
    assert band(" ".join([LONG] * 20)) <= 480


def test_small_pictures_are_enlarged_so_that_words_can_be_read():
    assert annotate(np.zeros((48, 64, 3), np.uint8), recognition()).shape == (360, 480, 3)
    assert annotate(np.zeros((224, 224, 3), np.uint8), recognition()).shape == (480, 480, 3)


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 500), (500, 1), (3, 3000), (3000, 3), (40, 5000), (2000, 1500)]
)
@pytest.mark.parametrize("text", [LONG, "a" * 300, "", "größer als ein 東京 haus"])
def test_any_size_and_any_text_can_be_drawn(shape, text):
    drawn = annotate(np.zeros((*shape, 3), np.uint8), recognition(text))
    assert drawn.ndim == 3 and drawn.shape[2] == 3 and drawn.dtype == np.uint8


def test_wrap_breaks_between_words_and_loses_none():
    lines = wrap(LONG, 20, 300)
    assert " ".join(lines) == LONG and len(lines) > 3
    assert all(text_width(line, 20) <= 300 for line in lines)


@pytest.mark.parametrize("size", [(480, 640), (240, 320), (720, 1280), (375, 500), (1080, 1920)])
def test_no_letter_leaves_the_picture(size):
    for text in (LONG, "a man wearing a black shirt is standing on a cell phone"):
        drawn = annotate(np.zeros((*size, 3), np.uint8), recognition(text))
        assert drawn[:, -4:].max() <= 10 and drawn[:, :4].max() <= 10


def test_wrap_breaks_a_word_that_is_too_long():
    lines = wrap("tiny " + "x" * 100, 20, 200)
    assert lines[0] == "tiny" and "".join(lines[1:]) == "x" * 100
    assert all(text_width(line, 20) <= 200 for line in lines)
