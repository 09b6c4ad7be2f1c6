"""Guidance: the search for a caption listens to the classes, the names and the tags.

The captioner alone says what is usual: a man where there is a dog. The classes know better, so a
word that names a class gets a bonus b in the search, by the class's calibrated score p,

    b = clip(class_weight * log((p + EPSILON) / (pivot + EPSILON)), floor, ceiling)

which is a penalty below the pivot. A phrase of two words counts as one: after "hot", "dog" has the
bonus of the hot dog. Where the bundle has names, p is at least the probability of all names that a
word of the class may be used of: a word is penalised where classes and names both speak against it.
What names call for may be encouraged alike. Tags know of every frequent word, a colour or a place
too, how likely a caption of the image has it: their words get a bonus by the same formula, with
weights of their own. And of the finished captions the one is chosen that names what is there:
choice_weight * (p - pivot), for every class it names, is added to the score, which divides
log-probabilities and bonuses by the caption's length.

It is shallow fusion with a detector in the place of a language model (cf. Anderson et al., "Guided
Open Vocabulary Image Captioning with Constrained Beam Search", EMNLP 2017, whose constraints are
hard). Log-probabilities that leave the search are those of the captioner, without any bonus.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..bundle.metadata import Guidance, Metadata
from ..bundle.names import NamedClass
from ..bundle.object_words import ClassPhrases, Phrases, index_phrases, named_classes
from ..bundle.vocabulary import Vocabulary

#: Added to scores before the logarithm is taken.
EPSILON = 0.02


@dataclass(frozen=True)
class PhraseTable:
    """The phrases of one or two known words that are guided, and what they name.

    The phrases of one word come first. What a phrase names are indices into scores; a phrase that
    names nothing has the index behind the last score.

    Attributes:
        words: the ids of the phrases of one word, int64 [W].
        firsts: the first words of the phrases of two words, int64 [P], in ascending order.
        seconds: their second words, int64 [P].
        rows: the phrases of two words by their first word: where they stand in `seconds`.
        members: what the phrases name, int64 [M], phrase by phrase.
        starts: where each phrase's begin in `members`, int64 [W + P].
    """

    words: np.ndarray
    firsts: np.ndarray
    seconds: np.ndarray
    rows: Mapping[int, slice]
    members: np.ndarray
    starts: np.ndarray


@dataclass(frozen=True)
class WordBonuses:
    """What the search adds to the log-probabilities of words, for one image.

    Attributes:
        words: of every word by itself, float32 [V].
        pairs: what the second word of a phrase gets besides, by the phrase's first word: ids int64
            [K] and bonuses float32 [K].
        choice: what a finished caption gets for each class it names, float [C].
        phrases: the classes that phrases, tuples of word ids, name.
    """

    words: np.ndarray
    pairs: Mapping[int, tuple[np.ndarray, np.ndarray]]
    choice: np.ndarray
    phrases: ClassPhrases

    def add(self, scores: np.ndarray, captions: Sequence[tuple[int, ...]]) -> None:
        """Add the bonuses of every next word to `scores`, float32 [width, V], in place.

        Args:
            scores: of the words that may follow each caption.
            captions: the word ids of each.
        """
        scores += self.words
        for row, caption in enumerate(captions):
            pair = self.pairs.get(caption[-1]) if caption else None
            if pair is not None:
                scores[row, pair[0]] += pair[1]

    def total(self, caption: Sequence[int]) -> float:
        """Return the sum of the bonuses that `add` gave for a caption, word ids."""
        total = float(self.words[list(caption)].sum())
        for first, second in zip(caption, caption[1:]):
            pair = self.pairs.get(first)
            if pair is not None:
                total += float(pair[1][pair[0] == second].sum())
        return total

    def choice_score(self, caption: Sequence[int]) -> float:
        """Return what a finished caption, word ids, gets for the classes that it names."""
        classes = named_classes(caption, self.phrases)
        return float(self.choice[list(classes)].sum())


class CaptionGuide:
    """Turns the scores of classes, names and tags into WordBonuses.

    Args:
        metadata: of the bundle, with guidance and object words.
        vocabulary: of the captioner.
        names: the second set of names; empty without.
    """

    def __init__(
        self, metadata: Metadata, vocabulary: Vocabulary, names: Sequence[NamedClass] = ()
    ) -> None:
        self._guidance = metadata.guidance
        self._size = len(vocabulary)
        self._tags = np.array(vocabulary.encode(metadata.tags), np.int64)
        phrases = index_phrases(metadata.object_words, metadata.other_things)
        self._phrases = encode_phrases(phrases, vocabulary)
        self._class_table = phrase_table(self._phrases, len(metadata.object_words))
        self._vouching = name_members(metadata.object_words, names)
        self._name_table: PhraseTable | None = None
        if names and metadata.guidance.name_weight:
            name_phrases = index_phrases([name.words for name in names], ())
            known = encode_phrases(name_phrases, vocabulary)
            if known:
                self._name_table = phrase_table(known, len(names))

    def bonuses(
        self,
        class_scores: np.ndarray,
        name_scores: np.ndarray | None = None,
        tag_scores: np.ndarray | None = None,
    ) -> WordBonuses:
        """Return the bonuses for one image.

        Args:
            class_scores: calibrated, float32 [C].
            name_scores: probabilities of the names, float32 [N]; None without names.
            tag_scores: of the tags, float32 [T]; None without tags.
        """
        if self._vouching is not None and name_scores is not None:
            class_scores = np.maximum(class_scores, sum_scores(name_scores, *self._vouching))
        words = np.zeros(self._size, np.float32)
        pairs: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        table = self._class_table
        if len(table.starts):
            by_phrase = self._class_bonuses(class_scores)
            words[table.words] = by_phrase[: len(table.words)]
            # What the words of the phrase have got by themselves is taken back.
            of_pairs = by_phrase[len(table.words) :] - words[table.firsts] - words[table.seconds]
            _add_pairs(pairs, table, of_pairs)
        if self._name_table is not None and name_scores is not None:
            by_phrase = name_bonuses(name_scores, self._name_table, self._guidance)
            words[self._name_table.words] += by_phrase[: len(self._name_table.words)]
            _add_pairs(pairs, self._name_table, by_phrase[len(self._name_table.words) :])
        if self._guidance.tag_weight and tag_scores is not None:
            words[self._tags] += tag_bonuses(tag_scores, self._guidance)
        choice = self._guidance.choice_weight * (class_scores - self._guidance.pivot)
        return WordBonuses(words, pairs, choice, self._phrases)

    def _class_bonuses(self, class_scores: np.ndarray) -> np.ndarray:
        """Return the bonus of every phrase, float32 [W + P]: of its likeliest class."""
        guidance = self._guidance
        ratio = (class_scores + EPSILON) / (guidance.pivot + EPSILON)
        bonuses = np.zeros(len(class_scores) + 1, np.float32)
        bonuses[:-1] = guidance.class_weight * np.log(ratio)
        np.clip(bonuses, guidance.floor, guidance.ceiling, out=bonuses)
        return np.maximum.reduceat(bonuses[self._class_table.members], self._class_table.starts)


def name_bonuses(name_scores: np.ndarray, table: PhraseTable, guidance: Guidance) -> np.ndarray:
    """Return the bonus of every phrase, float32 [W + P], by the sum of its names' probabilities."""
    sums = sum_scores(name_scores, table.members, table.starts)
    ratio = (sums + EPSILON) / (guidance.name_pivot + EPSILON)
    return np.clip(guidance.name_weight * np.log(ratio), 0, guidance.name_ceiling)


