"""Whether the caption helps: where it does, where it cannot, and that shuffled captions do not."""

import json
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import PicaptionError, Recognizer
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.images import read_image
from picaption.models.data.corruptions import low_light
from picaption.models.data.readers import Record, read_folders
from picaption.models.evaluation import caption_study
from picaption.models.evaluation.caption_study import (
    Inputs,
    command,
    draw,
    human_evidence,
    scorer,
    table,
    together,
)
from picaption.models.evaluation.evaluate import load_recognizer


def world(helps, count=120, seed=0):
    """Return Inputs of pictures of three classes, of which noisy features tell a little; the evidence tells the class by
    word number, or, unless it `helps`, nothing."""
    random = np.random.default_rng(seed)
    truth = np.eye(3, dtype=np.float32)[random.integers(0, 3, count)]
    features = np.abs(random.normal(size=(count, 20)).astype(np.float32)) + 0.5 * truth @ np.eye(
        3, 20, dtype=np.float32
    )
    evidence = random.uniform(0, 1, (count, 12)).astype(np.float32)
    if helps:
        evidence[:, :3] += 2 * truth
    return Inputs(features, evidence, truth)


PRIOR = np.eye(12, 3, dtype=np.float32) / 2


@pytest.mark.parametrize("multi_label", (True, False))
def test_a_caption_that_tells_the_class_helps_unless_it_is_shuffled(multi_label):
    one, everything = caption_study.study(
        world(True), {"clean": world(True, seed=1)}, PRIOR, multi_label, [1, None], draws=4
    )
    for row in (one, everything):
        assert row["fused"] > row["image"] + 5 and row["caption"] > row["image"] + 5
        assert row["low"] > 0 and row["low"] <= row["gain"] + 5 and row["gain"] <= row["high"] + 5
        assert row["shuffled"] < row["image"] + 5
        assert (
            row["spread"]["fused"][0] <= row["fused"] <= row["spread"]["fused"][1]
            and "human" not in row
        )
    assert (one["pictures"], one["draws"], everything["pictures"], everything["draws"]) == (
        1,
        4,
        None,
        4,
    )


def test_a_caption_that_tells_nothing_is_found_out():
    (row,) = caption_study.study(
        world(False), {"clean": world(False, seed=1)}, PRIOR, False, [None], draws=4
    )
    assert row["low"] < 1 and abs(row["caption"] - 33) < 15


def test_captions_of_people_are_the_ceiling_where_the_captioner_says_nothing():
    blind, seen = world(True, seed=1), world(True, seed=1).evidence
    blind = replace(blind, evidence=world(False, seed=2).evidence, human=seen)
    row, other = caption_study.study(
        world(True), {"captioned": blind, "clean": world(True, seed=3)}, PRIOR, False, [5], draws=3
    )
    assert (row["frames"], other["frames"]) == ("captioned", "clean")
    assert row["human"] > row["fused"] + 10 and "human" not in other


def test_what_people_told_is_surely_called_for():
    vocabulary = Vocabulary((*SPECIAL_WORDS, "cat", "sleeps"))
    told = [Record("a", "a", ("A cat.", "The cat sleeps")), Record("b", "b", ("Nothing",))]
    sure = np.log(1001)
    found = human_evidence(told, vocabulary)[:, -2:]
    np.testing.assert_allclose(found, [[sure, sure], [0, 0]], rtol=1e-6)


def test_two_sets_together_are_one_after_the_other():
    one, other = (
        world(True, 30),
        replace(world(True, 20, seed=1), human=np.ones((20, 12), np.float32)),
    )
    both = together(one, other)
    for name in ("features", "evidence", "truth"):
        np.testing.assert_array_equal(
            getattr(both, name)[[0, 29, 30, 49]],
            [*getattr(one, name)[[0, 29]], *getattr(other, name)[[0, 19]]],
        )
    assert len(both.truth) == 50 and both.human is None


def test_more_pictures_tell_smaller_differences():
    few, more = world(True, 60, seed=1), world(True, 600, seed=2)
    rows = caption_study.study(
        world(True), {"clean": few, "together": together(few, more)}, PRIOR, False, [5], draws=4
    )
    assert rows[1]["high"] - rows[1]["low"] < 0.7 * (rows[0]["high"] - rows[0]["low"])


def test_drawn_pictures_stand_for_each_class():
    truth = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [0, 0]])
    random = np.random.default_rng(0)
    for count in (1, 2):
        chosen = draw(truth, count, random)
        assert (
            (truth[chosen].sum(0) >= count).all() and 4 not in chosen and len(chosen) <= 2 * count
        )
    assert draw(truth, 3, random).tolist() == [0, 1, 2, 3] and draw(
        truth, None, random
    ).tolist() == [0, 1, 2, 3, 4]


def test_scores_by_hand():
    truth, logits = np.array([[True, False], [False, True]]), np.array([[2, 1], [3, 4]])
    assert scorer(logits, truth, False)(np.array([1, 1])) == 1
    assert scorer(logits, truth, True)(np.array([1, 1])) == pytest.approx((0.5 + 1) / 2)
    # In the sample, the first picture stands once and the second three times, and where it is taken for the other, that counts.
    assert scorer(np.array([[2, 1], [4, 3]]), truth, False)(np.array([1, 3])) == 0.25
    assert scorer(logits, truth, True)(np.array([1, 3])) == pytest.approx((0.25 + 1) / 2)


