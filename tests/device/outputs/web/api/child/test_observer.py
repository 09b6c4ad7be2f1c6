"""What pictures show, as far as answers need it."""

from dataclasses import replace

import numpy as np

from picaption.device.bundle.metadata import Silence
from picaption.device.bundle.names import NamedClass
from picaption.device.outputs.web.api.child.observer import NO, UNSURE, YES, Observer
from picaption.device.recognition.recognizer import Recognizer
from picaption.device.recognition.result import Score
from tests.device.fakes.model import StandInModel

WHITE = np.full((8, 8, 3), 255, np.uint8)
BLACK = np.zeros((8, 8, 3), np.uint8)


class DimModel(StandInModel):
    """Sees a cat where a picture is bright and a dog where it is not."""

    def encode(self, image):
        encoded = super().encode(image)
        self.is_bright = image.mean() > 128
        return encoded

    def classify(self, features, word_evidence):
        scores = (0.97, 0.04) if self.is_bright else (0.3, 0.8)
        return np.array(scores, np.float32)


def observer(model=StandInModel, **metadata):
    instance = model()
    instance.metadata = replace(model.metadata, label_threshold=0.5, **metadata)
    return Observer(Recognizer(instance))


def test_a_class_is_there_or_not_or_neither_is_certain():
    view = observer(DimModel).observe([BLACK])
    assert (view.verdict("cat"), view.verdict("dog"), view.verdict("bus")) == (UNSURE, YES, UNSURE)
    view = observer(DimModel).observe([WHITE])
    assert (view.verdict("cat"), view.verdict("dog")) == (YES, NO)
    assert [label.name for label in view.objects] == ["cat"]
    assert view.sentences == ("A cat with green eyes.",)


def test_of_several_pictures_the_highest_scores_count_and_sentences_stand_once():
    view = observer(DimModel).observe([WHITE, BLACK])
    assert [(label.name, round(label.score, 2)) for label in view.objects] == [
        ("cat", 0.97),
        ("dog", 0.8),
    ]
    assert view.sentences == ("A cat with green eyes.",) and len(view.recognitions) == 2


def test_of_a_picture_too_dark_nothing_is_said():
    dark = observer(silence=Silence(brightness=30))
    view = dark.observe([BLACK])
    assert view.silence == "too dark to tell" and view.verdict("cat") == UNSURE
    assert view.objects == view.tags == view.sentences == ()
    # One that shows something is enough.
    assert dark.observe([BLACK, WHITE]).silence is None


def test_phrases_name_classes_and_what_is_neither():
    words = (("cat", "cats"), ("dog", "puppy"))
    phrases = observer(object_words=words, other_things=("hot dog",)).phrases
    assert phrases["cats",] == ("cat",) and phrases["puppy",] == ("dog",)
    assert phrases["hot", "dog"] == ()
    # Without words of its own, a class is called by its label.
    assert observer().phrases == {("cat",): ("cat",), ("dog",): ("dog",)}


def test_names_are_known_beside_the_classes():
    class Named(StandInModel):
        names = (NamedClass("n1", "tabby cat", (), ("cat", "animal")), NamedClass("n2", "espresso"))

        def name_scores(self, features):
            return np.array([0.9, 0.1], np.float32)

    watcher = observer(Named)
    view = watcher.observe([WHITE])
    assert watcher.phrases["tabby", "cat"] == ("tabby cat",)
    assert view.verdict("animal") == YES
    # Names exclude each other by their scores, not in the picture.
    assert view.verdict("espresso") == UNSURE
    assert Score("tabby cat", np.float32(0.9)) in view.names