def tag_bonuses(tag_scores: np.ndarray, guidance: Guidance) -> np.ndarray:
    """Return the bonus of every tag's word, float32 [T], by the tags' scores."""
    ratio = (tag_scores + EPSILON) / (guidance.tag_pivot + EPSILON)
    return np.clip(guidance.tag_weight * np.log(ratio), guidance.tag_floor, guidance.tag_ceiling)


def name_members(
    object_words: Sequence[Sequence[str]], names: Sequence[NamedClass]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the names that a word of each class may be used of, as `sum_scores` takes them.

    None without classes or names.

    Args:
        object_words: the phrases of each class.
        names: with their words.
    """
    if not object_words or not names:
        return None
    rows = [
        [index for index, name in enumerate(names) if not phrases.isdisjoint(name.words)]
        or [len(names)]
        for phrases in map(frozenset, object_words)
    ]
    starts = np.array([0, *map(len, rows)], np.int64).cumsum()[:-1]
    return np.array([index for row in rows for index in row], np.int64), starts


def sum_scores(scores: np.ndarray, members: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the sums of groups of scores, float32 [G].

    Args:
        scores: float32 [N].
        members: the indices of every group, one group behind the other; N adds nothing.
        starts: where each group begins, at least one index long, int64 [G].
    """
    padded = np.append(scores, np.float32(0))
    return np.add.reduceat(padded[members], starts)


def create_guide(
    metadata: Metadata, vocabulary: Vocabulary | None, names: Sequence[NamedClass] = ()
) -> CaptionGuide | None:
    """Return the guide of a bundle; None where the search listens to nothing.

    Args:
        metadata: of the bundle.
        vocabulary: None without a captioner.
        names: the second set of names; empty without.
    """
    guidance = metadata.guidance
    listens = bool(
        (metadata.object_words and (guidance.class_weight or guidance.choice_weight))
        or (names and guidance.name_weight)
        or (metadata.tags and guidance.tag_weight)
    )
    if vocabulary is None or not listens:
        return None
    return CaptionGuide(metadata, vocabulary, names)


def encode_phrases(phrases: ClassPhrases, vocabulary: Vocabulary) -> ClassPhrases:
    """Return the phrases of known words, their words by their ids."""
    return Phrases(
        {
            tuple(vocabulary.encode(phrase)): indices
            for phrase, indices in phrases.items()
            if vocabulary.word_ids.keys() >= set(phrase)
        }
    )


def phrase_table(phrases: Mapping[tuple, tuple[int, ...]], count: int) -> PhraseTable:
    """Return the phrases of one or two words as a table.

    Args:
        phrases: what they name, by word ids.
        count: how many scores there are.
    """
    singles = sorted(phrase for phrase, indices in phrases.items() if len(phrase) == 1 and indices)
    pairs = sorted(phrase for phrase in phrases if len(phrase) == 2)
    members = [phrases[phrase] or (count,) for phrase in (*singles, *pairs)]
    firsts = [first for first, _ in pairs]
    rows = {}
    for first in dict.fromkeys(firsts):
        begin = firsts.index(first)
        rows[first] = slice(begin, begin + firsts.count(first))
    lengths = np.array([0, *map(len, members)], np.int64)
    return PhraseTable(
        words=np.array([word for (word,) in singles], np.int64),
        firsts=np.array(firsts, np.int64),
        seconds=np.array([second for _, second in pairs], np.int64),
        rows=rows,
        members=np.array([index for indices in members for index in indices], np.int64),
        starts=lengths.cumsum()[:-1],
    )


def _add_pairs(
    pairs: dict[int, tuple[np.ndarray, np.ndarray]], table: PhraseTable, bonuses: np.ndarray
) -> None:
    """Add the bonuses of a table's phrases of two words, float32 [P], to `pairs`, in place."""
    for first, row in table.rows.items():
        ids = table.seconds[row]
        values = bonuses[row]
        if first in pairs:
            ids, values = _merge(*pairs[first], ids, values)
        pairs[first] = (ids, values)


def _merge(
    left_ids: np.ndarray, left: np.ndarray, right_ids: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of both sides, once each, with the sums of their values."""
    ids, inverse = np.unique(np.concatenate([left_ids, right_ids]), return_inverse=True)
    values = np.bincount(inverse, np.concatenate([left, right])).astype(np.float32)
    return ids, values
