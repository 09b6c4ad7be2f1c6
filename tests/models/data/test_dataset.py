"""What a run learns from: own and transferred captions, vocabulary, tags and prompts."""

import dataclasses
import logging
from collections import Counter

import numpy as np
import pytest

from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.errors import PicaptionError
from picaption.models.data import caption_transfer
from picaption.models.data import dataset as reading
from picaption.models.data.readers import Record, read_captions

WORDS = ("a", "dog", "on", "mat", "cat", "sofa", "bed", "pig", "in", "car")


def test_a_share_of_the_labelled_images_borrows(data, settings, tmp_path):
    some = dataclasses.replace(settings, transfer_share=0.5)
    loaded, path = reading.load_data(some, data), tmp_path / "borrowed.token.txt"
    text = reading.load_text(some, data, loaded)
    transferred = reading.add_transferred_captions(loaded, some, text, path)
    captioned = [record for record in transferred.labels.records if record.captions]
    assert len(captioned) == round(len(transferred.labels.records) / 2)
    # Captions in the file are taken as they are.
    path.write_text(f"{captioned[0].name}#0\tA kept caption.\n")
    again = reading.add_transferred_captions(loaded, some, text, path).labels.records
    assert [record.captions for record in again if record.captions] == [("A kept caption.",)]


@pytest.fixture
def own_settings(data, settings, tmp_path):
    """Settings with captions of their own for three of six parts of each labelled photograph."""
    path = tmp_path / "own.token.txt"
    lines = (data / "captions.token.txt").read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if line.partition("#")[0][-5] in "0127"))
    return dataclasses.replace(settings, label_captions=str(path))


def captions_by_name(loaded):
    return {record.name: record.captions for record in loaded.labels.records if record.captions}


def test_labelled_images_have_their_own_captions(data, own_settings, caplog):
    caplog.set_level(logging.INFO)
    loaded = reading.load_data(own_settings, data)
    own = captions_by_name(loaded)
    assert sorted(own) == [
        f"{name}_{part}.jpg" for name in ("astronaut", "cat", "coffee") for part in range(3)
    ]
    assert own["cat_1.jpg"] == ("A cat is looking at the camera.", "A brown cat's face.")
    assert not any(record.captions for record in loaded.labels_dev.records)
    assert (
        "9 of 18 labelled images have captions of their own; left out those of 0 dev images and "
        "of 3 images that are not for training" in caplog.text
    )


def test_dev_images_among_the_labelled_ones_have_no_captions(data, own_settings, caplog):
    caplog.set_level(logging.INFO)
    overlapping = dataclasses.replace(own_settings, label_train="")
    loaded = reading.load_data(overlapping, data)
    assert len(loaded.labels.records) == 24
    assert captions_by_name(loaded) == captions_by_name(reading.load_data(own_settings, data))
    assert "left out those of 3 dev images and of 0 images" in caplog.text
    # Nor do the dev images of the captions.
    loaded = reading.load_data(dataclasses.replace(overlapping, label_dev=""), data)
    assert not any("_7" in name for name in captions_by_name(loaded))


def test_only_images_without_own_captions_borrow(data, own_settings, tmp_path):
    half = dataclasses.replace(own_settings, transfer_share=0.5)
    loaded = reading.load_data(half, data)
    text = reading.load_text(half, data, loaded)
    own = captions_by_name(loaded)
    path = tmp_path / "borrowed.token.txt"
    captioned = captions_by_name(reading.add_transferred_captions(loaded, half, text, path))
    assert len(captioned) == len(own) + round((18 - len(own)) / 2)
    assert captioned | own == captioned
    # Not even where the file has some for them.
    path.write_text("cat_0.jpg#0\tA borrowed caption.\n")
    again = reading.add_transferred_captions(loaded, half, text, path)
    assert captions_by_name(again) == own


def test_the_draw_of_those_that_borrow_is_that_of_the_seed(data, settings, tmp_path):
    some = dataclasses.replace(settings, transfer_share=0.5)
    loaded = reading.load_data(some, data)
    text = reading.load_text(some, data, loaded)
    transferred = reading.add_transferred_captions(loaded, some, text, tmp_path / "borrowed")
    drawn = np.random.default_rng(some.seed).permutation(18)[:9]
    names = {loaded.labels.records[index].name for index in drawn}
    assert set(captions_by_name(transferred)) == names


