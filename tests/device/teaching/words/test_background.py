"""Images in general: the demo's photographs and their parts."""

import numpy as np

from picaption.device import Bundle, Recognizer
from picaption.device.teaching.words.background import extract_background, no_examples, views


def test_an_image_and_its_parts():
    image = np.arange(10 * 20 * 3).reshape(10, 20, 3)
    parts = list(views(image))
    assert [part.shape[:2] for part in parts] == [(10, 20), *[(5, 10)] * 4, *[(7, 14)] * 4]
    assert [part[0, 0, 0] for part in parts[1:5]] == [0, 30, 300, 330]  # The corners.
    assert parts[-1][-1, -1, -1] == image[-1, -1, -1]


def test_all_photographs_of_the_demo_are_in_it(bundle):
    background = extract_background(Recognizer(Bundle(bundle)))
    assert len(background.features) == len(background.word_evidence) == 10 * 9
    assert background.word_evidence.std(0).max() > 0
    examples = no_examples(("cat", "dog"), background)
    assert examples.counts == {"cat": 0, "dog": 0}
    assert examples.features.shape == (0, background.features.shape[1])
    assert examples.word_evidence.shape == (0, background.word_evidence.shape[1])
