"""What a day was like, in a sentence that is true.

It says no more than the scenes do. A caption counts only if its confidence is known and reaches the
bundle's threshold, and a class only if it was certain. A class was certain at some time in a scene,
not all the time, so it was there *between* the scene's begin and its end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from ..scene import Scene
from .visits import Visit, find_visits

#: What is shown for more of the time is what there mostly was; a class in more of the scenes is
#: usual, and no visitor.
MAIN_SHARE = 0.5
#: From so many scenes on a class can be usual.
MIN_SCENES = 4
#: So many visits of a class are listed; of more, their number is.
MAX_VISITS = 3
#: Of so many classes the sentence says when they were there.
MAX_CLASSES = 6
#: So many things are listed at once.
MAX_LISTED = 8
#: Words before a name that already has what stands for "a".
_DETERMINERS = frozenset(["my", "our", "your", "his", "her", "their", "the", "a", "an", "no"])


@dataclass(frozen=True)
class ClassDigest:
    """When a class was certain.

    Attributes:
        name: The class.
        scenes: In how many scenes.
        visits: The first MAX_VISITS visits.
        count: How many visits there were.
        begin: When the first one began, in seconds since the epoch.
        end: When the last one ended.
    """

    name: str
    scenes: int
    visits: tuple[Visit, ...]
    count: int
    begin: float
    end: float


@dataclass(frozen=True)
class Digest:
    """What a day was like.

    Attributes:
        day: The day.
        scenes: How many scenes it had.
        main_text: What the scenes said for most of the time; None: no one thing.
        main_share: For how much of the time, 0 to 1.
        classes: When each class was certain, in the order of their first visits.
        text: All this as a sentence.
    """

    day: date
    scenes: int
    main_text: str | None
    main_share: float
    classes: tuple[ClassDigest, ...]
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain strings, numbers and lists."""
        return asdict(self) | {
            "day": self.day.isoformat(),
            "main_share": round(self.main_share, 4),
            "classes": [asdict(entry) for entry in self.classes],
        }


def day_span(day: date, zone: tzinfo | None) -> tuple[float, float]:
    """Return when a day begins and when it ends, in seconds since the epoch.

    Args:
        day: The day.
        zone: Where; None: here.
    """
    begin = datetime.combine(day, time.min, zone)
    end = datetime.combine(day + timedelta(days=1), time.min, zone)
    return begin.timestamp(), end.timestamp()


def make_digest(scenes: Iterable[Scene], day: date, zone: tzinfo | None = None) -> Digest:
    """Return what a day was like.

    Args:
        scenes: Its scenes, the first one first; one may begin before it, or end after it.
        day: The day.
        zone: Where it is that day; None: here.
    """
    span = day_span(day, zone)
    counter = _TextCounter()
    classes: dict[str, ClassDigest] = {}
    for visit in find_visits(counter.count(_clip(scenes, span))):
        _add_visit(classes, visit)
    main_text, main_share = counter.main()
    ordered = tuple(sorted(classes.values(), key=_order))
    digest = Digest(day, counter.scenes, main_text, main_share, ordered, "")
    return replace(digest, text=_sentence(digest, zone))


class _TextCounter:
    """Counts scenes, and for how long each text held, while they pass by."""

    def __init__(self) -> None:
        self.scenes = 0
        self._seconds: dict[str | None, float] = {}

    def count(self, scenes: Iterable[Scene]) -> Iterator[Scene]:
        """Yield the very scenes."""
        for scene in scenes:
            self.scenes += 1
            text = _certain_text(scene)
            seconds = scene.end_seconds - scene.begin_seconds
            self._seconds[text] = self._seconds.get(text, 0.0) + seconds
            yield scene

    def main(self) -> tuple[str | None, float]:
        """Return the text that held for most of the time, and its share; None, 0: there is none."""
        total = sum(self._seconds.values())
        if not total:
            return None, 0.0
        text, seconds = max(self._seconds.items(), key=_duration)
        share = seconds / total
        if text is None or share <= MAIN_SHARE:
            return None, 0.0
        return text, share


