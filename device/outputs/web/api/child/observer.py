"""What the pictures of a request show, as far as answers need it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .....bundle.names import NameTree
from .....bundle.object_words import ClassPhrases, Phrases, index_phrases
from .....recognition.recognizer import Recognizer
from .....recognition.result import Recognition, Score
from .....recognition.stopwatch import Stopwatch

#: The classes and names that phrases name; () for something else.
NamePhrases = Phrases[tuple[str, ...]]

#: A class of a lower score is not in the picture.
ABSENT_SCORE = 0.1
#: The most certain objects and names that an answer names.
MAX_OBJECTS = 10

YES = "yes"
NO = "no"
UNSURE = "unsure"


@dataclass(frozen=True)
class View:
    """What one or more images show.

    Attributes:
        recognitions: Of the images.
        scores: The classes and their highest scores.
        objects: The classes that are certain, best first.
        names: The names of the second set that are certain, as Recognitions have them.
        tags: The tags, best first.
        threshold: The score from which a class is certain.
    """

    recognitions: tuple[Recognition, ...]
    scores: dict[str, float]
    objects: tuple[Score, ...]
    names: tuple[Score, ...]
    tags: tuple[Score, ...]
    threshold: float

    @property
    def silence(self) -> str | None:
        """Why nothing can be told of any image; None: of one of them, something can."""
        silences = [recognition.silence for recognition in self.recognitions]
        if None in silences:
            return None
        return silences[0]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The captions, once each, as people read them."""
        texts = [
            recognition.caption.hedged
            for recognition in self.recognitions
            if recognition.caption is not None
        ]
        return tuple(as_sentence(text) for text in dict.fromkeys(texts))

    @property
    def confidence(self) -> float | None:
        """How likely the captions name nothing that is absent; None: not known."""
        confidences = [
            recognition.caption.confidence
            for recognition in self.recognitions
            if recognition.caption is not None and recognition.caption.confidence is not None
        ]
        return min(confidences, default=None)

    @property
    def is_unsure(self) -> bool:
        """Whether a caption is uncertain, or there is none."""
        captions = [recognition.caption for recognition in self.recognitions]
        return any(caption is None or caption.unsure for caption in captions)

    def verdict(self, name: str) -> str:
        """Return whether a class or name is in one of the images: YES, NO or UNSURE."""
        if self.silence is not None:
            return UNSURE
        if any(name == score.name for score in self.names):
            return YES
        score = self.scores.get(name)
        # The names' probabilities sum to 1: what is not the likeliest may be there all the same.
        if score is None:
            return UNSURE
        if score >= self.threshold:
            return YES
        return NO if score <= ABSENT_SCORE else UNSURE


class Observer:
    """Recognises the images of requests.

    Args:
        recognizer: What recognises one.

    Attributes:
        recognizer: The same.
        phrases: Which names the words of a question name, by tuples of words; () for what is
            neither.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer
        model = recognizer.model
        self._name_tree = NameTree(model.names) if model.names else None
        self.phrases = self._index_names()

    def _index_names(self) -> NamePhrases:
        """Return what the phrases of a question name: classes, and names beside them."""
        model = self.recognizer.model
        words = model.metadata.object_words or tuple((label.lower(),) for label in model.labels)
        classes: ClassPhrases = index_phrases(words, model.metadata.other_things)
        phrases: NamePhrases = Phrases(
            {
                phrase: tuple(model.labels[index] for index in indices)
                for phrase, indices in classes.items()
            }
        )
        for name in self._name_tree.names if self._name_tree else ():
            phrases.setdefault(tuple(name.lower().split()), (name,))
        return phrases

    def recognize(self, image: np.ndarray) -> tuple[Recognition, np.ndarray, tuple[Score, ...]]:
        """Return the Recognition of an image, its class scores and its certain names.

        Args:
            image: uint8 RGB [height, width, 3].

        Returns:
            The Recognition; float32 [C], empty if there is nothing to see; all names that are
            certain.
        """
        recognizer = self.recognizer
        stopwatch = Stopwatch()
        now = time.time()
        prepared, silence = recognizer.look(image, stopwatch)
        if silence is not None:
            silent = recognizer.say_nothing(silence, stopwatch, captured_at=now)
            return silent, np.empty(0, np.float32), ()
        encoded = recognizer.encode_prepared(prepared, stopwatch)
        recognition = recognizer.recognize(encoded, stopwatch, captured_at=now)
        scores = recognizer.classify(encoded, recognizer.class_evidence(encoded))
        names: tuple[Score, ...] = ()
        name_scores = recognizer.name_scores(encoded)
        if self._name_tree is not None and name_scores is not None:
            threshold = recognizer.model.metadata.name_threshold
            count = len(self._name_tree.names)
            certain = self._name_tree.certain(name_scores, threshold, count)
            names = tuple(Score(*pair) for pair in certain)
        return recognition, scores, names

    def observe(self, images: Sequence[np.ndarray]) -> View:
        """Return what images show, uint8 RGB [height, width, 3] each."""
        labels = self.recognizer.model.labels
        recognitions = []
        best = np.zeros(len(labels), np.float32)
        names: dict[str, float] = {}
        tags: dict[str, float] = {}
        for image in images:
            recognition, scores, certain_names = self.recognize(image)
            recognitions.append(recognition)
            if len(scores):
                best = np.maximum(best, scores)
            for target, pairs in ((names, certain_names), (tags, recognition.tags)):
                for name, score in pairs:
                    target[name] = max(score, target.get(name, 0.0))
        threshold = self.recognizer.model.metadata.label_threshold
        by_label = dict(zip(labels, best.tolist()))
        objects = [Score(*pair) for pair in by_label.items() if pair[1] >= threshold]
        return View(
            tuple(recognitions),
            by_label,
            _best(objects)[:MAX_OBJECTS],
            tuple(Score(*pair) for pair in names.items()),
            _best([Score(*pair) for pair in tags.items()]),
            threshold,
        )


def as_sentence(text: str) -> str:
    """Return a text with a capital at its beginning and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:]}."


def _best(scores: list[Score]) -> tuple[Score, ...]:
    return tuple(sorted(scores, key=lambda score: -score.score))
