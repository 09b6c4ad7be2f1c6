"""What is waited for: a class that is certain, or words of the caption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..config.checks import suggestion
from ..errors import PicaptionError
from ..recognition.result import Recognition


@dataclass(frozen=True)
class Subject:
    """A class, or words, that may be there or not.

    Attributes:
        name: The class, or one or more words of a caption.
        is_class: Whether it is a class.
    """

    name: str
    is_class: bool

    def is_present(self, recognition: Recognition) -> bool:
        """Return whether the class is certain, or the words stand in the caption."""
        if self.is_class:
            return has_class(self.name, recognition)
        return has_words(self.name, recognition)


def has_class(name: str, recognition: Recognition) -> bool:
    """Return whether a class is certain."""
    if recognition.certain_names:
        return name in recognition.certain_names
    return any(
        label.name == name and not is_doubted for label, is_doubted in recognition.doubted_classes
    )


def has_words(words: str, recognition: Recognition) -> bool:
    """Return whether words follow each other in the caption, in capitals or not."""
    if recognition.caption is None:
        return False
    return f" {words} ".lower() in f" {' '.join(recognition.caption.words)} ".lower()


def missing_class(name: str, labels: Sequence[str] | None) -> str:
    """Return why a class can never be there, "" if it can.

    Args:
        name: The class.
        labels: The classes of the bundle; None: not known.
    """
    if labels is None or name in labels:
        return ""
    return f"no class {name!r}{suggestion(name, labels)}"


def missing_word(text: str, words: Mapping[str, int] | None) -> str:
    """Return why words can never be in a caption, "" if they can.

    Args:
        text: The words, with spaces between them.
        words: The words that captions may have; None: not known.
    """
    if words is None:
        return ""
    for word in text.lower().split():
        if word not in words:
            return f"no word {word!r} for captions{suggestion(word, words)}"
    return ""


def find_subject(
    name: str, labels: Sequence[str] | None, words: Mapping[str, int] | None
) -> Subject:
    """Return the class of that name, or else the words.

    Args:
        name: What to look for.
        labels: The classes of the bundle; None: not known.
        words: The words that captions may have; None: not known.

    Raises:
        PicaptionError: The bundle has neither.
    """
    if labels is None or name in labels:
        return Subject(name, is_class=True)
    if name.strip() and words and not missing_word(name, words):
        return Subject(name, is_class=False)
    advice = suggestion(name, labels) or suggestion(name.lower(), words or ())
    raise PicaptionError(f"there is no class or word {name!r}{advice}")