def test_the_table_has_a_line_a_count_and_kind_of_frames():
    heads = dict.fromkeys(("image", "image, wide", "caption", "fused", "shuffled"), 50.0)
    rows = [
        {"frames": "clean", "pictures": 5, **heads, "gain": 1.5, "low": -0.25, "high": 3.0},
        {
            "frames": "captioned",
            "pictures": None,
            **heads,
            "human": 70.0,
            "gain": 1.5,
            "low": -0.25,
            "high": 3.0,
        },
    ]
    head, first, last = table(rows)
    assert head.split() == [
        "frames",
        "a",
        "class",
        "image",
        "image,",
        "wide",
        "caption",
        "fused",
        "shuffled",
        "human",
        "gain",
        "low",
        "high",
    ]
    assert first.split() == ["clean", "5", *["50.00"] * 5, "1.50", "-0.25", "3.00"] and len(
        first
    ) == len(last)
    assert last.split() == ["captioned", "all", *["50.00"] * 5, "70.00", "1.50", "-0.25", "3.00"]


def run(*arguments):
    return command.main([str(argument) for argument in arguments], standalone_mode=False)


def test_the_command_compares_on_a_bundle(bundle, data, tmp_path, capsys):
    run(
        bundle,
        "--labels",
        data / "labels.tsv",
        "--images",
        data / "images",
        "--train",
        data / "train.txt",
        "--dev",
        data / "dev.txt",
        "--pictures",
        "2,all",
        "--draws",
        2,
        "--json",
        tmp_path / "study.json",
        "--spoiled",
        "--text",
        data / "text.tsv",
        "--captions",
        data / "captions.token.txt",
        "--plot",
        tmp_path / "study.png",
    )
    assert len(capsys.readouterr().out.splitlines()) == 13
    rows = json.loads((tmp_path / "study.json").read_text())
    assert [row["pictures"] for row in rows] == [2] * 6 + [None] * 6
    assert [row["frames"] for row in rows[6:]] == [
        "clean",
        "motion blur",
        "sensor noise",
        "low light",
        "JPEG 20",
        "captioned",
    ]
    assert rows[6]["fused"] > 60 and rows[-1]["human"] > 60
    assert min(read_image(tmp_path / "study.png").shape[:2]) > 300


def test_captioned_pictures_that_are_others_are_tried_together_with_the_dev_pictures(
    bundle, data, tmp_path
):
    kept = [name for name in (data / "train.txt").read_text().split() if "_5" not in name]
    (tmp_path / "train.txt").write_text("\n".join(kept))
    told = [
        line for line in (data / "captions.token.txt").read_text().splitlines() if "_5.jpg" in line
    ]
    (tmp_path / "told.txt").write_text("\n".join(told))
    run(
        bundle,
        "--labels",
        data / "labels.tsv",
        "--images",
        data / "images",
        "--train",
        tmp_path / "train.txt",
        "--dev",
        data / "dev.txt",
        "--pictures",
        "2",
        "--draws",
        1,
        "--json",
        tmp_path / "study.json",
        "--captions",
        tmp_path / "told.txt",
    )
    rows = json.loads((tmp_path / "study.json").read_text())
    assert [row["frames"] for row in rows] == ["clean", "captioned", "together"]
    assert "human" in rows[1] and "human" not in rows[2]


def test_features_may_be_another_networks(bundle, class_run, data):
    dataset, eye = read_folders(data / "folders"), load_recognizer(class_run)
    own, others = (
        caption_study.inputs_of(Recognizer(bundle), dataset, "pictures", eye=each)
        for each in (None, eye)
    )
    np.testing.assert_array_equal(own.evidence, others.evidence)
    image = read_image(dataset.records[0].path)
    np.testing.assert_allclose(
        others.features[0], eye.model.encode(eye.prepare(image)).features[0], rtol=1e-5
    )
    assert not np.allclose(own.features, others.features)


def test_spoiled_pictures_are_seen_spoiled(bundle, data):
    dataset, recognizer = read_folders(data / "folders"), Recognizer(bundle)
    dark = caption_study.inputs_of(recognizer, dataset, "pictures", low_light)
    assert not np.allclose(
        dark.features, caption_study.inputs_of(recognizer, dataset, "pictures").features
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "give the data by one of --labels and --folders"),
        (["--labels", "x"], "--labels go with --images, --train and --dev"),
        (["--folders", "x"], "--folders go with --folders-dev"),
        (
            ["--folders", "x", "--folders-dev", "x", "--text", "x"],
            "--text and --captions go with --labels",
        ),
    ],
)
def test_what_is_missing_is_named(arguments, message):
    with pytest.raises(PicaptionError, match=message):
        run("some.tflite", *arguments)
    import click

    with pytest.raises(click.BadParameter, match="such as 1,5,all"):
        run("some.tflite", "--pictures", "0")
