"""Captions say what is certain, where the captioner does not.

The captioner speaks of what the captions that it learned from spoke of. Of a rotary phone it says
"a bunch of animals are sitting on top of a counter", and no class contradicts it. The names know a
thousand things. So a caption gives way to a name, "a rotary phone", where all of this holds:

- the name is certain: its probability reaches `Naming.threshold`;
- the caption speaks of something else: the names that it may be speaking of have less than
  SPOKEN_SHARE of that probability;
- no class vouches for the caption: it names none, or one whose score is below `Naming.support`.

Before, the likeliest class that a caption does not name is added to it, "a woman is sitting on a
couch with a laptop", where its score reaches `Naming.addition`. And a man or a woman, of whom the
captioner is often wrong, is called a person where the word's tag has less than `Naming.doubt`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..bundle.metadata import Metadata
from ..bundle.names import NamedClass, NameTree
from ..bundle.object_words import ClassPhrases, index_phrases, named_classes
from ..bundle.vocabulary import sentence
from .result import Caption

#: The share of a name's probability that a caption has to speak of, or it speaks of something else.
SPOKEN_SHARE = 0.1
#: The nouns of names that take "some": what is not counted in English, and one odd plural.
UNCOUNTED = frozenset(
    {
        *("armor", "bedding", "bread", "broccoli", "carbonara", "cattle", "cloth", "clothing"),
        *("consomme", "coral", "corn", "cream", "dough", "eggnog", "equipment", "food", "fruit"),
        *("furniture", "guacamole", "hay", "kitchenware", "lotion", "mail", "paper", "powder"),
        *("rapeseed", "sauce", "skis", "soup", "sunscreen", "tableware", "tissue", "velvet"),
        *("wine", "wool"),
    }
)
#: The nouns of names that end like a plural and are none.
SINGULAR = frozenset({"flandres", "hen-of-the-woods", "pyrenees", "triceratops"})
_SINGULAR_ENDINGS = ("ss", "us", "is")
#: What people are called whose sex is doubtful.
GENERAL_WORDS = {
    "man": "person",
    "woman": "person",
    "men": "people",
    "women": "people",
    "boy": "child",
    "girl": "child",
    "boys": "children",
    "girls": "children",
}
#: Articles that the first letter does not tell.
ARTICLES = {"hourglass": "an", "one-piece": "a", "unicycle": "a"}


class Namer:
    """Lets captions say what is certain.

    Args:
        metadata: of a bundle with `naming` and words for its classes.
        labels: the classes.
        names: the second set of names; empty without.
        phrases: which classes the words of a caption name.
    """

    def __init__(
        self,
        metadata: Metadata,
        labels: Sequence[str],
        names: Sequence[NamedClass],
        phrases: ClassPhrases,
    ) -> None:
        assert metadata.naming is not None
        self._naming = metadata.naming
        self._confidence = metadata.confidence
        self._labels = labels
        self._class_phrases = phrases
        self._people = {
            tag: index for index, tag in enumerate(metadata.tags) if tag in GENERAL_WORDS
        }
        self._tree = NameTree(names) if names else None
        self._name_phrases = index_phrases(map(spoken_phrases, names), ())

    def with_general_words(self, caption: Caption, tag_scores: np.ndarray) -> Caption:
        """Return a caption with general words for people where the tags doubt the special ones.

        Args:
            caption: what the captioner says.
            tag_scores: the tags', float32 [T].
        """
        doubtful = {
            word
            for word in caption.words
            if word in self._people and tag_scores[self._people[word]] < self._naming.doubt
        }
        if not doubtful:
            return caption
        words = tuple(GENERAL_WORDS[word] if word in doubtful else word for word in caption.words)
        return replace(caption, text=sentence(words), words=words)

    def with_certain_class(self, caption: Caption, class_scores: np.ndarray) -> Caption:
        """Return a caption with the likeliest class that it does not name, where that is certain.

        Args:
            caption: what the captioner says.
            class_scores: the classes' probabilities, float32 [C].
        """
        unnamed = class_scores.copy()
        unnamed[list(named_classes(caption.words, self._class_phrases))] = 0
        best = int(unnamed.argmax())
        if unnamed[best] < self._naming.addition:
            return caption
        joint = "and" if "with" in caption.words else "with"
        words = (*caption.words, joint, *name_phrase(self._labels[best]).split())
        return replace(caption, text=sentence(words), words=words)

    def name_instead(
        self, caption: Caption, class_scores: np.ndarray, name_scores: np.ndarray
    ) -> Caption | None:
        """Return a Caption that says a name and is as sure as that, or None.

        Args:
            caption: what it would take the place of.
            class_scores: the classes' probabilities, float32 [C].
            name_scores: the names', float32 [names].
        """
        objects = list(named_classes(caption.words, self._class_phrases))
        is_supported = bool(objects) and class_scores[objects].min() >= self._naming.support
        if self._tree is None or is_supported:
            return None
        certain = self._tree.certain(name_scores, self._naming.threshold, 1)
        if not certain:
            return None
        name, probability = certain[0]
        spoken_of = list(named_classes(caption.words, self._name_phrases))
        if name_scores[spoken_of].sum() >= SPOKEN_SHARE * probability:
            return None
        text = name_phrase(name)
        named = Caption(
            text,
            tuple(text.split()),
            math.log(probability),
            alternatives=(caption.text, *caption.alternatives),
        )
        if self._confidence is None:
            return named
        unsure = probability < self._confidence.threshold
        return replace(named, confidence=probability, unsure=unsure)


def name_phrase(name: str) -> str:
    """Return a name as a caption says it: "a tripod", "an apron", "some jeans", "some hay"."""
    plain = re.sub(r" *\(.*\)", "", name)
    noun = plain.lower().partition(" of ")[0].split()[-1]
    is_plural = noun.endswith("s") and not noun.endswith(_SINGULAR_ENDINGS)
    if noun in UNCOUNTED or (is_plural and noun not in SINGULAR):
        return f"some {plain}"
    by_letter = "an" if plain[0].lower() in "aeiou" else "a"
    return f"{ARTICLES.get(plain.split()[0], by_letter)} {plain}"


def spoken_phrases(item: NamedClass) -> tuple[str, ...]:
    """Return what a caption may call a named class, in small letters, with plurals in -s."""
    texts = [text.lower() for text in (item.name, *item.words, *item.hypernyms)]
    return tuple(dict.fromkeys([*texts, *(f"{text}s" for text in texts)]))