def test_labelled_dev_images_have_captions_that_nothing_learns_from(data, settings, tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("image\tcaption\ncat_7.jpg\tA zebra.\ncat_0.jpg\tA zebra too.\n")
    loaded = reading.load_data(dataclasses.replace(settings, label_dev_captions=str(path)), data)
    captions = {record.name: record.captions for record in loaded.labels_dev.records}
    assert captions["cat_7.jpg"] == ("A zebra.",) and captions["coffee_7.jpg"] == ()
    assert captions_by_name(loaded) == {}
    path.write_text("image\tcaption\ncat_0.jpg\tA zebra.\n")
    with pytest.raises(PicaptionError, match="captions of none of the 6 labelled dev"):
        reading.load_data(dataclasses.replace(settings, label_dev_captions=str(path)), data)


def test_captions_of_other_images_alone_are_refused(data, settings, tmp_path):
    path = tmp_path / "others.token.txt"
    path.write_text("dog.jpg#0\tA dog.\ncat_7.jpg#0\tA cat.\n")
    others = dataclasses.replace(settings, label_captions=str(path))
    with pytest.raises(PicaptionError, match="captions of none of the 18 labelled training"):
        reading.load_data(others, data)


@pytest.fixture
def named_settings(data, settings, tmp_path):
    """Settings with two photographs of names and sentences for them."""
    (tmp_path / "more.tsv").write_text(
        "coffee_0\thuman\tAn espresso in a cup\n"
        "coffee_0\thuman\tA cup of coffee beside a spoon.\n"
        "cat_7\thuman\tAn espresso machine\n"
        "elsewhere\tvinvl\tan espresso\n"
    )
    (tmp_path / "names.tsv").write_text(
        "coffee_1.jpg\tn07920052\tespresso\ncat_1.jpg\tn02123597\tSiamese cat, Siamese\n"
    )
    return dataclasses.replace(
        settings,
        more_text=str(tmp_path / "more.tsv"),
        named_labels=str(tmp_path / "names.tsv"),
        named_images="images",
    )


def test_more_text_joins_the_captions_of_its_images_but_dev(data, named_settings, caplog):
    caplog.set_level(logging.INFO)
    loaded = reading.load_data(named_settings, data)
    text = {record.name: record for record in reading.load_text(named_settings, data, loaded)}
    assert text["coffee_0"].captions == (
        "A cup of coffee on a table.",
        "A cup of coffee beside a spoon.",
        "An espresso in a cup",
    )
    assert text["coffee_0"].labels == ("cup", "spoon")
    assert text["elsewhere"].captions == ("an espresso",) and text["elsewhere"].labels == ()
    assert "cat_7" not in text and len(text) == 10
    assert "left out the captions of 1 dev images" in caplog.text


def test_images_with_a_name_borrow_by_it(data, named_settings, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(caption_transfer, "MIN_NAMED", 1)
    caplog.set_level(logging.INFO)
    loaded = reading.load_data(named_settings, data)
    assert loaded.named.images.shape == (2, 64, 64, 3) and loaded.named.classes == ()
    text = reading.load_text(named_settings, data, loaded)
    path = tmp_path / "by_name.token.txt"
    named = reading.add_captions_by_name(loaded, text, (), 1, path).named
    assert {record.name: set(record.captions) for record in named.records} == {
        "coffee_1.jpg": {"An espresso in a cup", "an espresso"},
        "cat_1.jpg": set(),
    }
    assert "1 of 2 images with a name borrow captions by it" in caplog.text
    path.write_text("cat_1.jpg#0\tA kept caption.\n")
    again = reading.add_captions_by_name(loaded, text, (), 1, path).named
    assert [record.captions for record in again.records] == [(), ("A kept caption.",)]


def test_vocabulary_and_tags_are_the_frequent_words(data):
    records = read_captions(data / "captions.token.txt", data / "images").records
    vocabulary = reading.learn_vocabulary(records, 16)
    assert "a" in vocabulary.word_ids and "spoon" not in vocabulary.word_ids
    assert reading.learn_tags(records, reading.learn_vocabulary(records, 1), 3) == (
        "camera",
        "astronaut",
        "brown",
    )


def test_prompts_are_frequent_words_that_much_can_follow():
    def record(*captions):
        return Record("a.jpg", "a.jpg", captions)

    records = [
        record("a dog on a mat", "a dog on a mat", "a cat on a sofa"),
        record("a dog on a bed", "a pig in a car"),
    ]
    vocabulary = Vocabulary((*SPECIAL_WORDS, *WORDS))
    # After "a" at the start: dog three times, cat and pig once. After "on a": mat twice, sofa
    # and bed once, which is a higher entropy, 1.04 against 0.95. Elsewhere one word follows.
    assert reading.learn_prompts(records, vocabulary, 3, count=2) == ("on a", "a")
    # "on a" stands four times, as the third most frequent: what is seen less is no prompt.
    assert reading.learn_prompts(records, vocabulary, 3, 2, candidates=2) == ("a", "")
    # A word that the vocabulary lacks can follow a prompt, but not be in one.
    few_words = Vocabulary((*SPECIAL_WORDS, "a", "dog"))
    assert reading.learn_prompts(records, few_words, 3, 2, candidates=2) == ("a", "")
    assert reading.entropy(Counter("aab")) == pytest.approx(np.log(3) - 2 / 3 * np.log(2))
