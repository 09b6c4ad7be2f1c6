"""The figures of names, worked out by hand."""

import numpy as np

from picaption.device.bundle.names import NamedClass
from picaption.device.recognition.result import Caption
from picaption.models.evaluation.name_figures import mention_figures, name_figures

NAMES = (
    NamedClass("1", "tabby cat", (), ("cat",)),
    NamedClass("2", "Egyptian cat", (), ("cat",)),
    NamedClass("3", "laptop"),
)


def test_figures_by_hand():
    scores = np.array(
        [
            [0.5, 0.375, 0.125],  # a cat, though not certain which; a tabby cat
            [0.125, 0.0, 0.875],  # a laptop; a tabby cat
            [0.25, 0.375, 0.375],  # not certain; a laptop, as likely as the Egyptian cat
            [0.125, 0.75, 0.125],  # an Egyptian cat
        ],
        np.float32,
    )
    figures = name_figures(NAMES, scores, np.array([0, 0, 2, 1]), 0.75)
    assert figures == {
        "top_1": 75.0,
        "top_5": 100.0,
        # One image in a bin: |0.5 - 1| + |0.875 - 0| + |0.375 - 0| + |0.75 - 1|, over 4.
        "calibration_error": 50.0,
        "named": 75.0,
        "named_rightly": 66.67,
    }


def test_nothing_is_named_rightly_where_nothing_is_named():
    scores = np.full((2, 3), 1 / 3, np.float32)
    figures = name_figures(NAMES, scores, np.array([0, 2]), 0.9)
    assert (figures["named"], figures["named_rightly"]) == (0.0, None)


def test_captions_that_mention_what_is_shown():
    cat = NamedClass("1", "Egyptian cat", ("Egyptian cat", "cat"), ("animal",))
    captions = [
        Caption("two cats on a couch", (), -1.0),
        Caption("an Egyptian cat", (), -1.0, 0.5, True),
        Caption("a category", (), -1.0),
        Caption("a dog", (), -1.0, 0.5, True),
    ]
    assert mention_figures(captions, [cat] * 4) == {"mentioned": 50, "mentioned_of_sure": 50}
    unsure = mention_figures(captions[3:], [cat])
    assert unsure == {"mentioned": 0, "mentioned_of_sure": None}
