"""What the search adds to words by the scores of classes, names and tags, by hand."""

import math

import numpy as np
import pytest

from picaption.device.bundle.metadata import Beam, Guidance, Metadata
from picaption.device.bundle.names import NamedClass
from picaption.device.bundle.vocabulary import END_ID, SPECIAL_WORDS, START_ID, Vocabulary
from picaption.device.recognition.beam_search import beam_search
from picaption.device.recognition.guidance import CaptionGuide, create_guide

VOCABULARY = Vocabulary((*SPECIAL_WORDS, "a", "man", "dog", "hot", "train", "track", "rocket"))
A, MAN, DOG, HOT, TRAIN, TRACK, ROCKET = range(3, 10)
#: Of the classes person, dog, hot dog, train; the vocabulary lacks the puppy.
OBJECT_WORDS = (("man",), ("dog", "puppy"), ("hot dog",), ("train",))
SCORES = np.array([0.48, 0.08, 0.98, 0.23], np.float32)
GUIDANCE = Guidance(class_weight=2, pivot=0.48, floor=-3, ceiling=1, choice_weight=0.5)
#: 2 * log((score + 0.02) / 0.5): the dog's -3.22 is at the floor, the hot dog's 1.39 at the top.
PERSON, NO_DOG, HOT_DOG, NO_TRAIN = 0, -3, 1, 2 * math.log(0.5)


def guide(guidance=GUIDANCE, names=()):
    metadata = Metadata(
        "x", object_words=OBJECT_WORDS, other_things=("train track",), guidance=guidance
    )
    return CaptionGuide(metadata, VOCABULARY, names)


def next_scores(bonuses, *captions):
    """Return what the words after each caption get, [captions, V]."""
    scores = np.zeros((len(captions), len(VOCABULARY)), np.float32)
    bonuses.add(scores, captions)
    return scores


def expected(**bonuses):
    row = np.zeros(len(VOCABULARY))
    for word, bonus in bonuses.items():
        row[VOCABULARY.word_ids[word]] = bonus
    return pytest.approx(row, abs=1e-5)


def test_a_word_gets_the_bonus_of_its_class():
    start, after_hot, after_train, after_dog = next_scores(
        guide().bonuses(SCORES), (), (A, HOT), (A, TRAIN), (HOT, DOG)
    )
    assert list(start) == expected(man=PERSON, dog=NO_DOG, train=NO_TRAIN)
    assert list(after_hot) == expected(man=PERSON, dog=HOT_DOG, train=NO_TRAIN)
    # A train track is no train: what the train got is given back.
    assert list(after_train) == expected(dog=NO_DOG, train=NO_TRAIN, track=-NO_TRAIN)
    assert list(after_dog) == list(start)


@pytest.mark.parametrize(
    "caption, total, choice",
    [
        ((), 0, 0),
        ((A, HOT), 0, 0),
        ((A, MAN, DOG), NO_DOG, 0.5 * (0 - 0.4)),
        ((A, HOT, DOG), HOT_DOG, 0.5 * 0.5),
        ((DOG, DOG), 2 * NO_DOG, 0.5 * -0.4),
        ((A, TRAIN, TRACK), 0, 0),
        ((HOT, DOG, TRAIN), HOT_DOG + NO_TRAIN, 0.5 * (0.5 - 0.25)),
    ],
)
def test_a_caption_gets_the_sum_and_a_choice_by_the_classes_it_names(caption, total, choice):
    bonuses = guide().bonuses(SCORES)
    assert bonuses.total(caption) == pytest.approx(total, abs=1e-5)
    assert bonuses.choice_score(caption) == pytest.approx(choice, abs=1e-5)


def test_a_word_of_two_classes_gets_the_better_bonus():
    metadata = Metadata("x", object_words=(("man",), ("man",)), guidance=GUIDANCE)
    bonuses = CaptionGuide(metadata, VOCABULARY).bonuses(np.array([0.23, 0.0], np.float32))
    assert bonuses.words[MAN] == pytest.approx(NO_TRAIN)


def test_names_encourage_the_words_that_may_be_used_of_them():
    guidance = Guidance(name_weight=1, name_pivot=0.08, name_ceiling=2)
    names = (
        NamedClass("n1", "husky", ("husky", "dog")),
        NamedClass("n2", "pug", ("pug", "dog")),
        NamedClass("n3", "frankfurter", ("hot dog",)),
        NamedClass("n4", "missile", ("missile", "rocket")),
    )
    # log((p + 0.02) / 0.1), from 0 to 2: dogs 0.38, hot dog 0.05, rocket 0.98.
    scores = np.array([0.2, 0.18, 0.05, 0.98], np.float32)
    bonuses = guide(guidance, names).bonuses(SCORES, scores)
    start, after_hot = next_scores(bonuses, (), (HOT,))
    assert list(start) == expected(dog=math.log(4), rocket=2)
    assert list(after_hot) == list(start)
    assert next_scores(guide(guidance, names).bonuses(SCORES), ())[0].any() is np.False_


