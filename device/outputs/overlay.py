"""Draws what was recognised into the image: caption, classes and tags in a band at its foot."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..recognition.result import Recognition

FONT = cv2.FONT_HERSHEY_DUPLEX
#: How high the font's capitals are at scale 1, in pixels.
CAPITALS = 21
WHITE = (255, 255, 255)
GREY = (190, 200, 210)
BLUE = (38, 110, 200)
#: A class is shown from this score on; the best one always.
SHOWN_SCORE = 0.1
#: How many classes are shown.
SHOWN_CLASSES = 3
#: Narrower images are enlarged, up to that height, so that the words can be read.
MIN_WIDTH = 480
MAX_HEIGHT = 1080
#: The band may cover this share of the height; beyond it the letters become smaller.
MAX_SHARE = 0.5
#: They do so by this factor, down to this height in pixels.
SMALLER = 0.85
MIN_LETTER = 6


@dataclass(frozen=True)
class _Row(ABC):
    """A row of the band.

    Attributes:
        height: In pixels.
        letter: The height of its capitals in pixels.
    """

    height: int
    letter: float

    @abstractmethod
    def draw(self, image: np.ndarray, x: int, y: int) -> None:
        """Draw the row with its upper left corner there."""


@dataclass(frozen=True)
class _TextRow(_Row):
    """A line of text."""

    text: str
    colour: tuple[int, int, int] = WHITE

    def draw(self, image: np.ndarray, x: int, y: int) -> None:
        """Draw the text."""
        _put_text(image, self.text, x, y + 1.3 * self.letter, self.letter, self.colour)


@dataclass(frozen=True)
class _ChipRow(_Row):
    """Labels on a pill each."""

    labels: Sequence[str]

    def draw(self, image: np.ndarray, x: int, y: int) -> None:
        """Draw the pills and their labels."""
        letter = self.letter
        top = round(y + 0.3 * letter)
        bottom = round(y + 2.1 * letter)
        middle = (top + bottom) // 2
        inset = round(0.9 * letter)
        for label in self.labels:
            width = text_width(label, letter) + 1.2 * letter
            left = x + inset
            right = max(left, round(x + width) - inset)
            cv2.rectangle(image, (left, top), (right, bottom), BLUE, cv2.FILLED)
            for centre in (left, right):
                radius = (bottom - top) // 2
                cv2.circle(image, (centre, middle), radius, BLUE, cv2.FILLED, cv2.LINE_AA)
            _put_text(image, label, x + 0.6 * letter, y + 1.68 * letter, letter, WHITE)
            x = round(x + width + 0.4 * letter)


def annotate(image: np.ndarray, recognition: Recognition) -> np.ndarray:
    """Return a copy of an image with caption, classes and tags in a translucent band at its foot.

    If there is nothing to see, that stands there, in grey.

    Args:
        image: uint8 RGB [height, width, 3].
        recognition: What to draw.

    Returns:
        uint8 RGB of the same size; images narrower than MIN_WIDTH come back enlarged.
    """
    image = _enlarged_copy(image)
    height, width = image.shape[:2]
    letter = max(10.0, 0.04 * min(height, 0.75 * width))
    while True:
        rows = _rows(recognition, letter, width)
        band = sum(row.height for row in rows) + round(0.8 * letter)
        if band <= MAX_SHARE * height or letter < MIN_LETTER:
            break
        letter *= SMALLER

    top = max(0, height - band)
    # A darkened image shows through: a third of it, and two thirds of near black.
    image[top:] = image[top:] // 3 + np.uint8(10)
    y = top + round(0.4 * letter)
    for row in rows:
        row.draw(image, round(0.6 * letter), y)
        y += row.height
    return image


def _enlarged_copy(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = max(1.0, min(MIN_WIDTH / width, MAX_HEIGHT / height))
    if factor == 1:
        return image.copy()
    size = (round(width * factor), round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)


def _rows(recognition: Recognition, letter: float, width: int) -> list[_Row]:
    """Return the band's rows for capitals of that height, for an image of that width."""
    room = width - round(1.2 * letter)
    small = 0.72 * letter
    rows: list[_Row] = []
    if recognition.shown_text is not None:
        is_sure = recognition.caption is not None and not recognition.caption.unsure
        colour = WHITE if is_sure else GREY
        for line in wrap(recognition.shown_text, letter, room):
            rows.append(_TextRow(round(1.7 * letter), letter, line, colour))

    def chip_width(label: str) -> float:
        return text_width(label, small) + 1.6 * small

    for labels in _fill(_class_labels(recognition), chip_width, room):
        rows.append(_ChipRow(round(2.4 * small), small, labels))
    if recognition.tags:
        tags = "  ".join(f"#{tag.name}" for tag in recognition.tags)
        for line in wrap(tags, small, room):
            rows.append(_TextRow(round(1.8 * small), small, line, GREY))
    return rows


def _class_labels(recognition: Recognition) -> list[str]:
    name = recognition.substitute_name
    if name:
        return [f"{name.name} {name.score:.0%}"]
    return [
        f"{label.name}{'?' if is_doubted else ''} {label.score:.0%}"
        for rank, (label, is_doubted) in enumerate(recognition.doubted_classes[:SHOWN_CLASSES])
        if rank == 0 or label.score >= SHOWN_SCORE
    ]


def wrap(text: str, letter: float, room: int) -> list[str]:
    """Return a text as lines, broken between words, and within a word only if it is too long.

    Args:
        text: What to break.
        letter: The height of capitals in pixels.
        room: How wide a line may be, in pixels.
    """

    def width(word: str) -> int:
        return text_width(word + " ", letter)

    lines = []
    for words in _fill(text.split(" "), width, room):
        line = " ".join(words)
        while text_width(line, letter) > room and len(line) > 1:
            end = _fitting_end(line, letter, room)
            lines.append(line[:end])
            line = line[end:]
        lines.append(line)
    return lines


def _fitting_end(line: str, letter: float, room: int) -> int:
    """Return how many of the first characters of a line fit, at least 1."""
    end = len(line) - 1
    while end > 1 and text_width(line[:end], letter) > room:
        end -= 1
    return end


def text_width(text: str, letter: float) -> int:
    """Return how many pixels wide a text is if capitals are `letter` pixels high."""
    (width, _), _ = cv2.getTextSize(_unicode(text), FONT, letter / CAPITALS, _thickness(letter))
    return width


def _unicode(text: str) -> str:
    """Return a text without lone surrogates, for which OpenCV ends the process."""
    return text.encode(errors="replace").decode()


def _thickness(letter: float) -> int:
    """Return the strokes' thickness: in OpenCV 5 bolder letters are wider too."""
    return max(1, round(letter / 11))


def _fill(items: Sequence[str], measure: Callable[[str], float], room: float) -> list[list[str]]:
    """Return `items` as lists, in order, of as many as fit into `room` by their measures."""
    lines: list[list[str]] = []
    used = room
    for item in items:
        width = measure(item)
        if used + width > room and not (lines and not lines[-1]):
            lines.append([])
            used = 0
        lines[-1].append(item)
        used += width
    return lines


def _put_text(
    image: np.ndarray,
    text: str,
    x: float,
    baseline: float,
    letter: float,
    colour: tuple[int, int, int],
) -> None:
    cv2.putText(
        image,
        _unicode(text),
        (round(x), round(baseline)),
        FONT,
        letter / CAPITALS,
        colour,
        _thickness(letter),
        cv2.LINE_AA,
    )
