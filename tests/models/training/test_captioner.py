"""Training the captioner on cached features."""

import numpy as np

from picaption.device.recognition.classifier import probabilities
from picaption.models.data.batches import Examples
from picaption.models.networks.captioner import build_captioner
from picaption.models.settings import Settings
from picaption.models.training.captioner import train_tagger


def test_the_tagger_learns_a_context_that_has_changed():
    # The last four look like the first two but have no captions: their tags are not learned.
    inputs = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 0, 0, 0, 0]]
    tags = np.array([[1, 0]] * 2 + [[0, 1]] * 6, np.float32)
    captions = [[[3]], [[3]], [[4]], [[4]], [], [], [], []]
    train = Examples(inputs, captions, tags, np.zeros(8, bool))
    captioner = build_captioner((4,), words=9, tags=2, order=3, embedding=4, hidden=32, dropout=0.0)
    train_tagger(captioner, Settings(captions="x", batch=2, learning_rate=0.3), train)
    contexts = captioner.context.predict_on_batch(inputs)
    scores = probabilities(captioner.tagger.predict_on_batch(contexts), True)
    assert ((scores[:4] > 0.5) == tags[:4]).all()
