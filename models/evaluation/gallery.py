"""A page of pictures with what was said of them: the best, the worst, and some drawn at random."""

import base64
from html import escape

import numpy as np

from picaption.device.images import encode_image, read_image, resize

from ..files import write_text

#: Pictures in each part of the page; the longest side of each, in pixels, and its JPEG quality.
COUNT, SIDE, QUALITY = 12, 320, 80

STYLE = """
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --text: #1c1c1a; --faint: #62625c; --line: #dcdcd6 }
@media (prefers-color-scheme: dark) {
  :root { --page: #161614; --card: #222220; --text: #ecece8; --faint: #a0a098; --line: #3a3a36 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 80rem; background: var(--page); color: var(--text);
  font: 1rem/1.4 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin: 2rem 0 .3rem }
h2 + p, .faint, dt, li { color: var(--faint) } h2 + p { margin: 0 0 .8rem }
.figures, .cards { display: grid; gap: .3rem 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)) }
.figures { margin: 0 } .cards { gap: 1rem; align-items: start }
.figures div { display: flex; justify-content: space-between; gap: 1rem; border-bottom: 1px solid var(--line) }
dd { margin: 0; font-variant-numeric: tabular-nums; text-align: right }
article { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; overflow: hidden }
article img { display: block; width: 100%; height: auto } article div { padding: .7rem }
article p { margin: 0 0 .5rem } article ul { margin: 0 0 .5rem; padding-left: 1.1rem; font-size: .9rem }
.caption { font-weight: 600 } .faint { font-size: .85rem }
"""


def write_gallery(path, title, figures, predictions, records):
    """Write one HTML file to `path` that needs no other, whole or not at all.

    title: its heading; figures: (name, value) texts to stand below it; predictions: what
    picaption.models.evaluation.evaluate.evaluate_captions leaves of each picture, at least one; records: the pictures' Records.
    Best and worst go by CIDEr; a picture is never both.
    """
    records = {record.name: record for record in records}
    order = sorted(predictions, key=lambda each: -each["CIDEr"])
    drawn = np.random.default_rng(0).permutation(len(order))[:COUNT]
    parts = [
        ("Best", "The highest CIDEr.", order[:COUNT]),
        ("Worst", "The lowest CIDEr, the worst first.", order[COUNT:][-COUNT:][::-1]),
        ("At random", "Drawn from all, those above among them.", [order[index] for index in drawn]),
    ]
    body = [
        f'<section>\n<h2>{name}</h2>\n<p>{what}</p>\n<div class="cards">\n'
        + "".join(card(each, records[each["image"]]) for each in chosen)
        + "</div>\n</section>\n"
        for name, what, chosen in parts
        if chosen
    ]
    write_page(path, title, figures, "".join(body))


def write_page(path, title, figures, body, style=""):
    """Write an HTML page to `path`, whole or not at all: its heading, `figures`, (name, value) texts, and the HTML `body`;
    `style` adds to the page's own."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>\n" for name, value in figures
    )
    write_text(
        path,
        f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<dl class="figures">
{rows}</dl>
{body}</body>
</html>
""",
    )


def card(prediction, record):
    """Return the HTML of one picture: itself, its caption and CIDEr, what people said, tags and classes with scores."""
    people = "".join(f"<li>{escape(caption)}</li>" for caption in record.captions)
    lines = [
        (
            name,
            ", ".join(f"{each['name']} {each['score']:.2f}" for each in prediction[name.lower()]),
        )
        for name in ("Tags", "Classes")
    ]
    lines += [("Labels", ", ".join(record.labels))]
    return (
        f'<article>\n<img alt="{escape(prediction["caption"])}" src="{data_uri(record.path)}">\n<div>\n'
        f'<p class="caption">{escape(prediction["caption"])}</p>\n<ul>{people}</ul>\n'
        + "".join(f'<p class="faint">{name}: {escape(text)}</p>\n' for name, text in lines if text)
        + f'<p class="faint">CIDEr {prediction["CIDEr"]:.1f}; {escape(record.name)}</p>\n</div>\n</article>\n'
    )


def data_uri(path, side=SIDE):
    """Return the picture at `path`, scaled down to `side`, as a JPEG in a data URI."""
    image = read_image(path)
    scale = min(1, side / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    jpeg = encode_image(resize(image, height, width, "stretch"), ".jpg", QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
