"""What picaption says about one image: plain, frozen values that every output gets alike."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..bundle.bundle import Encoded

#: Version of the JSON form; it changes when a field changes its meaning or goes away.
JSON_VERSION = 1
#: What stands before a caption that is uncertain, wherever people read it.
DOUBT = "perhaps"


class Score(NamedTuple):
    """A name (tag or class) and its score, 0 to 1."""

    # Made several times a frame: a frozen dataclass takes three times as long to make.
    name: str
    score: float


@dataclass(frozen=True)
class Caption:
    """A sentence.

    Attributes:
        text: the sentence as a person writes it.
        words: its words.
        log_probability: natural logarithm, summed over the words and the sentence end; of a name in
            place of a sentence, that of its probability.
        confidence: how likely the image shows every object that the caption names, 0 to 1; of one
            that names none that the bundle knows, a value below its threshold; None where it does
            not tell.
        unsure: whether that is below the bundle's threshold.
        alternatives: the other sentences that the search ended with, best first.
    """

    text: str
    words: tuple[str, ...]
    log_probability: float
    confidence: float | None = None
    unsure: bool = False
    alternatives: tuple[str, ...] = field(default=(), compare=False)

    @property
    def hedged(self) -> str:
        """The sentence for people to read, after DOUBT where it is uncertain."""
        return f"{DOUBT} {self.text}" if self.unsure else self.text


@dataclass(frozen=True)
class Recognition:
    """The caption, tags and classes of one image, and what they cost.

    Attributes:
        caption: None where the bundle has no captioner, or there is nothing to see.
        tags: the words for what the image shows, best first.
        classes: the best classes, best first.
        timings: milliseconds of each stage and their `total` (see `Stopwatch`).
        frame: the number of the frame.
        captured_at: when it was captured, in seconds since the epoch.
        unsure: whether no class reaches the bundle's threshold: then the best ones are guesses.
        scene: in a live run, the number of the scene, from 1.
        camera: what the camera reports about the frame, such as its lux.
        names: what the image shows by the bundle's second set of names, where that is certain, the
            most specific name first and then what it is more generally.
        silence: why nothing is said of the image, such as "too dark to tell"; None: there is
            something to see. There is no caption, tag or class then.
        certain: which of the classes are certain; empty where that is not known of each.
        certain_names: all classes that are certain, which may be more than `classes` has.
        threshold: the score from which a class is certain; None: not known.
        file: the path of the file that the image is of.
        seconds: when the frame is shown in its video.
        camera_name: which of several cameras the frame is of; None: there is one source.
        encoded: what the encoder made of the image; None where there is nothing to see. It has no
            JSON form.
    """

    caption: Caption | None
    tags: tuple[Score, ...]
    classes: tuple[Score, ...]
    timings: dict[str, float]
    frame: int = 0
    captured_at: float = 0.0
    unsure: bool = False
    scene: int = 0
    camera: dict[str, Any] | None = None
    names: tuple[Score, ...] = ()
    silence: str | None = None
    certain: tuple[bool, ...] = ()
    certain_names: tuple[str, ...] = ()
    threshold: float | None = None
    file: str | None = None
    seconds: float | None = None
    camera_name: str | None = None
    encoded: Encoded | None = field(default=None, compare=False, repr=False)

    @property
    def doubted_classes(self) -> tuple[tuple[Score, bool], ...]:
        """The classes by score, best first, and whether each is a guess."""
        certain = self.certain or (not self.unsure,) * len(self.classes)
        doubted = [(score, not is_certain) for score, is_certain in zip(self.classes, certain)]
        return tuple(sorted(doubted, key=lambda pair: -pair[0].score))

    @property
    def substitute_name(self) -> Score | None:
        """What to show where no class is certain: the most specific name that is, or None."""
        if self.names and (self.unsure or not self.classes):
            return self.names[0]
        return None

    @property
    def text(self) -> str | None:
        """The caption's text, or why there is none; None without a captioner."""
        if self.silence is not None:
            return self.silence
        return self.caption.text if self.caption else None

    @property
    def shown_text(self) -> str | None:
        """The `text` as people are shown it: an uncertain caption is hedged."""
        return self.caption.hedged if self.caption else self.silence

    def to_json(self) -> dict[str, Any]:
        """Return the versioned JSON form: a dict of plain strings, numbers and lists."""
        return {
            "version": JSON_VERSION,
            **self._origin_json(),
            "frame": self.frame,
            "captured_at": round(self.captured_at, 3),
            "caption": self.caption and _caption_json(self.caption),
            "tags": _scores_json(self.tags),
            "classes": self._classes_json(),
            "unsure": self.unsure,
            **({} if self.threshold is None else {"threshold": round(self.threshold, 4)}),
            "names": _scores_json(self.names),
            "scene": self.scene,
            "camera": self.camera,
            "silence": self.silence,
            "timings_ms": {stage: round(value, 3) for stage, value in self.timings.items()},
        }

    def _origin_json(self) -> dict[str, Any]:
        """Return the camera, the file and the time in it, as far as they are known."""
        origin: dict[str, Any] = {}
        if self.camera_name is not None:
            origin["camera_name"] = self.camera_name
        if self.file is not None:
            origin["file"] = self.file
        if self.seconds is not None:
            origin["seconds"] = round(self.seconds, 3)
        return origin

    def _classes_json(self) -> list[dict[str, Any]]:
        classes = _scores_json(self.classes)
        for form, is_certain in zip(classes, self.certain):
            form["certain"] = is_certain
        return classes


def _caption_json(caption: Caption) -> dict[str, Any]:
    return {
        "text": caption.text,
        "words": list(caption.words),
        "log_probability": round(caption.log_probability, 4),
        "confidence": None if caption.confidence is None else round(caption.confidence, 4),
        "unsure": caption.unsure,
    }


def _scores_json(scores: tuple[Score, ...]) -> list[dict[str, Any]]:
    return [{"name": score.name, "score": round(score.score, 4)} for score in scores]
