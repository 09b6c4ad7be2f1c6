"""What a bundle knows of classes by their names and descriptions, before it has seen an image.

A description is compared with what people say of images (Pratt et al., "What does a platypus look
like?", ICCV 2023; Yang et al., "Language in a Bottle", CVPR 2023), in words that this bundle has
for them. Each of its words counts twice, where it can: by the word evidence, whether the captioner
calls for it; and by the weights of the bundle's names that are called so, such as the 119 dogs for
a dog. A word that many names share says less than one of few: a group of names counts by
1 / sqrt(its size). The name of a class counts by itself and more (`name_prior` in
picaption.device.recognition.classifier, and picaption.device.teaching.words.prototypes); where the
bundle does not know it, its words are read as a part of the description.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...bundle.archive import Contents
from ...bundle.names import NamedClass
from ...bundle.object_words import Phrases, match_phrases
from ...bundle.vocabulary import Vocabulary
from ...recognition.classifier import known_forms, name_words
from ..graph import classifier_graph
from .prototypes import matching_names, weighted_prototypes

#: The weight of a description's words together, for a standard deviation of each one's evidence,
#: times the root of their number. Beside pictures, half or double makes little difference.
DESCRIPTION_WEIGHT = 0.2
#: The share of the weights of names that a description has by those of its words: with more, a
#: single picture a class, of classes that the names do not know, makes the result worse.
PROTOTYPE_SHARE = 0.25
#: Words that say nothing of a thing by themselves.
FUNCTION_WORDS = frozenset(
    ["a", "an", "the", "this", "that", "these", "those", "it", "its", "they", "them", "their"]
    + ["his", "her", "my", "our", "your", "who", "which", "whose", "what", "where", "when", "how"]
    + ["of", "in", "on", "at", "with", "without", "for", "to", "from", "by", "as", "into", "onto"]
    + ["over", "under", "through", "along", "between", "after", "before", "up", "down", "out"]
    + ["and", "or", "but", "not", "no", "nor", "than", "like", "such", "so", "very", "also"]
    + ["is", "are", "be", "was", "has", "have", "can", "may", "some", "any", "other", "often"]
)

_WORD = re.compile(r"[^\W\d_]+")
_POSSESSIVE = re.compile(r"['\u2019]s\b")

#: A phrase, and the indices of the names that are called so.
NamePhrase = tuple[tuple[str, ...], tuple[int, ...]]


@dataclass(frozen=True)
class ClassPriors:
    """What words say of C classes.

    Attributes:
        words: the mean of the prior of the word evidence's weights, float32 [V, C]; None without a
            captioner.
        features: that of the features' weights, float32 [F, C]; None where no name tells.
        unknown: the words of each description that the bundle does not know, in its order.
    """

    words: np.ndarray | None
    features: np.ndarray | None
    unknown: Mapping[str, tuple[str, ...]]

    @property
    def known(self) -> np.ndarray:
        """Whether anything is known of each class, bool [C]."""
        columns = [prior.any(0) for prior in (self.words, self.features) if prior is not None]
        count = len(self.unknown)
        return np.logical_or.reduce(columns) if columns else np.zeros(count, bool)


def select_classes(priors: ClassPriors, selected: np.ndarray) -> ClassPriors:
    """Return what words say of some of the classes, where `selected`, bool [C], is true."""
    labels = [label for label, is_in in zip(priors.unknown, selected) if is_in]
    return ClassPriors(
        None if priors.words is None else priors.words[:, selected],
        None if priors.features is None else priors.features[:, selected],
        {label: priors.unknown[label] for label in labels},
    )


class ClassWords:
    """What a bundle knows of words.

    Args:
        contents: of the bundle.
    """

    def __init__(self, contents: Contents) -> None:
        self._vocabulary: Vocabulary | None = contents.vocabulary
        self._names: Sequence[NamedClass] = ()
        self._weights: np.ndarray | None = None
        if contents.names:
            self._weights = classifier_graph().read_name_weights(contents.graph)
            if self._weights is not None:
                self._names = contents.names
        self._phrases: Phrases[NamePhrase] | None = None

    def knows(self, label: str, descriptions: Mapping[str, str]) -> bool:
        """Return whether name or description say what a class is, so that it needs no image."""
        if self.knows_name(label):
            return True
        words = split_words(self._description(label, descriptions))
        return any(word not in FUNCTION_WORDS and self._forms(word) for word in words) or bool(
            self._matches(words)
        )

    def knows_name(self, label: str) -> bool:
        """Return whether the bundle knows what is called so."""
        if FUNCTION_WORDS.issuperset(split_words(label)):
            return False
        if matching_names(label, self._names):
            return True
        return self._vocabulary is not None and bool(name_words([label], self._vocabulary).any())

    def priors(
        self, labels: Sequence[str], descriptions: Mapping[str, str], features: np.ndarray
    ) -> ClassPriors:
        """Return what names and descriptions say of classes.

        All is weighted by the share of classes of which anything is known: the others could only
        lose by it.

        Args:
            labels: the class names.
            descriptions: of some of them.
            features: of images, whose mean length counts, float32 [N, F].
        """
        texts = [self._description(label, descriptions) for label in labels]
        unknown = {label: self.unknown_words(descriptions.get(label, "")) for label in labels}
        return ClassPriors(
            self._word_prior(labels, texts), self._feature_prior(labels, texts, features), unknown
        )

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Return the words of a text that the bundle knows nothing of, once each."""
        words = split_words(text)
        in_names = {word for phrase, _ in self._matches(words) for word in phrase}
        unknown = [
            word
            for word in words
            if word not in FUNCTION_WORDS and word not in in_names and not self._forms(word)
        ]
        return tuple(dict.fromkeys(unknown))

    def _description(self, label: str, descriptions: Mapping[str, str]) -> str:
        """Return what is said of a class, with its name where that is not known as a whole."""
        if label not in descriptions:
            return ""
        text = descriptions[label]
        if self.knows_name(label):
            return text
        return f"{label.replace('_', ' ')} {text}"

    def _forms(self, word: str) -> set[str]:
        if self._vocabulary is None:
            return set()
        return known_forms(word, self._vocabulary)

    def _word_prior(self, labels: Sequence[str], texts: Sequence[str]) -> np.ndarray | None:
        """Return the prior of the word evidence's weights, float32 [V, C]."""
        if self._vocabulary is None:
            return None
        prior = name_words(labels, self._vocabulary)
        for column, text in enumerate(texts):
            words = dict.fromkeys(split_words(text))
            known = [word for word in words if word not in FUNCTION_WORDS and self._forms(word)]
            for word in known:
                forms = self._forms(word)
                weight = DESCRIPTION_WEIGHT / np.sqrt(len(known)) / len(forms)
                prior[self._vocabulary.encode(forms), column] += np.float32(weight)
        return prior * np.float32(prior.any(0).mean())

    def _feature_prior(
        self, labels: Sequence[str], texts: Sequence[str], features: np.ndarray
    ) -> np.ndarray | None:
        """Return the prior of the features' weights, float32 [F, C]; None if no name tells."""
        if self._weights is None:
            return None
        groups: list[list[tuple[float, Sequence[int]]]] = []
        for label, text in zip(labels, texts):
            indices = matching_names(label, self._names)
            groups.append([(1.0, indices)] if indices else [])
            groups[-1] += self._description_groups(text)
        share = np.float32(np.mean([bool(class_groups) for class_groups in groups]))
        if not share:
            return None
        return weighted_prototypes(groups, self._weights, features) * share

    def _description_groups(self, text: str) -> list[tuple[float, Sequence[int]]]:
        """Return the groups of names that the phrases of a text stand for, and their weights."""
        groups = [indices for _, indices in self._matches(split_words(text))]
        weights = [len(indices) ** -0.5 for indices in groups]
        factor = PROTOTYPE_SHARE / max(1.0, sum(weights))
        return [(factor * weight, indices) for weight, indices in zip(weights, groups)]

    def _matches(self, words: Sequence[str]) -> list[NamePhrase]:
        """Return the phrases among words that are names, once each."""
        if not words or not self._names:
            return []
        if self._phrases is None:
            self._phrases = index_names(self._names)
        return list(dict.fromkeys(match_phrases(words, self._phrases)))


def split_words(text: str) -> list[str]:
    """Return the words of a text in small letters, a possessive without its ending."""
    return _WORD.findall(_POSSESSIVE.sub("", text.lower()))


def index_names(names: Sequence[NamedClass]) -> Phrases[NamePhrase]:
    """Return the names by the phrases that they are called by, in singular and plural."""
    indices: dict[tuple[str, ...], dict[int, None]] = {}
    for index, item in enumerate(names):
        for text in (item.name, *item.words, *item.hypernyms):
            words = split_words(text)
            for ending in ("", "s", "es") if words else ():
                phrase = (*words[:-1], words[-1] + ending)
                indices.setdefault(phrase, {})[index] = None
    return Phrases({phrase: (phrase, tuple(members)) for phrase, members in indices.items()})
