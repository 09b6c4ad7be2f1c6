"""Which words of a caption name which of a bundle's classes.

The bundle lists the phrases of every class, such as "bus", "buses" and "double decker", and phrases
that hold a class's name and mean something else, such as "train track". Plurals stand there as
phrases of their own, so that nothing here knows English.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeVar

Named = TypeVar("Named")


class Phrases(dict[tuple, Named]):
    """What phrases, tuples of words or of their ids, name."""

    @cached_property
    def by_first_word(self) -> dict[str | int, list[tuple[tuple, Named]]]:
        """The phrases that begin with each word, the longest first: most words begin none."""
        phrases: dict[str | int, list[tuple[tuple, Named]]] = {}
        for phrase in sorted(filter(None, self), key=len, reverse=True):
            phrases.setdefault(phrase[0], []).append((phrase, self[phrase]))
        return phrases


#: The indices of the classes that phrases name; () for something else.
ClassPhrases = Phrases[tuple[int, ...]]


def index_phrases(
    object_words: Iterable[Iterable[str]], other_things: Iterable[str]
) -> ClassPhrases:
    """Return the classes that every phrase names.

    Args:
        object_words: The phrases of each class, words with spaces between.
        other_things: The phrases that name no class.
    """
    phrases: ClassPhrases = Phrases({tuple(text.split()): () for text in other_things})
    for index, texts in enumerate(object_words):
        for text in texts:
            phrase = tuple(text.split())
            phrases[phrase] = (*phrases.get(phrase, ()), index)
    return phrases


def named_classes(words: Sequence[str] | Sequence[int], phrases: ClassPhrases) -> tuple[int, ...]:
    """Return the indices of the classes that a caption names, once each, in their order there.

    Args:
        words: The caption's words, or their ids, as the phrases have them.
        phrases: Of `index_phrases`.
    """
    indices = [index for matched in match_phrases(words, phrases) for index in matched]
    return tuple(dict.fromkeys(indices))


def match_phrases(words: Sequence[str] | Sequence[int], phrases: Phrases[Named]) -> Iterator[Named]:
    """Yield what each phrase in a caption names.

    From left to right the longest phrase counts, and its words do not count again: the dog of a hot
    dog is no dog.

    Args:
        words: The caption's words, or their ids, as the phrases have them.
        phrases: What they name.
    """
    by_first_word = phrases.by_first_word
    start = 0
    while start < len(words):
        for phrase, named in by_first_word.get(words[start], ()):
            if tuple(words[start : start + len(phrase)]) == phrase:
                yield named
                start += len(phrase)
                break
        else:
            start += 1
