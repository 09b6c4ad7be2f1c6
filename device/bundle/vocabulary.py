"""The words that a captioner knows, and their numbers."""

#: Word numbers with a meaning of their own: sentence start (also what pads a short history), sentence end, unknown.
START_ID, END_ID, UNKNOWN_ID = 0, 1, 2
SPECIAL_WORDS = ("<s>", "</s>", "<unk>")


class Vocabulary:
    """Words by number: `words[number]`, with the three special ones first.

    Raises ValueError where the special words are missing or a word stands twice.
    """

    def __init__(self, words):
        self.words = tuple(words)
        self.word_ids = {word: number for number, word in enumerate(self.words)}
        if self.words[: len(SPECIAL_WORDS)] != SPECIAL_WORDS:
            raise ValueError(f"a vocabulary starts with {' '.join(SPECIAL_WORDS)}")
        if len(self.word_ids) != len(self.words):
            raise ValueError("a word stands twice in the vocabulary")

    def __len__(self):
        return len(self.words)

    def encode(self, words):
        """Return the numbers of `words`, UNKNOWN for those that are not in the vocabulary."""
        return [self.word_ids.get(word, UNKNOWN_ID) for word in words]

    def decode(self, numbers):
        """Return the words of `numbers` as a tuple."""
        return tuple(self.words[number] for number in numbers)


def sentence(words):
    """Return `words` as a person writes them: spaces between, possessives joined to their noun."""
    return " ".join(words).replace(" 's", "'s")
