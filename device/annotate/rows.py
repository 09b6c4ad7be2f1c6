"""A row: what picaption says of one image, in plain values that every format has a form for."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..recognition.result import Recognition

#: Digits of scores and confidences, as in the JSON of other commands.
DIGITS = 4


@dataclass(frozen=True)
class Row:
    """What picaption says of one image.

    Attributes:
        path: The image's path or address, as its source names it (`to_text`).
        size: Bytes of its file.
        hash: SHA-256 of the file, in hexadecimal digits.
        caption: The sentence; None where there is nothing to see, or no captioner.
        confidence: How likely the image shows all that the caption names, 0 to 1; None: not known.
        unsure: Whether that is below the bundle's threshold.
        tags: The words for what the image shows, best first.
        tag_scores: Their scores, 0 to 1.
        classes: The best classes, best first.
        scores: Their scores, 0 to 1.
        certain: Which of them reach the bundle's threshold.
        names: What it shows by the bundle's second set of names, the most specific first.
        silence: Why nothing is said of it, such as "too dark to tell"; None: there is something.
        features: What the encoder makes of it, float32 [F]; None: not asked for, or silence.
    """

    path: str
    size: int
    hash: str
    caption: str | None
    confidence: float | None
    unsure: bool
    tags: list[str]
    tag_scores: list[float]
    classes: list[str]
    scores: list[float]
    certain: list[bool]
    names: list[str]
    silence: str | None
    features: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return the columns by name, features as a list of numbers; without those, no column."""
        form = {name: getattr(self, name) for name in COLUMNS}
        if self.features is not None:
            form["features"] = [round(value, 6) for value in self.features.tolist()]
        return form


#: The columns of every table, in their order; features follow where they are asked for.
COLUMNS = tuple(field.name for field in fields(Row) if field.name != "features")


def to_row(path: str, size: int, digest: str, recognition: Recognition, has_features: bool) -> Row:
    """Return the row of an image.

    Args:
        path: Its path.
        size: Bytes of its file.
        digest: The file's hash.
        recognition: What is recognised.
        has_features: Whether the row has the image's features.
    """
    caption = recognition.caption
    confidence = None
    if caption is not None and caption.confidence is not None:
        confidence = round(caption.confidence, DIGITS)
    features = None
    if has_features and recognition.encoded is not None:
        features = recognition.encoded.features[0].copy()
    classes = recognition.classes
    return Row(
        path=to_text(path),
        size=size,
        hash=digest,
        caption=None if caption is None else caption.text,
        confidence=confidence,
        unsure=caption is not None and caption.unsure,
        tags=[tag.name for tag in recognition.tags],
        tag_scores=_rounded([tag.score for tag in recognition.tags]),
        classes=[score.name for score in classes],
        scores=_rounded([score.score for score in classes]),
        certain=list(recognition.certain),
        names=[score.name for score in recognition.names],
        silence=recognition.silence,
        features=features,
    )


def to_text(path: str) -> str:
    r"""Return a path as text that is UTF-8: its other bytes as \xff."""
    if path.isascii():
        return path
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _rounded(scores: Sequence[float]) -> list[float]:
    return [round(score, DIGITS) for score in scores]
