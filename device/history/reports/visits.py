"""When something was there: the scenes in which a class was certain, joined to visits."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..scene import Scene

#: Scenes with the same class, so many seconds apart at most, are one visit.
GAP_SECONDS = 120.0


@dataclass(frozen=True)
class Visit:
    """Scenes in which a class was certain, one soon after the other.

    Attributes:
        name: The class.
        begin: When the first scene began, in seconds since the epoch.
        end: When the last one ended.
        score: The highest score of the class in them, 0 to 1.
        scenes: How many they are.
    """

    name: str
    begin: float
    end: float
    score: float
    scenes: int = 1


def find_visits(scenes: Iterable[Scene], gap: float = GAP_SECONDS) -> Iterator[Visit]:
    """Yield the visits of every class, once each has ended.

    Args:
        scenes: The scenes, the first one first.
        gap: Seconds between two scenes of one visit at most.
    """
    visits: dict[str, Visit] = {}
    for scene in scenes:
        for name in [name for name in visits if scene.begin_seconds - visits[name].end > gap]:
            yield visits.pop(name)
        for name, score in scene.classes:
            visit = visits.get(name)
            if visit is None:
                visits[name] = Visit(name, scene.begin_seconds, scene.end_seconds, score)
            else:
                visits[name] = replace(
                    visit,
                    end=max(visit.end, scene.end_seconds),
                    score=max(visit.score, score),
                    scenes=visit.scenes + 1,
                )
    yield from visits.values()
