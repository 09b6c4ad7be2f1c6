"""Whether the caption helps: where it does, where it cannot, and shuffled ones do not."""

import json
from dataclasses import replace

import click
import numpy as np
import pytest

from picaption.device import PicaptionError, Recognizer
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.images import read_image
from picaption.models.data.corruptions import low_light
from picaption.models.data.readers import Record, read_folders
from picaption.models.evaluation.caption_study import (
    HeadInputs,
    compute_inputs,
    concatenate_inputs,
    human_evidence,
    sample_rows,
    sample_scorer,
    study,
    study_command,
    study_lines,
)
from picaption.models.evaluation.evaluate import load_recognizer


def world(helps, count=120, seed=0):
    """Return HeadInputs of images of three classes.

    Noisy features say a little of the class; the evidence names it by word id, or, unless it
    `helps`, says nothing.
    """
    random = np.random.default_rng(seed)
    truth = np.eye(3, dtype=np.float32)[random.integers(0, 3, count)]
    features = np.abs(random.normal(size=(count, 20)).astype(np.float32))
    features = features + 0.5 * truth @ np.eye(3, 20, dtype=np.float32)
    evidence = random.uniform(0, 1, (count, 12)).astype(np.float32)
    if helps:
        evidence[:, :3] += 2 * truth
    return HeadInputs(features, evidence, truth)


PRIOR = np.eye(12, 3, dtype=np.float32) / 2


@pytest.mark.parametrize("multi_label", (True, False))
def test_a_caption_that_names_the_class_helps_unless_it_is_shuffled(multi_label):
    dev = {"clean": world(True, seed=1)}
    rows = study(world(True), dev, PRIOR, multi_label, [1, None], draws=4)
    for row in rows:
        assert row["fused"] > row["image"] + 5 and row["caption"] > row["image"] + 5
        assert row["low"] > 0
        assert row["low"] - 5 <= row["gain"] <= row["high"] + 5
        assert row["shuffled"] < row["image"] + 5
        low, high = row["spread"]["fused"]
        assert low <= row["fused"] <= high
        assert "human" not in row
    assert [(row["pictures"], row["draws"]) for row in rows] == [(1, 4), (None, 4)]


def test_a_caption_that_says_nothing_does_not_help():
    dev = {"clean": world(False, seed=1)}
    (row,) = study(world(False), dev, PRIOR, False, [None], draws=4)
    assert row["low"] < 1 and abs(row["caption"] - 33) < 15


def test_human_captions_are_the_ceiling_where_the_captioner_says_nothing():
    world_1 = world(True, seed=1)
    silent = replace(
        world_1, word_evidence=world(False, seed=2).word_evidence, human=world_1.word_evidence
    )
    dev = {"captioned": silent, "clean": world(True, seed=3)}
    captioned, clean = study(world(True), dev, PRIOR, False, [5], draws=3)
    assert (captioned["frames"], clean["frames"]) == ("captioned", "clean")
    assert captioned["human"] > captioned["fused"] + 10 and "human" not in clean


def test_the_figures_of_a_set_do_not_depend_on_the_others():
    dev = world(True, seed=1)
    alone = study(world(True), {"clean": dev}, PRIOR, False, [2, 5], draws=3)
    beside = study(
        world(True), {"dark": world(True, seed=2), "clean": dev}, PRIOR, False, [2, 5], draws=3
    )
    assert [row for row in beside if row["frames"] == "clean"] == alone


def test_the_words_of_human_captions_are_certain():
    vocabulary = Vocabulary((*SPECIAL_WORDS, "cat", "sleeps"))
    records = [Record("a", "a", ("A cat.", "The cat sleeps")), Record("b", "b", ("Nothing",))]
    certain = np.log(1001)
    evidence = human_evidence(records, vocabulary)[:, -2:]
    np.testing.assert_allclose(evidence, [[certain, certain], [0, 0]], rtol=1e-6)