def _duration(entry: tuple[str | None, float]) -> float:
    return entry[1]


def _certain_text(scene: Scene) -> str | None:
    """Return what a scene says for sure."""
    if scene.silence is not None:
        return scene.silence
    return None if scene.unsure or scene.confidence is None else scene.caption


def _clip(scenes: Iterable[Scene], span: tuple[float, float]) -> Iterator[Scene]:
    """Yield the scenes of a span of time, without what they last beyond it."""
    begin = round(span[0] * 1000)
    end = round(span[1] * 1000)
    for scene in scenes:
        if scene.id < end and scene.end >= begin:
            yield replace(scene, id=max(scene.id, begin), end=min(scene.end, end))


def _add_visit(classes: dict[str, ClassDigest], visit: Visit) -> None:
    before = classes.get(visit.name)
    if before is None:
        classes[visit.name] = ClassDigest(
            visit.name, visit.scenes, (visit,), 1, visit.begin, visit.end
        )
        return
    classes[visit.name] = replace(
        before,
        scenes=before.scenes + visit.scenes,
        visits=(*before.visits, visit)[:MAX_VISITS],
        count=before.count + 1,
        end=max(before.end, visit.end),
    )


def _order(entry: ClassDigest) -> tuple[float, str]:
    return entry.begin, entry.name


def _sentence(digest: Digest, zone: tzinfo | None) -> str:
    """Return a digest as a sentence, such as "2 scenes: mostly a desk; a cat at 14:02"."""
    if not digest.scenes:
        return "no scenes"
    parts = [f"mostly {digest.main_text}"] if digest.main_text else []
    usual = [entry for entry in digest.classes if _is_usual(entry, digest.scenes)]
    visitors = [entry for entry in digest.classes if not _is_usual(entry, digest.scenes)]
    timed = [*usual, *visitors][:MAX_CLASSES]
    for entry in timed:
        if entry in usual:
            parts.append(f"{with_article(entry.name)} in {entry.scenes} of them")
        else:
            parts.append(f"{with_article(entry.name)} {_visit_times(entry, zone)}")
    names = [with_article(entry.name) for entry in digest.classes if entry not in timed]
    if names:
        parts.append(f"also {_listed(names)}")
    scenes = "1 scene" if digest.scenes == 1 else f"{digest.scenes} scenes"
    return ": ".join(filter(None, [scenes, "; ".join(parts)]))


def _is_usual(entry: ClassDigest, scenes: int) -> bool:
    return scenes >= MIN_SCENES and entry.scenes > MAIN_SHARE * scenes


def _visit_times(entry: ClassDigest, zone: tzinfo | None) -> str:
    if entry.count > len(entry.visits):
        return f"{entry.count} times {_span(entry.begin, entry.end, zone)}"
    return _listed([_span(visit.begin, visit.end, zone) for visit in entry.visits])


def _listed(texts: list[str]) -> str:
    """Return texts as a sentence lists them, such as "a cat, a dog and 3 more"."""
    if len(texts) > MAX_LISTED:
        texts = [*texts[: MAX_LISTED - 1], f"{len(texts) - MAX_LISTED + 1} more"]
    if len(texts) == 1:
        return texts[0]
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def _span(begin: float, end: float, zone: tzinfo | None) -> str:
    """Return a span of time by the minute, such as "between 14:02 and 14:31" or "at 14:02"."""
    first = f"{datetime.fromtimestamp(begin, zone):%H:%M}"
    last = f"{datetime.fromtimestamp(end, zone):%H:%M}"
    return f"at {first}" if first == last else f"between {first} and {last}"


def with_article(name: str) -> str:
    """Return a class's name as it stands in a sentence: "a cat", "an apple", "scissors", "Tom"."""
    first = name.partition(" ")[0]
    is_plural = name.endswith("s") and not name.endswith(("ss", "us"))
    if not name[:1].islower() or first in _DETERMINERS or is_plural:
        return name
    article = "an" if name[0] in "aeiou" else "a"
    return f"{article} {name}"
