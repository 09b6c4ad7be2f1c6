"""From caption text to words."""

import re

WORD = re.compile(r"'s|[^\W_]+(?:[-'][^\W_]+)*")
QUOTE = re.compile(r"(?<!\w)'(?!s\b)")
POSSESSIVE = re.compile(r"(?<=\w)'s\b")

#: Words that say nothing about a picture by themselves; they are never tags.
STOP_WORDS = frozenset(
    """
a about above across after against along alongside amongst an and another are around as at away back be beside
behind being below beneath between both by down during each eachother edge end for from front get getting gets
have has having he head her him his holds holding holding i in inside into is it its it's itself just like looks
looking look near next not of off on onto one other others out outside over past several side some something that
the their them themselves there they these this through to top toward towards two three four five six under up
upon using very view was way wearing wears were what which while who with without 's look group many few set
different doing all am be do does go goes going lot make makes making most no or same she
take takes taking turn large small big little can where together trying try
""".split()
)


def tokenize(caption):
    """Return the words of `caption`: lower case, no punctuation, "'s" a word of its own, hyphens kept."""
    # A quotation mark is no apostrophe: 's begins quoted words too.
    text = caption.lower().replace("\u2019", "'")
    return WORD.findall(POSSESSIVE.sub(" 's ", QUOTE.sub(" ", text)))
