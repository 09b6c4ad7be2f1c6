"""Captions borrowed by label, by hand."""

from pathlib import Path

import pytest

from picaption.models.data import caption_transfer
from picaption.models.data.caption_transfer import (
    NEIGHBOURS,
    TRANSFERRED,
    count_ngrams,
    name_forms,
    rank_by_consensus,
    tf_idf,
    transfer_captions,
    transfer_captions_by_name,
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


def test_only_true_captions_are_borrowed():
    text_records = [text("1", ["cat"], "a cat and a dog", "a cat", "a grey cat sleeps")]
    (captioned,) = transfer_captions(
        (Record("x", Path("x"), (), ("cat",)),),
        text_records,
        is_true=lambda caption, record: "dog" not in caption and record.labels == ("cat",),
    )
    assert set(captioned.captions) == {"a cat", "a grey cat sleeps"}
    assert captioned.borrowed


def test_fewer_neighbours_are_fewer_captions():
    text_records = [text(str(number), ["cat"], f"a cat number {number}") for number in range(9)]
    (captioned,) = transfer_captions((Record("x", Path("x"), (), ("cat",)),), text_records, 0, 3)
    assert len(captioned.captions) == 3


def named(name, *words):
    return Record(name, Path(name), (), words)


def test_a_name_borrows_the_captions_that_have_it(monkeypatch):
    monkeypatch.setattr(caption_transfer, "MIN_NAMED", 2)
    sentences = [
        text("1", [], "An old barn in a field", "a red barn", "a barnyard"),
        text("2", [], "two barns", "the shower curtain is white", "Shower curtains!"),
        text("3", [], "a curtain"),
    ]
    barn, shower, boat = transfer_captions_by_name(
        [named("b", "barn"), named("s", "shower curtain"), named("g", "gondola")], sentences, ()
    )
    assert set(barn.captions) == {"An old barn in a field", "a red barn", "two barns"}
    assert set(shower.captions) == {"the shower curtain is white", "Shower curtains!"}
    assert boat.captions == ()
    assert barn.labels == ("barn",) and barn.borrowed


def test_captions_about_the_name_come_first(monkeypatch):
    monkeypatch.setattr(caption_transfer, "NAMED_CANDIDATES", 2)
    # Of five captions one is late, one is about another thing too, and one about two.
    sentences = [
        text("1", [], "near the wide green grass is a barn", "a barn, a man and a dog"),
        text("2", [], "a barn and a dog", "a barn with a roof", "a red barn"),
    ]
    for least, expected in (
        (1, {"a barn with a roof", "a red barn"}),
        (3, {"a barn with a roof", "a red barn"}),
        (4, {"a barn with a roof", "a red barn", "a barn and a dog"}),
    ):
        monkeypatch.setattr(caption_transfer, "MIN_NAMED", least)
        (barn,) = transfer_captions_by_name([named("b", "barn")], sentences, ("man", "dog"))
        assert expected.issuperset(barn.captions) and len(barn.captions) == 2
    monkeypatch.setattr(caption_transfer, "MIN_NAMED", 5)
    assert (
        transfer_captions_by_name([named("b", "barn")], sentences, ("man", "dog"))[0].captions == ()
    )


def test_another_name_of_the_same_image_is_nothing_else(monkeypatch):
    monkeypatch.setattr(caption_transfer, "MIN_NAMED", 1)
    sentences = [text("1", [], "an espresso in a cup", "an espresso and a dog")]
    (espresso,) = transfer_captions_by_name(
        [named("e", "espresso", "cup")], sentences, ("cup", "cups", "dog")
    )
    assert espresso.captions == ("an espresso in a cup",)


def test_the_best_name_comes_first_and_others_fill_up():
    sentences = [
        text("1", [], *(f"gondola {number}" for number in range(8))),
        text("2", [], *(f"boat {number}" for number in range(20))),
    ]
    (gondola,) = transfer_captions_by_name([named("g", "gondola", "boat")], sentences, ())
    assert len(gondola.captions) == TRANSFERRED
    assert all(caption.startswith("gondola") for caption in gondola.captions[:8])
    assert all(caption.startswith("boat") for caption in gondola.captions[8:])


def test_a_name_that_stands_twice_is_none():
    sentences = [text("1", [], "a skateboard tick", "my tick")]
    assert transfer_captions_by_name([named("t", "tick")], sentences, ())[0].captions == ()


def test_the_longest_name_counts_and_each_name_once(monkeypatch):
    monkeypatch.setattr(caption_transfer, "MIN_NAMED", 1)
    sentences = [text("1", [], "a hot dog", "a dog with another dog", "a hot summer")]
    dog, hot_dog = transfer_captions_by_name(
        [named("d", "dog"), named("h", "hot dog", "hotdog")], sentences, ()
    )
    assert dog.captions == ("a dog with another dog",)
    assert hot_dog.captions == ("a hot dog",)


def test_forms_of_a_name():
    assert name_forms("ice-cream lolly") == {
        ("ice", "cream", word) for word in ("lolly", "lollys", "lollyes", "lollies")
    }
    assert ("fire", "women") in name_forms("Fire woman")
    assert name_forms("!") == set()
