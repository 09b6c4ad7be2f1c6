"""Captions as words."""

import re

_WORD = re.compile(r"'s|[^\W_]+(?:[-'][^\W_]+)*")
_QUOTE = re.compile(r"(?<!\w)'(?!s\b)")
_POSSESSIVE = re.compile(r"(?<=\w)'s\b")

_STOP_WORDS = """
's a about above across after against all along alongside am amongst an and another are around as
at away back be behind being below beneath beside between big both by can different do does doing
down during each eachother edge end few five for four from front get gets getting go goes going
group has have having he head her him his holding holds i in inside into is it it's its itself
just large like little look looking looks lot make makes making many most near next no not of off
on one onto or other others out outside over past same set several she side six small some
something take takes taking that the their them themselves there these they this three through to
together top toward towards try trying turn two under up upon using very view was way wearing
wears were what where which while who with without
"""
#: Words that say nothing about an image by themselves; they are never tags.
STOP_WORDS = frozenset(_STOP_WORDS.split())


def tokenize(caption: str) -> list[str]:
    """Return the words of a caption, in lower case and without punctuation.

    "'s" is a word of its own; hyphens stay inside words.
    """
    text = caption.lower().replace("\u2019", "'")
    # A quotation mark is no apostrophe: 's begins quoted words too.
    text = _QUOTE.sub(" ", text)
    return _WORD.findall(_POSSESSIVE.sub(" 's ", text))


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of `text`, those with a hyphen apart."""
    return tuple(" ".join(tokenize(text)).replace("-", " ").split())
