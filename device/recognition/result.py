"""What picaption says about one picture: plain, frozen values that every output gets alike."""

from dataclasses import dataclass
from typing import NamedTuple

#: Version of the JSON form; it changes when a field changes its meaning or goes away.
JSON_VERSION = 1


class Score(
    NamedTuple
):  # made several times a frame: a dataclass that is frozen takes thrice as long
    """A name (tag or class) and its score, 0 to 1."""

    name: str
    score: float


@dataclass(frozen=True)
class Caption:
    """A sentence, its words, and its log-probability (natural logarithm, summed over words and sentence end)."""

    text: str
    words: tuple[str, ...]
    log_probability: float


@dataclass(frozen=True)
class Recognition:
    """One picture's caption, tags and classes (best first), and what they cost.

    `timings` holds milliseconds for each stage and their `total`; `captured_at` is seconds since the
    epoch. `caption` is None where the bundle has no captioner. `unsure` is true where no class' score reaches the
    bundle's threshold: the best ones are then no more than guesses. In a live run, `scene` counts the scenes, and `camera`
    holds what the camera says of the frame, such as its lux.
    """

    caption: Caption | None
    tags: tuple[Score, ...]
    classes: tuple[Score, ...]
    timings: dict[str, float]
    frame: int = 0
    captured_at: float = 0.0
    unsure: bool = False
    scene: int = 0
    camera: dict | None = None

    def to_json(self):
        """Return the versioned JSON form: a dict of plain strings, numbers and lists."""
        caption = self.caption and {
            "text": self.caption.text,
            "words": list(self.caption.words),
            "log_probability": round(self.caption.log_probability, 4),
        }
        return {
            "version": JSON_VERSION,
            "frame": self.frame,
            "captured_at": round(self.captured_at, 3),
            "caption": caption,
            "tags": [{"name": tag.name, "score": round(tag.score, 4)} for tag in self.tags],
            "classes": [
                {"name": label.name, "score": round(label.score, 4)} for label in self.classes
            ],
            "unsure": self.unsure,
            "scene": self.scene,
            "camera": self.camera,
            "timings_ms": {
                stage: round(milliseconds, 3) for stage, milliseconds in self.timings.items()
            },
        }
