"""The mapping of ImageNet's names is complete, ordered and unambiguous."""

from pathlib import Path

from picaption import models
from picaption.device.bundle.names import parse_names

NAMES = parse_names(
    Path(models.__path__[0], "mappings", "imagenet_names.tsv").read_text(encoding="utf-8")
)


def test_every_class_is_there_once_in_order():
    identifiers = [item.identifier for item in NAMES]
    assert len(identifiers) == 1000
    assert identifiers == sorted(set(identifiers))
    assert (identifiers[0], identifiers[-1]) == ("n01440764", "n15075141")


def test_names_are_everyday_ones():
    by_id = {item.identifier: item for item in NAMES}
    assert by_id["n02124075"].name == "Egyptian cat"
    assert by_id["n02124075"].hypernyms == ("cat", "animal")
    assert by_id["n02098413"].hypernyms == ("toy dog", "dog", "animal")
    assert by_id["n07920052"].words[:3] == ("espresso", "coffee", "cup")
    # ImageNet's notebook and laptop are one name, its two cranes are two.
    assert by_id["n03832673"].name == by_id["n03642806"].name == "laptop"
    assert {by_id["n02012849"].name, by_id["n03126707"].name} == {
        "crane (bird)",
        "crane (machine)",
    }


def test_a_hypernym_covers_more_than_one_class():
    """One that covers a single class would say no more than its name."""
    covered = {}
    for index, item in enumerate(NAMES):
        for name in (item.name, *item.hypernyms):
            covered.setdefault(name, set()).add(index)
    for item in NAMES:
        assert all(len(covered[hypernym]) > 1 for hypernym in item.hypernyms), item
        assert len(set(item.hypernyms)) == len(item.hypernyms)


def test_words_are_lower_case():
    for item in NAMES:
        assert all(word == word.lower() for word in item.words), item
        assert len(set(item.words)) == len(item.words)
