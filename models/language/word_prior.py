"""What captions without pictures tell of classes: which words go with which class.

Logistic regression from the words that people told of a picture to the classes that others marked in it, neither of which
takes the picture: whoever speaks of a desk and a keyboard probably has a mouse in view, though nobody names it. For the
classifier (picaption.device.recognition.classifier) it is where the words' weights start from.
"""

import numpy as np

from picaption.device.recognition.classifier import fit_logistic_regression, name_prior

from ..data.readers import label_matrix
from ..data.tokenizer import tokenize

#: The loss' share of the squared weights, times the number of pictures; of 1, 10, 100 and 1,000 the best on COCO's text.
PENALTY = 10
#: What a standard deviation of a word's evidence says, of what the word says when people tell it. More serves COCO's pictures
#: as they are little better, and spoiled ones, of which captioners see less, worse.
TRUST = 0.18


def word_prior(records, classes, vocabulary):
    """Return a prior for picaption.device.recognition.classifier.fit_classifier, float32 [V, C], learned from picaption.models.data.readers.Record with captions and labels.

    A class that no record has, and every class where there are no records, gets the prior of its name.
    """
    names = name_prior(classes, vocabulary)
    if not records:
        return names
    told = np.zeros((len(records), len(vocabulary)), np.float32)
    for row, record in zip(told, records):
        for caption in record.captions:
            row[vocabulary.encode(tokenize(caption))] = 1
    truth = label_matrix(records, classes)
    weights, _ = fit_logistic_regression(told, truth, True, PENALTY)
    return np.where(truth.any(0), weights * np.float32(TRUST), names)
