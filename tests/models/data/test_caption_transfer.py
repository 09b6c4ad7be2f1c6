"""Captions borrowed by label, by hand."""

from pathlib import Path

import pytest

from picaption.models.data.caption_transfer import (
    NEIGHBOURS,
    TRANSFERRED,
    count_ngrams,
    rank_by_consensus,
    tf_idf,
    transfer_captions,
)
from picaption.models.data.readers import Record


def text(name, labels, *captions):
    return Record(name, Path(name), captions, tuple(labels))


def test_captions_come_from_the_nearest_labels():
    text_records = [
        text(f"{label}{number}", [label, "person"][: 1 + number % 2], f"a {label} number {number}")
        for label in ("cat", "dog", "horse")
        for number in range(NEIGHBOURS + 1)
    ]
    cat, rider = transfer_captions(
        (Record("x", Path("x"), (), ("cat",)), Record("y", Path("y"), (), ("horse", "person"))),
        text_records,
    )
    assert len(cat.captions) == TRANSFERRED and all(
        caption.startswith("a cat") for caption in cat.captions
    )
    assert all(caption.startswith("a horse") for caption in rider.captions)
    assert rider.labels == ("horse", "person")


def test_what_most_say_comes_first():
    text_records = [
        text("1", ["cat"], "a cat sleeps on a bed"),
        text("2", ["cat"], "a cat on a bed"),
        text("3", ["cat"], "my aunt was late again"),
        text("4", ["dog"], "dogs"),
    ]
    (captioned,) = transfer_captions((Record("x", Path("x"), (), ("cat",)),), text_records)
    assert set(captioned.captions[:2]) == {"a cat sleeps on a bed", "a cat on a bed"}
    assert captioned.captions[2] == "my aunt was late again"


def test_an_image_that_shares_no_label_borrows_nothing():
    captioned = transfer_captions(
        (Record("x", Path("x"), (), ("cat",)), Record("y", Path("y"))),
        [text("1", ["dog"], "a dog")],
    )
    assert [record.captions for record in captioned] == [(), ()]


def test_the_same_seed_borrows_the_same():
    text_records = [
        text(str(number), ["cat"], f"a cat number {number}") for number in range(3 * NEIGHBOURS)
    ]
    records = (Record("x", Path("x"), (), ("cat",)),)
    assert (
        transfer_captions(records, text_records, 1)
        == transfer_captions(records, text_records, 1)
        != transfer_captions(records, text_records, 2)
    )


def test_consensus_by_hand():
    assert count_ngrams("A cat.") == {
        "a": 1,
        "cat": 1,
        ("", "a"): 1,
        ("a", "cat"): 1,
        ("cat", ""): 1,
    }
    rarity = {"a": 0.0, "b": 3.0, "c": 4.0}
    assert tf_idf({"a": 2, "b": 1, "c": 1}, rarity) == pytest.approx({"a": 0, "b": 0.6, "c": 0.8})
    # With the total {b: 2.6, c: 1.8} they agree by 2.6, 0.6 * 2.6 + 0.8 * 1.8 = 3.0, and 1.8.
    assert rank_by_consensus([{"b": 1.0}, {"b": 0.6, "c": 0.8}, {"c": 1.0}, {"b": 1.0}]) == [
        1,
        0,
        2,
    ]
