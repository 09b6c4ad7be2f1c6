"""What words bring beside images: figures by hand, and of a world in which words say all."""

import json
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest

from picaption import models
from picaption.device import default_bundle
from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.classifier_graph import read_name_weights
from picaption.device.teaching.words.background import Background
from picaption.device.teaching.words.descriptions import parse_file
from picaption.device.teaching.words.priors import ClassPriors
from picaption.models.evaluation.caption_study import HeadInputs
from picaption.models.evaluation.description_study import (
    Row,
    class_priors,
    main,
    parse_counts,
    study,
    study_lines,
    without_names,
)
from tests.tiny import TINY_BUNDLE


def world(count, seed):
    """Return HeadInputs of images of three classes, whose evidence names them by word id."""
    random = np.random.default_rng(seed)
    truth = np.eye(3, dtype=np.float32)[random.integers(0, 3, count)]
    features = random.normal(size=(count, 20)).astype(np.float32)
    evidence = random.uniform(0, 1, (count, 12)).astype(np.float32)
    evidence[:, :3] += 2 * truth
    return HeadInputs(features, evidence, truth)


@pytest.mark.parametrize("multi_label", [True, False])
def test_words_that_say_all_are_better_than_few_images(multi_label):
    right = np.eye(12, 3, dtype=np.float32)
    nothing = ClassPriors(np.zeros_like(right), None, dict.fromkeys("abc", ()))
    priors = {
        "name": nothing,
        "description": replace(nothing, words=right / 2),
        "both": replace(nothing, words=right),
    }
    images = world(90, 2)
    background = Background(images.features, images.word_evidence)
    none, one = study(world(90, 0), world(120, 1), priors, background, multi_label, [0, 1], draws=5)
    assert none.count == 0 and none.means["pictures"] is None
    assert none.means["both"] > 90 and none.means["description"] > 90
    assert none.means["name"] < 60
    assert one.means["both"] > one.means["pictures"] + 10
    assert one.means["name"] == pytest.approx(one.means["pictures"])
    assert one.draws == 5 and one.deviations["pictures"] > 0


def test_the_table():
    row = Row(1, 3, {"pictures": None, "name": 50.04, "description": 2, "both": 99}, {})
    rows = [
        replace(row, deviations={"pictures": None, "name": 1.26, "description": 0, "both": None})
    ]
    assert study_lines(rows) == [
        "| pictures a class | pictures | name | description | both |",
        "|---|---|---|---|---|",
        "| 1 | - | 50.0 ± 1.3 | 2.0 ± 0.0 | 99.0 |",
    ]


def test_counts_may_be_zero():
    assert parse_counts(None, None, "0, 1,20") == [0, 1, 20]
    for text in ("all", "", "-1"):
        with pytest.raises(click.BadParameter, match="is not a list of numbers"):
            parse_counts(None, None, text)


def test_what_is_told_of_classes():
    contents = read_bundle(TINY_BUNDLE)
    features = np.ones((1, 4), np.float32)
    priors = class_priors(contents, ("cat", "zarf"), {"cat": "a face", "zarf": "a cup"}, features)
    known = {
        telling: {
            column: {contents.vocabulary.words[row] for row in prior.words[:, column].nonzero()[0]}
            for column in range(2)
        }
        for telling, prior in priors.items()
    }
    assert known == {
        "name": {0: {"cat"}, 1: set()},
        "description": {0: {"face"}, 1: {"cup"}},
        "both": {0: {"cat", "face"}, 1: {"cup"}},
    }


def test_names_may_be_taken_out():
    contents = read_bundle(default_bundle())
    without = without_names(contents, ("golf_ball", "english springer"))
    names = {item.name for item in contents.names} - {item.name for item in without.names}
    assert names == {"golf ball", "English springer spaniel"}
    before = read_name_weights(contents.graph)
    after = read_name_weights(without.graph)
    kept = [item.name not in names for item in contents.names]
    np.testing.assert_array_equal(after, before[:, kept])


def test_the_command(data, tmp_path, capfd):
    descriptions = tmp_path / "descriptions.txt"
    descriptions.write_text("astronaut: a woman in a suit\ncat: a face\n", encoding="utf-8")
    options = ["--folders", data / "folders", "--folders-dev", data / "folders"]
    options += ["--descriptions", descriptions, "--pictures", "0,1", "--draws", "2"]
    arguments = [str(value) for value in (TINY_BUNDLE, *options, "--json", tmp_path / "rows.json")]
    with pytest.raises(SystemExit) as exit_error:
        main(arguments)
    assert exit_error.value.code == 2
    assert "descriptions.txt: there is no line for coffee" in capfd.readouterr().err
    descriptions.write_text(descriptions.read_text() + "coffee: a cup of coffee\n")
    with pytest.raises(SystemExit) as exit_error:
        main(arguments)
    assert exit_error.value.code == 0
    assert len(capfd.readouterr().out.splitlines()) == 4
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["count"] for row in rows] == [0, 1]
    assert rows[1]["means"]["pictures"] > 30


def test_shipped_descriptions_have_a_line_for_each_class():
    mappings = Path(models.__path__[0], "mappings")
    imagenette = parse_file(mappings / "imagenette_descriptions.txt")
    coco = parse_file(mappings / "coco80_descriptions.txt")
    assert (len(imagenette), len(coco)) == (10, 80)
    assert all(imagenette.values()) and all(coco.values())