def test_concatenated_inputs_are_one_after_the_other():
    first = world(True, 30)
    second = replace(world(True, 20, seed=1), human=np.ones((20, 12), np.float32))
    both = concatenate_inputs(first, second)
    for name in ("features", "word_evidence", "truth"):
        np.testing.assert_array_equal(
            getattr(both, name)[[0, 29, 30, 49]],
            [*getattr(first, name)[[0, 29]], *getattr(second, name)[[0, 19]]],
        )
    assert len(both.truth) == 50 and both.human is None


def test_more_images_show_smaller_differences():
    few = world(True, 60, seed=1)
    more = concatenate_inputs(few, world(True, 600, seed=2))
    dev = {"clean": few, "together": more}
    clean, together = study(world(True), dev, PRIOR, False, [5], draws=4)
    assert together["high"] - together["low"] < 0.7 * (clean["high"] - clean["low"])


def test_sampled_images_count_for_each_of_their_classes():
    truth = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [0, 0]])
    random = np.random.default_rng(0)
    for count in (1, 2):
        rows = sample_rows(truth, count, random)
        assert (truth[rows].sum(0) >= count).all()
        assert 4 not in rows and len(rows) <= 2 * count
    assert sample_rows(truth, 3, random).tolist() == [0, 1, 2, 3]
    assert sample_rows(truth, None, random).tolist() == [0, 1, 2, 3, 4]


def test_scores_by_hand():
    truth = np.array([[True, False], [False, True]])
    logits = np.array([[2, 1], [3, 4]])
    once = np.array([1, 1])
    assert sample_scorer(logits, truth, False)(once) == 1
    assert sample_scorer(logits, truth, True)(once) == pytest.approx((0.5 + 1) / 2)
    # In the sample, the first image is once and the second three times; a mistake counts as often.
    sample = np.array([1, 3])
    mistaken = np.array([[2, 1], [4, 3]])
    assert sample_scorer(mistaken, truth, False)(sample) == 0.25
    assert sample_scorer(logits, truth, True)(sample) == pytest.approx((0.25 + 1) / 2)


def test_the_table_has_a_line_for_each_count_and_set_of_frames():
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
    head, first, last = study_lines(rows)
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
    assert first.split() == ["clean", "5", *["50.00"] * 5, "1.50", "-0.25", "3.00"]
    assert len(first) == len(last)
    assert last.split() == ["captioned", "all", *["50.00"] * 5, "70.00", "1.50", "-0.25", "3.00"]


def run(*arguments):
    return study_command.main([str(argument) for argument in arguments], standalone_mode=False)


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


def test_other_images_with_captions_count_together_with_the_dev_images(bundle, data, tmp_path):
    names = [name for name in (data / "train.txt").read_text().split() if "_5" not in name]
    (tmp_path / "train.txt").write_text("\n".join(names))
    lines = (data / "captions.token.txt").read_text().splitlines()
    captions = [line for line in lines if "_5.jpg" in line]
    (tmp_path / "captions.txt").write_text("\n".join(captions))
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
        tmp_path / "captions.txt",
    )
    rows = json.loads((tmp_path / "study.json").read_text())
    assert [row["frames"] for row in rows] == ["clean", "captioned", "together"]
    assert "human" in rows[1] and "human" not in rows[2]


def test_features_may_be_another_networks(bundle, class_run, data):
    dataset = read_folders(data / "folders")
    recognizer = Recognizer(bundle)
    feature_recognizer = load_recognizer(class_run)
    inputs = compute_inputs(recognizer, dataset, "pictures")
    others = compute_inputs(recognizer, dataset, "pictures", feature_recognizer=feature_recognizer)
    np.testing.assert_array_equal(inputs.word_evidence, others.word_evidence)
    encoded = feature_recognizer.encode(read_image(dataset.records[0].path))
    np.testing.assert_allclose(others.features[0], encoded.features[0], rtol=1e-5)
    assert not np.allclose(inputs.features, others.features)


def test_corrupted_images_have_other_features(bundle, data):
    dataset = read_folders(data / "folders")
    recognizer = Recognizer(bundle)
    dark = compute_inputs(recognizer, dataset, "pictures", low_light)
    clean = compute_inputs(recognizer, dataset, "pictures")
    assert not np.allclose(dark.features, clean.features)


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
    with pytest.raises(click.BadParameter, match="such as 1,5,all"):
        run("some.tflite", "--pictures", "0")
