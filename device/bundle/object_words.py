"""Which words of a caption name which of a bundle's classes.

The bundle lists the phrases of every class, such as "bus", "buses" and "double decker", and phrases
that hold a class's name and mean something else, such as "train track". Plurals stand there as
phrases of their own, so that nothing here knows English.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

#: The classes that a phrase, a tuple of words or of their ids, names, by their indices; () for
#: something else.
Phrases = Mapping[tuple, tuple[int, ...]]

Named = TypeVar("Named")


def index_phrases(object_words: Iterable[Iterable[str]], other_things: Iterable[str]) -> Phrases:
    """Return the classes that every phrase names.

    Args:
        object_words: The phrases of each class, words with spaces between.
        other_things: The phrases that name no class.
    """
    phrases: dict[tuple, tuple[int, ...]] = {tuple(text.split()): () for text in other_things}
    for index, texts in enumerate(object_words):
        for text in texts:
            phrase = tuple(text.split())
            phrases[phrase] = (*phrases.get(phrase, ()), index)
    return phrases


def named_classes(words: Sequence[str] | Sequence[int], phrases: Phrases) -> tuple[int, ...]:
    """Return the indices of the classes that a caption names, once each, in their order there.

    Args:
        words: The caption's words, or their ids, as the phrases have them.
        phrases: Of `index_phrases`.
    """
    indices = [index for matched in match_phrases(words, phrases) for index in matched]
    return tuple(dict.fromkeys(indices))


def match_phrases(
    words: Sequence[str] | Sequence[int], phrases: Mapping[tuple, Named]
) -> Iterator[Named]:
    """Yield what each phrase in a caption names.

    From left to right the longest phrase counts, and its words do not count again: the dog of a hot
    dog is no dog.

    Args:
        words: The caption's words, or their ids, as the phrases have them.
        phrases: What they name, by tuples of words or of ids.
    """
    longest = max(map(len, phrases), default=0)
    start = 0
    while start < len(words):
        for length in range(min(longest, len(words) - start), 0, -1):
            phrase = tuple(words[start : start + length])
            if phrase in phrases:
                yield phrases[phrase]
                start += length
                break
        else:
            start += 1
