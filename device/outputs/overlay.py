"""Draws what was recognised into the picture."""

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_DUPLEX
WHITE, GREY, BLUE = (255, 255, 255), (190, 200, 210), (38, 110, 200)
#: A class is shown from this score on; the best one always.
SHOWN_SCORE = 0.1
#: Smaller pictures are enlarged, so that the words can be read.
MIN_WIDTH, MAX_HEIGHT = 480, 1080
#: The band may cover this share of the height; beyond it the letters become smaller.
MAX_SHARE = 0.5


def annotate(image, recognition):
    """Return a copy of `image` with caption, classes and tags in a translucent band at its foot.

    Takes and returns uint8 RGB [height, width, 3]; pictures narrower than MIN_WIDTH come back enlarged.
    """
    height, width = image.shape[:2]
    factor = max(1.0, min(MIN_WIDTH / width, MAX_HEIGHT / height))
    size = (round(width * factor), round(height * factor))
    image = image.copy() if factor == 1 else cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    width, height = size

    letter = max(10.0, 0.04 * min(height, 0.75 * width))
    while True:
        rows = _rows(recognition, letter, width)
        band = sum(row_height for row_height, _ in rows) + round(0.8 * letter)
        if band <= MAX_SHARE * height or letter < 6:
            break
        letter *= 0.85

    top = max(0, height - band)
    # A darkened picture shows through: a third of it, and two thirds of near black.
    image[top:] = image[top:] // 3 + np.uint8(10)
    y = top + round(0.4 * letter)
    for row_height, draw in rows:
        draw(image, round(0.6 * letter), y)
        y += row_height
    return image


def _rows(recognition, letter, width):
    """Return the band's rows for letters of that height in pixels, as (height, function that draws it at x, y)."""
    room = width - round(1.2 * letter)
    rows = []
    if recognition.caption:
        for line in wrap(recognition.caption.text, letter, room):
            rows.append((round(1.7 * letter), _text_row(line, letter)))
    small = 0.72 * letter
    classes = [
        f"{score.name}{'?' * recognition.unsure} {score.score:.0%}"
        for score in recognition.classes[:3]
        if score.score >= SHOWN_SCORE or score is recognition.classes[0]
    ]
    for line in _fill(classes, lambda label: text_width(label, small) + 1.6 * small, room):
        rows.append((round(2.4 * small), _chip_row(line, small)))
    if recognition.tags:
        for line in wrap("  ".join(f"#{tag.name}" for tag in recognition.tags), small, room):
            rows.append((round(1.8 * small), _text_row(line, small, GREY)))
    return rows


def wrap(text, letter, room):
    """Return `text` as lines at most `room` pixels wide, broken between words (within one only if it is too long)."""
    lines = []
    for words in _fill(text.split(" "), lambda word: text_width(word + " ", letter), room):
        line = " ".join(words)
        while text_width(line, letter) > room and len(line) > 1:
            fits = next(
                (
                    end
                    for end in range(len(line) - 1, 1, -1)
                    if text_width(line[:end], letter) <= room
                ),
                1,
            )
            lines.append(line[:fits])
            line = line[fits:]
        lines.append(line)
    return lines


def text_width(text, letter):
    """Return how many pixels wide `text` is where capitals are `letter` pixels high."""
    return cv2.getTextSize(text, FONT, letter / 21, _thickness(letter))[0][
        0
    ]  # the font's capitals are 21 units high


def _thickness(letter):
    """Return the strokes' thickness: OpenCV 5 has another letter for each, bolder ones being wider."""
    return max(1, round(letter / 11))


def _fill(items, measure, room):
    """Return `items` as lists, in order, each as long as its measures fit into `room`."""
    lines, used = [], room
    for item in items:
        wide = measure(item)
        if used + wide > room and not (lines and not lines[-1]):
            lines.append([])
            used = 0
        lines[-1].append(item)
        used += wide
    return lines


def _write(image, text, x, baseline, letter, colour):
    cv2.putText(
        image,
        text,
        (round(x), round(baseline)),
        FONT,
        letter / 21,
        colour,
        _thickness(letter),
        cv2.LINE_AA,
    )


def _text_row(text, letter, colour=WHITE):
    return lambda image, x, y: _write(image, text, x, y + 1.3 * letter, letter, colour)


def _chip_row(labels, letter):
    """Draws each label on a pill of its own."""

    def draw(image, x, y):
        top, bottom, radius = round(y + 0.3 * letter), round(y + 2.1 * letter), round(0.9 * letter)
        for label in labels:
            wide = text_width(label, letter) + 1.2 * letter
            left, right = x + radius, max(x + radius, round(x + wide) - radius)
            middle = (top + bottom) // 2
            cv2.rectangle(image, (left, top), (right, bottom), BLUE, cv2.FILLED)
            for centre in (left, right):
                cv2.circle(
                    image, (centre, middle), (bottom - top) // 2, BLUE, cv2.FILLED, cv2.LINE_AA
                )
            _write(image, label, x + 0.6 * letter, y + 1.68 * letter, letter, WHITE)
            x = round(x + wide + 0.4 * letter)

    return draw
