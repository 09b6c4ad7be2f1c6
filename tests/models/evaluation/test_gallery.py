"""The page of pictures: whole, escaped, and made of nothing but itself."""

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.images import write_image
from picaption.models.data.readers import Record
from picaption.models.evaluation import gallery

#: Elements without an end.
VOID = {"meta", "img"}


class Page(HTMLParser):
    """Collects a page's elements and texts; every element must be closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())

    def sections(self):
        """Return {heading: captions in order}."""
        captions = {}
        heading = None
        for text in self.texts:
            if text in ("Best", "Worst", "At random"):
                heading = text
            elif text.startswith("said of"):
                captions.setdefault(heading, []).append(text)
        return captions


@pytest.fixture
def make(tmp_path):
    """Writes a gallery of `count` pictures with CIDEr 0 to count - 1; returns its text."""

    def make(count, size=(40, 60), **changes):
        records, predictions = [], []
        for index in range(count):
            path = tmp_path / f"{index}.png"
            write_image(path, np.full((*size, 3), (200, 100, index), np.uint8))
            records.append(Record(path.name, path, (f"Seen in {index}.", "Seen."), ("cat",)))
            predictions.append(
                {
                    "image": path.name,
                    "caption": f"said of {index}",
                    "CIDEr": float(index),
                    "tags": [{"name": "red", "score": 0.876}],
                    "classes": [],
                }
                | changes
            )
        gallery.write_gallery(
            tmp_path / "page.html", "A <title> & more", [("BLEU-4", "12.50")], predictions, records
        )
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return make


def test_the_best_the_worst_and_some_at_random(make):
    sections = Page(make(30)).sections()
    assert sections["Best"] == [f"said of {index}" for index in range(29, 17, -1)]
    assert sections["Worst"] == [f"said of {index}" for index in range(12)]
    assert len(sections["At random"]) == len(set(sections["At random"])) == 12


@pytest.mark.parametrize("count, worst", [(1, 0), (12, 0), (13, 1), (24, 12)])
def test_few_pictures_are_not_best_and_worst_at_once(make, count, worst):
    sections = Page(make(count)).sections()
    assert len(sections["Best"]) == len(sections["At random"]) == min(12, count)
    assert len(sections.get("Worst", ())) == worst and not set(sections["Best"]) & set(
        sections.get("Worst", ())
    )


def test_a_picture_has_all_that_was_said_of_it(make):
    page = Page(make(1))
    for text in (
        "A <title> & more",
        "BLEU-4",
        "12.50",
        "said of 0",
        "Seen in 0.",
        "Seen.",
        "Tags: red 0.88",
        "Labels: cat",
        "CIDEr 0.0; 0.png",
    ):
        assert text in page.texts
    assert not any(text.startswith("Classes") for text in page.texts)


def test_a_card_shows_confidence_names_and_what_is_not_there(make):
    names = [{"name": "espresso", "score": 0.968}]
    page = Page(make(1, confidence=0.25, names=names, absent_objects=["cat", "dog"]))
    for text in ("Confidence 0.25", "Names: espresso 0.97", "Not there: cat, dog"):
        assert text in page.texts
    page = Page(make(1, confidence=None, names=[], absent_objects=[]))
    assert not any(text.startswith(("Confidence", "Names", "Not there")) for text in page.texts)


def test_pictures_are_drawn_by_name_with_a_seed(tmp_path):
    # As Python's documentation keeps it: random() and so sample() are the same in every version.
    names = [f"{index}.png" for index in (3, 1, 2, 0)]
    assert gallery.draw_names(names, 2, 1) == gallery.draw_names(sorted(names), 2, 1)
    assert sorted(gallery.draw_names(names, 9, 1)) == sorted(names)
    assert len({tuple(gallery.draw_names(names, 4, seed)) for seed in range(20)}) > 5

    records, predictions = [], []
    for name in names:
        write_image(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
        records.append(Record(name, tmp_path / name, ("Seen.",), ()))
        scores = {"CIDEr": 0.0, "tags": [], "classes": []}
        predictions.append({"image": name, "caption": f"said of {name}", **scores})
    page = tmp_path / "page.html"
    gallery.write_drawn_gallery(page, "title", [], predictions, records, 3, 7)
    texts = Page(page.read_text(encoding="utf-8")).texts
    drawn = gallery.draw_names(names, 3, 7)
    assert [text for text in texts if "said of" in text] == [
        f"{number}. said of {name}" for number, name in enumerate(drawn, 1)
    ]
    assert "3 of 4 images, drawn with seed 7." in texts


def test_all_text_is_escaped(make):
    nasty = "\"><script>alert(1)</script> & ' <b>"
    text = make(1, caption=nasty, tags=[{"name": nasty, "score": 0.5}])
    page = Page(text)
    assert nasty in page.texts and f"Tags: {nasty} 0.50" in page.texts
    assert not {"script", "b"} & {tag for tag, _ in page.elements}
    assert [attributes["alt"] for tag, attributes in page.elements if tag == "img"] == [nasty] * 2


def test_the_page_needs_no_other_file(make):
    text = make(13)
    sources = [attributes["src"] for tag, attributes in Page(text).elements if tag == "img"]
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"https?:|url\(|@import|<link|<script", text)


@pytest.mark.parametrize(
    "size, scaled", [((40, 60), (40, 60)), ((480, 640), (240, 320)), ((1000, 1), (320, 1))]
)
def test_pictures_are_scaled_down_to_a_side(make, size, scaled):
    source = next(
        attributes["src"] for tag, attributes in Page(make(1, size)).elements if tag == "img"
    )
    image = cv2.imdecode(
        np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR
    )
    assert image.shape[:2] == scaled
    np.testing.assert_allclose(image[0, 0], (0, 100, 200), atol=6)  # blue, green, red


def test_a_page_that_fails_is_not_begun(make, tmp_path):
    records = [Record("gone.png", tmp_path / "gone.png", ("Seen.",))]
    predictions = [{"image": "gone.png", "caption": "a", "CIDEr": 1.0, "tags": [], "classes": []}]
    with pytest.raises(PicaptionError, match="there is no picture at"):
        gallery.write_gallery(tmp_path / "page.html", "title", [], predictions, records)
    assert list(tmp_path.iterdir()) == []
