"""The plain caption: what is certain, one thing after the other, where no sentence is certain.

A sentence that probably names something absent helps nobody. Where the bundle says so
(picaption.device.bundle.metadata.Confidence), an uncertain caption is replaced by the classes and
the name that are certain, such as "a cat and a laptop".
"""

from collections.abc import Collection, Sequence

from .result import Score

#: How many things a plain caption names at most.
MAX_THINGS = 3
#: Names of what is not counted.
_WITHOUT_ARTICLE = frozenset(
    (
        "bread",
        "broccoli",
        "cheese",
        "coffee",
        "corn",
        "food",
        "fruit",
        "guacamole",
        "hair",
        "hay",
        "ice cream",
        "jewelry",
        "luggage",
        "mail",
        "meat",
        "rice",
        "sand",
        "snow",
        "spaghetti",
        "water",
    )
)


def certain_things(
    classes: Sequence[Score],
    names: Sequence[Score],
    least_score: float,
    class_phrases: dict[str, Collection[str]],
) -> list[Score]:
    """Return what is certain: classes, and the most specific name if it is none of their words.

    Args:
        classes: the best ones, best first.
        names: those that are certain, the most specific first and then what it is more generally
            (picaption.device.recognition.recognizer.Recognizer.best_names).
        least_score: of a class that is certain, 0 to 1.
        class_phrases: by the name of a class, the phrases that name it.
    """
    things = [score for score in classes if score.score >= least_score][:MAX_THINGS]
    covered = {phrase for thing in things for phrase in class_phrases.get(thing.name, ())}
    covered.update(thing.name for thing in things)
    if names and covered.isdisjoint(name.name for name in names):
        things = [names[0], *things][:MAX_THINGS]
    return things


def plain_text(names: Sequence[str]) -> str:
    """Return a phrase that names things, such as "a cat, an apple and skis"."""
    phrases = [_with_article(name) for name in names]
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _with_article(name: str) -> str:
    last = name.rpartition(" ")[2]
    is_plural = last.endswith("s") and not last.endswith(("ss", "us", "lens"))
    if is_plural or name in _WITHOUT_ARTICLE:
        return name
    sounds_like_a_vowel = name[0].lower() in "aeiou" and not name.startswith(("uni", "use", "eu"))
    return f"an {name}" if sounds_like_a_vowel else f"a {name}"
