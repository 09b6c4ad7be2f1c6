"""A page of images with their captions: the best, the worst, and some drawn at random.

Or, for judging by eye, as many as wanted, drawn with a seed and numbered: the same images for every
model.
"""

import base64
import random
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from picaption.device.atomic import write_text
from picaption.device.html_page import html_figures, html_page, html_paragraphs, html_section
from picaption.device.images import encode_image, read_image, resize

from ..data.readers import Record

#: Images in each part of the page.
IMAGES_A_PART = 12
#: The longest side of each, in pixels.
MAX_SIDE = 320
#: Quality of their JPEGs.
JPEG_QUALITY = 80

STYLE = """
h2 + p { margin: 0 0 .8rem }
.cards { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)) }
article { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  overflow: hidden }
article img { display: block; width: 100%; height: auto } article div { padding: .7rem }
article p { margin: 0 0 .5rem }
article ul { margin: 0 0 .5rem; padding-left: 1.1rem; font-size: .9rem } li { color: var(--faint) }
.caption, .absent { font-weight: 600 } .absent, .faint { font-size: .85rem }
"""

#: What evaluate_captions leaves of an image: image, caption, CIDEr, tags, classes and more.
Prediction = Mapping[str, Any]


def write_gallery(
    path: str | Path,
    title: str,
    figures: Iterable[tuple[str, str]],
    predictions: Sequence[Prediction],
    records: Iterable[Record],
) -> None:
    """Write one HTML file that needs no other, completely or not at all.

    Best and worst go by CIDEr; an image is never both.

    Args:
        path: The file.
        title: Its heading.
        figures: Names and values that stand below it.
        predictions: One or more, as picaption.models.evaluation.evaluate.evaluate_captions leaves
            them.
        records: The images' Records.
    """
    records_by_name = {record.name: record for record in records}
    by_cider = sorted(predictions, key=itemgetter("CIDEr"), reverse=True)
    best = by_cider[:IMAGES_A_PART]
    worst = by_cider[IMAGES_A_PART:][-IMAGES_A_PART:][::-1]
    order = np.random.default_rng(0).permutation(len(by_cider))
    drawn = [by_cider[index] for index in order[:IMAGES_A_PART]]
    body = ""
    for name, lead, part in (
        ("Best", "The highest CIDEr.", best),
        ("Worst", "The lowest CIDEr, the worst first.", worst),
        ("At random", "Drawn from all, those above among them.", drawn),
    ):
        if part:
            cards = "".join(
                _card(prediction, records_by_name[prediction["image"]]) for prediction in part
            )
            body += html_section(name, lead, card_grid(cards))
    write_page(path, title, figures, body)


def write_page(path: str | Path, title: str, figures: Iterable[tuple[str, str]], body: str) -> None:
    """Write a page of cards, completely or not at all.

    Args:
        path: The file.
        title: Its heading.
        figures: Names and values that stand below it.
        body: The HTML below these.
    """
    write_text(path, html_page(title, html_figures(figures) + body, STYLE))


def card_grid(cards: str) -> str:
    """Return cards, HTML, beside one another."""
    return f'<div class="cards">\n{cards}</div>'


def image_card(path: Path, alternative: str, content: str) -> str:
    """Return a card with the image at `path`, and HTML below it.

    `alternative` is plain text for those who cannot see the image.
    """
    return (
        f'<article>\n<img alt="{escape(alternative)}" src="{data_uri(path)}">\n<div>\n{content}'
        "</div>\n</article>\n"
    )


def draw_names(names: Iterable[str], count: int, seed: int) -> list[str]:
    """Return at most `count` of the names, drawn with a seed from all of them sorted."""
    ordered = sorted(names)
    return random.Random(seed).sample(ordered, min(count, len(ordered)))


def write_drawn_gallery(
    path: str | Path,
    title: str,
    figures: Iterable[tuple[str, str]],
    predictions: Sequence[Prediction],
    records: Iterable[Record],
    count: int,
    seed: int,
) -> None:
    """Write a page as `write_gallery` does, of images drawn with a seed, numbered from 1.

    Which ones depends on the images' names alone, so that the captions of several models can be
    judged on the same images.

    Args:
        path: The file.
        title: Its heading.
        figures: Names and values that stand below it.
        predictions: As for `write_gallery`.
        records: The images' Records.
        count: How many images.
        seed: Of the draw.
    """
    records_by_name = {record.name: record for record in records}
    predictions_by_name = {prediction["image"]: prediction for prediction in predictions}
    names = draw_names(predictions_by_name, count, seed)
    cards = "".join(
        _card(predictions_by_name[name], records_by_name[name], number)
        for number, name in enumerate(names, 1)
    )
    lead = f"{len(names)} of {len(predictions_by_name)} images, drawn with seed {seed}."
    write_page(path, title, figures, html_section("Drawn", lead, card_grid(cards)))


def _card(prediction: Prediction, record: Record, number: int | None = None) -> str:
    """Return the card of an image: what the model says of it, and what people say."""
    references = "".join(f"<li>{escape(caption)}</li>" for caption in record.captions)
    lines = {
        "Tags": _score_list(prediction["tags"]),
        "Classes": _score_list(prediction["classes"]),
        "Names": _score_list(prediction.get("names", ())),
        "Labels": ", ".join(record.labels),
    }
    details = [f"{name}: {text}" for name, text in lines.items() if text]
    details.append(f"CIDEr {prediction['CIDEr']:.1f}; {record.name}")
    caption = prediction["caption"]
    if number is not None:
        caption = f"{number}. {caption}"
    confidence = prediction.get("confidence")
    if confidence is not None:
        details.insert(0, f"Confidence {confidence:.2f}")
    absent = prediction.get("absent_objects", ())
    warnings = [f"Not there: {', '.join(absent)}"] if absent else []
    content = (
        html_paragraphs("caption", [caption])
        + html_paragraphs("absent", warnings)
        + f"<ul>{references}</ul>\n"
        + html_paragraphs("faint", details)
    )
    return image_card(record.path, prediction["caption"], content)


def _score_list(scores: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(f"{score['name']} {score['score']:.2f}" for score in scores)


def data_uri(path: str | Path, max_side: int = MAX_SIDE) -> str:
    """Return the image at `path`, scaled down to a longest side, as a JPEG in a data URI."""
    image = read_image(path)
    scale = min(1, max_side / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    jpeg = encode_image(resize(image, height, width, "stretch"), ".jpg", JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
