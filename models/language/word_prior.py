"""Which words go with which class, learned from captions without their images.

Logistic regression from the words of a caption to the labels of its image, neither of which needs
the image: an image whose caption has a desk and a keyboard probably shows a mouse, though nobody
names it. In the classifier (picaption.device.recognition.classifier) it is the mean of the words'
weights, from which the fit starts.
"""

from collections.abc import Sequence

import numpy as np

from picaption.device.bundle.vocabulary import Vocabulary
from picaption.device.recognition.classifier import fit_logistic_regression, name_prior

from ..data.readers import Record, label_matrix
from ..data.tokenizer import tokenize

#: The weight of the squared weights in the loss, times the number of images; of 1, 10, 100 and
#: 1,000 the best on COCO's text.
PENALTY = 10
#: What a standard deviation of a word's evidence counts, as a share of what the word counts in a
#: caption that people write. More is a little better on COCO's images as they are, and worse on
#: corrupted ones, of which a captioner sees less.
TRUST = 0.18


def word_prior(
    records: Sequence[Record], classes: Sequence[str], vocabulary: Vocabulary
) -> np.ndarray:
    """Learn a prior for picaption.device.recognition.classifier.fit_classifier.

    Args:
        records: Captions with labels; none for the prior of the classes' names alone.
        classes: The names of the classes.
        vocabulary: Of the captioner.

    Returns:
        The prior, float32 [V, C]. A class that no record has gets the prior of its name.
    """
    names = name_prior(classes, vocabulary)
    if not records:
        return names
    has_word = np.zeros((len(records), len(vocabulary)), np.float32)
    for row, record in zip(has_word, records):
        for caption in record.captions:
            row[vocabulary.encode(tokenize(caption))] = 1
    truth = label_matrix(records, classes)
    weights, _ = fit_logistic_regression(has_word, truth, True, PENALTY)
    return np.where(truth.any(0), weights * np.float32(TRUST), names)
