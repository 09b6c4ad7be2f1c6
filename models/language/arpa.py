"""n-gram models in ARPA files, the text format that SRILM, KenLM and other toolkits share.

\\data\\ and how many n-grams there are of each order, then for each order \\N-grams: and a line for each n-gram:

    log10 P(w_n | w_1 ... w_{n-1}) <tab> w_1 ... w_n [<tab> log10 of the back-off weight of w_1 ... w_n]

and \\end\\ at last (https://www.speech.sri.com/projects/srilm/manpages/ngram-format.5.html). -99 stands for log 0.
"""

import math
import re

from picaption.device import PicaptionError
from picaption.device.bundle.vocabulary import END_ID, SPECIAL_WORDS, START_ID, Vocabulary

from ..files import write_lines
from .ngram import NGramModel, probability

#: What parts words in an ARPA file, as KenLM reads it; other white space is part of a word.
SPACE = re.compile(r"[\0\t\n\v\f\r ]+")
ZERO = -99


def write_arpa(path, model, vocabulary):
    """Write `model`, an NGramModel, with the words of `vocabulary` to the ARPA file `path`, whole or not at all.

    Raises PicaptionError where a word is empty or has a space within, which the format cannot hold, and ValueError
    where the vocabulary is of another size.
    """
    if len(vocabulary) != model.size:
        raise ValueError(f"the model is of {model.size} words, the vocabulary of {len(vocabulary)}")
    for word in vocabulary.words:
        if not word or SPACE.search(word):
            raise PicaptionError(
                f"{path}: ARPA files cannot hold the word {word!r}: take it out of the vocabulary"
            )
    grams = [[((word,), probability(model, (), word)) for word in range(model.size)]]
    grams += [[] for _ in range(model.order - 1)]
    for history, following in model.seen.items():
        if history:
            grams[len(history)] += [((*history, word), found) for word, found in following.items()]
    write_lines(path, _lines(grams, model.backoff, vocabulary))


def _lines(grams, backoff, vocabulary):
    yield "\\data\\"
    for order, found in enumerate(grams, 1):
        yield f"ngram {order}={len(found)}"
    for order, found in enumerate(grams, 1):
        yield f"\n\\{order}-grams:"
        for gram, value in found:
            line = f"{_log10(value)}\t{' '.join(vocabulary.decode(gram))}"
            yield f"{line}\t{_log10(backoff[gram])}" if gram in backoff else line
    yield "\n\\end\\"


def _log10(value):
    # Rounded, for a sum that comes out as a little more than one would be no probability.
    return round(math.log10(value), 9) if value else ZERO


def read_arpa(path):
    """Return (NGramModel, Vocabulary) from the ARPA file `path`, written by picaption or another toolkit.

    Its words keep their order, the special ones put first; where there is no <unk>, unknown words are impossible.
    Raises PicaptionError, naming the line, where the file cannot be read or is not a whole ARPA file of sentences.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = ((number, line.strip("\0\t\n\v\f\r ")) for number, line in enumerate(file, 1))
            return _Reader(path, lines).read()
    except (OSError, UnicodeDecodeError) as error:
        raise PicaptionError(f"{path}: cannot read this as an ARPA file: {error}") from None


class _Reader:
    """Reads (number, line) pairs of the file `path`, one after the other."""

    def __init__(self, path, lines):
        self.path, self.lines = path, ((number, line) for number, line in lines if line)
        self.number, self.line = 0, ""

    def read(self):
        """Return (NGramModel, Vocabulary)."""
        while self.advance() != "\\data\\":  # Whatever is before it is a comment.
            pass
        totals = []
        while self.advance() != "\\1-grams:":
            found = re.fullmatch(rf"ngram +{len(totals) + 1} *= *([0-9]{{1,12}})", self.line)
            self.check(found, f"expected 'ngram {len(totals) + 1}=' and a number, or '\\1-grams:'")
            totals.append(int(found[1]))
        self.check(totals, "expected 'ngram 1=' and a number before it")
        seen, backoff, numbers = (
            {(): {}},
            {},
            {word: number for number, word in enumerate(SPECIAL_WORDS)},
        )
        listed = set()
        for order, total in enumerate(totals, 1):
            last = "\\end\\" if order == len(totals) else f"\\{order + 1}-grams:"
            count = 0
            while self.advance() != last:
                value, words, weight = self.gram(order, order < len(totals))
                count += 1
                self.check(
                    count <= total,
                    f"expected '{last}' after the {total} n-grams that the head names",
                )
                if order == 1:
                    self.check(words[0] not in listed, f"{words[0]!r} stands there twice")
                    listed.add(words[0])
                    gram = (numbers.setdefault(words[0], len(numbers)),)
                else:
                    gram = self.numbered(words, numbers, listed, seen)
                if gram != (
                    START_ID,
                ):  # It is never told; some toolkits write probability 1, some 0.
                    seen.setdefault(gram[:-1], {})[gram[-1]] = value
                if weight is not None:
                    backoff[gram] = weight
            self.check(
                count == total,
                f"expected {total} {order}-grams before it, as the head says, not {count}",
            )
            self.check(
                order > 1 or {"<s>", "</s>"} <= listed,
                "expected <s> and </s> among the 1-grams before it",
            )
        return NGramModel(len(totals), len(numbers), seen, backoff), Vocabulary(numbers)

    def advance(self):
        """Go to the next line that is not empty and return it."""
        self.number, self.line = next(self.lines, (self.number, None))
        if self.line is None:
            raise PicaptionError(
                f"{self.path}: line {self.number}: the file ends without \\end\\: "
                "it is no ARPA file or not all of one; get or write it again"
            )
        return self.line

    def check(self, valid, wrong):
        if not valid:
            raise PicaptionError(
                f"{self.path}: line {self.number}: {wrong}, in {self.line[:60]!r}; "
                "mend this line or write the file again"
            )

    def gram(self, order, has_backoff):
        """Return a line's (probability, words, back-off weight or None)."""
        first, *words = SPACE.split(self.line)
        self.check(
            len(words) == order or has_backoff and len(words) == order + 1,
            f"expected log10 of a probability, {order} words"
            + " and perhaps a back-off weight" * has_backoff,
        )
        weight = self.power_of_ten(words.pop(), 99) if len(words) > order else None
        return self.power_of_ten(first, 0), words, weight

    def power_of_ten(self, text, largest):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        self.check(value <= largest, f"{text!r} is not a number of at most {largest}")
        return 10**value if value > ZERO else 0.0

    def numbered(self, words, numbers, listed, seen):
        """Return the n-gram of `words`, not of order 1."""
        for word in words:
            self.check(word in listed, f"{word!r} is not among the 1-grams")
        gram = tuple(numbers[word] for word in words)
        self.check(
            START_ID not in gram[1:] and END_ID not in gram[:-1],
            "<s> stands first only, and </s> last",
        )
        self.check(
            gram[-2] in seen.get(gram[:-2], ()) or gram[:-1] == (START_ID,),
            f"its history {' '.join(words[:-1])!r} is not among the {len(words) - 1}-grams",
        )
        self.check(gram[-1] not in seen.get(gram[:-1], ()), "this n-gram stands there twice")
        return gram
