"""The words that a captioner knows, and their ids."""

from collections.abc import Iterable

#: Ids with a meaning of their own: the sentence's start (it also pads a short history), its end,
#: and any unknown word.
START_ID = 0
END_ID = 1
UNKNOWN_ID = 2
SPECIAL_WORDS = ("<s>", "</s>", "<unk>")


class Vocabulary:
    """Words by id, `words[word_id]`, with SPECIAL_WORDS first.

    Attributes:
        words: All words, in the order of their ids.
        word_ids: The id of every word.

    Raises:
        ValueError: The special words are missing, or a word occurs twice.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)
        self.word_ids = {word: word_id for word_id, word in enumerate(self.words)}
        if self.words[: len(SPECIAL_WORDS)] != SPECIAL_WORDS:
            raise ValueError(f"a vocabulary starts with {' '.join(SPECIAL_WORDS)}")
        if len(self.word_ids) != len(self.words):
            raise ValueError("a word stands twice in the vocabulary")

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the ids of `words`, UNKNOWN_ID for those that are not in the vocabulary."""
        return [self.word_ids.get(word, UNKNOWN_ID) for word in words]

    def decode(self, word_ids: Iterable[int]) -> tuple[str, ...]:
        """Return the words of `word_ids`."""
        # By way of a list: a tuple of a generator is made longer and cut, and Python keeps up to
        # 2,000 of the cut ones for later.
        return tuple([self.words[word_id] for word_id in word_ids])


def sentence(words: Iterable[str]) -> str:
    """Return `words` as a person writes them: with spaces, possessives joined to their noun."""
    return " ".join(words).replace(" 's", "'s")
