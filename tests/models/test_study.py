"""Whether the caption helps: where it does, where it cannot, and that shuffled captions do not."""

import json

import numpy as np
import pytest

from device import PicaptionError
from models import study
from models.study import HEADS, command, draw, score, table


def world(helps, count=120, seed=0):
    """Return (features, evidence, truth) of pictures of three classes, of which noisy features tell a little; the evidence
    tells the class by word number, or, unless it `helps`, nothing."""
    random = np.random.default_rng(seed)
    truth = np.eye(3, dtype=np.float32)[random.integers(0, 3, count)]
    features = np.abs(random.normal(size=(count, 20)).astype(np.float32)) + 0.5 * truth @ np.eye(3, 20, dtype=np.float32)
    evidence = random.uniform(0, 1, (count, 12)).astype(np.float32)
    if helps:
        evidence[:, :3] += 2 * truth
    return features, evidence, truth


NAMES = np.eye(12, 3, dtype=np.float32)


@pytest.mark.parametrize("multi_label", (True, False))
def test_a_caption_that_tells_the_class_helps_unless_it_is_shuffled(multi_label):
    one, everything = study.study(world(True), world(True, seed=1), NAMES, multi_label, [1, None], draws=4)
    for row in (one, everything):
        assert row["fused"] > row["image"] + 5 and row["caption"] > row["image"] + 5
        assert row["low"] > 0 and row["low"] <= row["gain"] + 5 and row["gain"] <= row["high"] + 5
        assert row["shuffled"] < row["image"] + 5
    assert (one["pictures"], one["draws"], everything["pictures"], everything["draws"]) == (1, 4, None, 1)


def test_a_caption_that_tells_nothing_is_found_out():
    row, = study.study(world(False), world(False, seed=1), NAMES, False, [None], draws=4)
    assert row["low"] < 1 and abs(row["caption"] - 33) < 15


def test_drawn_pictures_stand_for_each_class():
    truth = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [0, 0]])
    random = np.random.default_rng(0)
    for count in (1, 2):
        chosen = draw(truth, count, random)
        assert (truth[chosen].sum(0) >= count).all() and 4 not in chosen and len(chosen) <= 2 * count
    assert draw(truth, 3, random).tolist() == [0, 1, 2, 3] and draw(truth, None, random).tolist() == [0, 1, 2, 3, 4]


def test_scores_by_hand():
    truth = np.array([[True, False], [False, True]])
    assert score(np.array([[2, 1], [3, 4]]), truth, False) == 1
    assert score(np.array([[2, 1], [3, 4]]), truth, True) == pytest.approx((0.5 + 1) / 2)


def test_the_table_has_a_line_a_count():
    rows = [{"pictures": count, "draws": 1, **dict.fromkeys(HEADS, 50.0), "gain": 1.5, "low": -0.25, "high": 3.0}
            for count in (5, None)]
    head, first, last = table(rows)
    assert head.split() == ["a", "class", "image", "image,", "wide", "caption", "fused", "shuffled", "gain", "low", "high"]
    assert first.split() == ["5", *["50.00"] * 5, "1.50", "-0.25", "3.00"] and last.split()[0] == "all"


def run(*arguments):
    return command.main([str(argument) for argument in arguments], standalone_mode=False)


def test_the_command_compares_on_a_bundle(bundle, data, tmp_path, capsys):
    run(bundle, "--labels", data / "labels.tsv", "--images", data / "images", "--train", data / "train.txt", "--dev",
        data / "dev.txt", "--pictures", "2,all", "--draws", 2, "--json", tmp_path / "study.json")
    assert len(capsys.readouterr().out.splitlines()) == 3
    rows = json.loads((tmp_path / "study.json").read_text())
    assert [row["pictures"] for row in rows] == [2, None] and rows[1]["fused"] > 60
    run(bundle, "--folders", data / "folders", "--folders-dev", data / "folders", "--pictures", "all")
    assert float(capsys.readouterr().out.splitlines()[1].split()[4]) > 90  # fused, on what it was fitted to


@pytest.mark.parametrize("arguments, message", [
    ([], "give the data by one of --labels and --folders"),
    (["--labels", "x"], "--labels go with --images, --train and --dev"),
    (["--folders", "x"], "--folders go with --folders-dev")])
def test_what_is_missing_is_named(arguments, message):
    with pytest.raises(PicaptionError, match=message):
        run("some.tflite", *arguments)
    import click
    with pytest.raises(click.BadParameter, match="such as 1,5,all"):
        run("some.tflite", "--pictures", "0")
