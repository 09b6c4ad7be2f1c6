"""Captions say the names of taught classes: "a cup on a table" becomes "my mug on a table".

The captioner knows no class that was taught later, but has a word for what such a class shows. A
bundle may list these words (`Metadata.class_nouns`), which were measured when it was taught. Where
one class is certain, and the caption has one of its words once, behind an article, then the name of
the class takes the place of the article, the word, and what stands between them. Wherever that is
in doubt, the caption stays.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..bundle.vocabulary import sentence
from .naming import name_phrase
from .result import Caption

#: The least score of a class whose name a caption says.
MIN_SCORE = 0.8
#: What a name takes the place of, with the noun behind it; before others ("two", "his") it does not
#: stand.
ARTICLES = frozenset({"a", "an", "the"})
#: The most words between article and noun.
MAX_ADJECTIVES = 2
#: How a name begins that takes no article.
DETERMINERS = frozenset(
    {"a", "an", "the", "my", "our", "your", "his", "her", "their", "no", "some", "this", "that"}
)


class ClassNamer:
    """Puts names of classes into captions.

    Args:
        labels: the class names.
        class_nouns: for each class the words of a caption that its name takes the place of.
    """

    def __init__(self, labels: Sequence[str], class_nouns: Sequence[Sequence[str]]) -> None:
        self._labels = labels
        self._nouns = tuple(frozenset(nouns) for nouns in class_nouns)
        self._all_nouns = frozenset().union(*self._nouns)

    def rename(self, caption: Caption, class_scores: np.ndarray) -> Caption:
        """Return a caption with the name of the certain class where it has a word for that.

        Args:
            caption: what the captioner says.
            class_scores: the classes' probabilities, float32 [C].
        """
        best = int(class_scores.argmax())
        if class_scores[best] < MIN_SCORE:
            return caption
        words = caption.words
        positions = [index for index, word in enumerate(words) if word in self._nouns[best]]
        if len(positions) != 1:
            return caption
        noun = positions[0]
        start = self._article(words, noun)
        if start is None or self._is_modifier(words, noun):
            return caption
        name = class_phrase(self._labels[best], words[start]).split()
        renamed = (*words[:start], *name, *words[noun + 1 :])
        if renamed == words:
            return caption
        return replace(
            caption,
            text=sentence(renamed),
            words=renamed,
            alternatives=(caption.text, *caption.alternatives),
        )

    def _article(self, words: Sequence[str], noun: int) -> int | None:
        """Return where the article of a noun stands; None without one right before its adjectives.

        A word that ends in -ing may be what somebody does with it.
        """
        for index in range(noun - 1, max(-1, noun - MAX_ADJECTIVES - 2), -1):
            if words[index] in ARTICLES:
                return index
            if words[index].endswith("ing") or words[index] in self._all_nouns:
                return None
        return None

    def _is_modifier(self, words: Sequence[str], noun: int) -> bool:
        """Return whether a noun only says what sort of thing the next one is: a cup holder."""
        return noun + 1 < len(words) and words[noun + 1] not in FOLLOWERS


#: What may stand behind a noun that stands for itself.
FOLLOWERS = frozenset(
    ["is", "are", "was", "has", "and", "or", "with", "without", "of", "on", "in", "at", "to", "by"]
    + ["from", "for", "into", "onto", "over", "under", "next", "near", "behind", "beside", "that"]
    + ["between", "through", "along", "across", "around", "against", "above", "below", "inside"]
    + ["outside", "while", "who", "which", "as", "up", "down", "off", "sitting", "standing"]
    + ["lying", "laying", "walking", "running", "looking", "holding", "wearing", "playing"]
    + ["eating", "riding", "sits", "stands", "lies", "lays", "looks", "runs", "jumps", "walks"]
    + ["filled", "parked", "covered", "surrounded", "hanging", "flying", "sleeping", "jumping"]
)


def class_phrase(label: str, article: str) -> str:
    """Return the name of a class as a caption says it: "my mug", "Rex", "a mug", "the mug".

    Args:
        label: the class name.
        article: the caption's own.
    """
    name = " ".join(label.replace("_", " ").split())
    if name.partition(" ")[0].lower() in DETERMINERS or not name[:1].islower():
        return name
    if article == "the":
        return f"the {name}"
    return name_phrase(name)