def test_a_class_that_its_names_vouch_for_is_not_penalised():
    names = (
        NamedClass("n1", "husky", ("husky", "dog")),
        NamedClass("n2", "pug", ("puppy", "animal")),
        NamedClass("n3", "cat", ("cat", "animal")),
    )
    scores = np.array([0.2, 0.28, 0.5], np.float32)
    bonuses = guide(names=names).bonuses(SCORES, scores)
    (start,) = next_scores(bonuses, ())
    # The dog's score is 0.2 + 0.28 instead of 0.08: at the pivot.
    assert list(start) == expected(train=NO_TRAIN)
    assert bonuses.choice_score((DOG,)) == pytest.approx(0, abs=1e-6)
    # Where the classes are surer, they count.
    surer = guide(names=names).bonuses(SCORES, np.array([0.01, 0, 0.99], np.float32))
    assert next_scores(surer, ())[0][DOG] == pytest.approx(NO_DOG)
    assert next_scores(guide(names=names).bonuses(SCORES), ())[0][DOG] == pytest.approx(NO_DOG)


def test_names_and_classes_add_up_in_a_phrase_too():
    guidance = Guidance(class_weight=2, pivot=0.48, floor=-3, name_weight=1, name_pivot=0.08)
    names = (NamedClass("n1", "frankfurter", ("hot dog",)),)
    bonuses = guide(guidance, names).bonuses(SCORES, np.array([0.38], np.float32))
    (after_hot,) = next_scores(bonuses, (HOT,))
    assert after_hot[DOG] == pytest.approx(HOT_DOG + math.log(4), abs=1e-5)
    assert bonuses.total((HOT, DOG)) == pytest.approx(HOT_DOG + math.log(4), abs=1e-5)


def test_tags_speak_for_and_against_their_words():
    guidance = Guidance(tag_weight=2, tag_pivot=0.48, tag_floor=-3, tag_ceiling=1)
    metadata = Metadata("x", tags=("man", "hot", "rocket", "unicorn"), guidance=guidance)
    bonuses = create_guide(metadata, VOCABULARY).bonuses(
        np.empty(0, np.float32), None, np.array([0.08, 0.98, 0.23, 0.98], np.float32)
    )
    # As of SCORES; the vocabulary lacks the unicorn.
    start, after_hot = next_scores(bonuses, (), (HOT,))
    assert list(start) == expected(man=-3, hot=1, rocket=NO_TRAIN, **{"<unk>": 1})
    assert list(after_hot) == list(start)
    assert bonuses.total((A, MAN, HOT)) == pytest.approx(-2, abs=1e-5)


def test_a_bundle_that_says_nothing_of_it_has_no_guide():
    metadata = Metadata("x", object_words=OBJECT_WORDS)
    assert create_guide(metadata, VOCABULARY) is None
    assert create_guide(Metadata("x", guidance=GUIDANCE), VOCABULARY) is None
    assert create_guide(Metadata("x", guidance=Guidance(name_weight=1)), VOCABULARY) is None
    guided = Metadata("x", object_words=OBJECT_WORDS, guidance=GUIDANCE)
    assert create_guide(guided, None) is None
    assert create_guide(guided, VOCABULARY) is not None


def search(bonuses, beam):
    """Return the captions after "a": dog 0.6, man 0.3, train 0.1, each followed by the end."""

    def next_word(history):
        scores = np.full((len(history), len(VOCABULARY)), -np.inf, np.float32)
        for row, last in enumerate(history[:, -1].tolist()):
            if last == START_ID:
                scores[row, A] = 0
            elif last == A:
                scores[row, [DOG, MAN, TRAIN]] = np.log([0.6, 0.3, 0.1])
            else:
                scores[row, END_ID] = 0
        return scores

    return beam_search(next_word, 2, beam, bonuses=bonuses)


def test_the_search_takes_bonuses_and_tells_log_probabilities_without_them():
    beam = Beam(3, 1, 4, length_penalty=0.0)
    assert [caption.words for caption in search(None, beam)] == [(A, DOG), (A, MAN), (A, TRAIN)]
    captions = search(guide().bonuses(SCORES), beam)
    # The scores: man log 0.3 = -1.20; dog log 0.6 - 3 - 0.2 = -3.71; train log 0.1 - 1.39 - 0.125.
    assert [caption.words for caption in captions] == [(A, MAN), (A, DOG), (A, TRAIN)]
    assert [caption.score for caption in captions] == pytest.approx(
        [-1.204, -3.711, -3.814], abs=1e-3
    )
    assert [math.exp(caption.log_probability) for caption in captions] == pytest.approx(
        [0.3, 0.6, 0.1], rel=1e-4
    )


def test_the_choice_weighs_beside_the_score_divided_by_the_length():
    # Three words and the end: log 0.6 / 3 = -0.170, log 0.3 / 3 = -0.401.
    beam = Beam(3, 1, 4, length_penalty=1.0)
    scores = np.array([0.98, 0.48, 0, 0], np.float32)
    for weight, best in ((0.4, DOG), (0.5, MAN)):
        guidance = Guidance(choice_weight=weight, pivot=0.48)
        assert search(guide(guidance).bonuses(scores), beam)[0].words == (A, best)
