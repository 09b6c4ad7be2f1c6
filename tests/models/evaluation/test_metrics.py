"""Figures for captions and classes, by hand."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from picaption import models
from picaption.device.errors import PicaptionError
from picaption.models.evaluation.metrics import (
    average_precision_of_samples,
    caption_scores,
    expected_calibration_error,
    mean_average_precision,
    mean_words,
    nearest_neighbours,
    precision_and_recall,
    ptb_tokenize,
    style_figures,
    top_k_accuracy,
)


@pytest.fixture
def without_java(monkeypatch):
    """A PATH without Java."""
    monkeypatch.setattr(shutil, "which", lambda name: None)


# --- classes


def test_average_precision_is_precision_where_recall_grows():
    scores = np.array([[0.9, 0.8, 0.7, 0.6], [0.6, 0.7, 0.8, 0.9]]).T
    truth = np.array([[1, 0, 1, 0]] * 2).T
    mean, by_class = mean_average_precision(scores, truth)
    assert by_class == pytest.approx([1 / 2 * 1 + 1 / 2 * 2 / 3, 1 / 2 * 1 / 2 + 1 / 2 * 2 / 4])
    assert mean == pytest.approx((5 / 6 + 1 / 2) / 2)


@pytest.mark.parametrize(
    "scores, truth, precision",
    [
        ([0.5, 0.5, 0.5], [1, 0, 0], 1 / 3),
        ([0.5, 0.5, 0.5], [0, 0, 1], 1 / 3),
        ([0.9, 0.5, 0.5, 0.1], [0, 1, 0, 1], 1 / 2 * 1 / 3 + 1 / 2 * 2 / 4),
        ([0.9, 0.5, 0.5, 0.1], [0, 0, 1, 1], 1 / 2 * 1 / 3 + 1 / 2 * 2 / 4),
        ([0.1, 0.9, 0.9], [1, 1, 1], 1),
    ],
)
def test_images_of_equal_score_pass_a_threshold_together(scores, truth, precision):
    mean, by_class = mean_average_precision(np.array(scores)[:, None], np.array(truth)[:, None])
    assert mean == by_class[0] == pytest.approx(precision)


def test_a_sample_is_measured_as_if_its_images_were_repeated():
    random = np.random.default_rng(3)
    scores, truth = random.integers(0, 9, (30, 4)) / 9, random.random((30, 4)) < 0.3
    measure = average_precision_of_samples(scores, truth)
    for _ in range(5):
        drawn = random.integers(0, 30, 30)
        mean, by_class = measure(np.bincount(drawn, minlength=30))
        again, again_by_class = mean_average_precision(scores[drawn], truth[drawn])
        assert mean == pytest.approx(again)
        assert by_class == pytest.approx(again_by_class, nan_ok=True)


def test_average_precision_at_best_and_at_worst():
    truth = np.eye(4)
    assert mean_average_precision(truth * 0.8, truth)[0] == 1
    mean, by_class = mean_average_precision(1 - truth, truth)
    assert (
        mean == 1 / 4 and by_class.tolist() == [1 / 4] * 4
    )  # the one positive passes with all the others


def test_a_class_without_positives_does_not_count():
    mean, by_class = mean_average_precision([[0.9, 0.1], [0.8, 0.2]], [[0, 0], [1, 0]])
    assert mean == by_class[0] == 1 / 2 and math.isnan(by_class[1])
    mean, by_class = mean_average_precision([[0.9, 0.1]], [[0, 0]])
    assert math.isnan(mean) and np.isnan(by_class).all()


def test_scores_that_cannot_be_ranked_are_refused():
    with pytest.raises(ValueError, match=r"scores \(2, 2\) and truth \(2, 1\) are not both"):
        mean_average_precision(np.ones((2, 2)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="are not both"):
        mean_average_precision(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="not a number"):
        mean_average_precision([[0.5], [math.nan]], [[1], [0]])


def test_average_precision_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    scores, truth = random.integers(0, 12, (50, 6)) / 12, random.random((50, 6)) < 0.3
    expected = sklearn.average_precision_score(truth, scores, average=None)
    np.testing.assert_allclose(mean_average_precision(scores, truth)[1], expected)


def test_top_k_accuracy_by_hand():
    scores, truth = [[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]], [1, 1, 0]
    # Of the two equal scores in the second row the first is the best.
    assert [top_k_accuracy(scores, truth, k) for k in (1, 2, 3, 9)] == pytest.approx(
        [1 / 3, 2 / 3, 1, 1]
    )


def test_expected_calibration_error_by_hand():
    # Two bins: in the lower one 0.2 of what is false and 0.4 of what is true; in the upper one 0.9
    # of what is true.
    assert expected_calibration_error([0.2, 0.4, 0.9], [0, 1, 1], bins=2) == pytest.approx(
        (0.4 + 0.1) / 3
    )
    assert expected_calibration_error([[1.0, 0.0]], [[True, False]]) == 0
    assert expected_calibration_error([1.0], [False]) == 1


# --- tags


def test_precision_and_recall_by_hand():
    scores = [[0.9, 0.1, 0.8, 0.3], [0.5, 0.5, 0.5, 0.1], [0.4, 0.3, 0.2, 0.1]]
    truth = [[1, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0]]
    # The two best are tags 0 and 2, 0 and 1 (of equal ones the first), and 0 and 1: right are 1, 1
    # and 0 of them.
    precision, recall = precision_and_recall(scores, truth, 2)
    assert precision == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert recall == pytest.approx((1 / 3 + 1 / 2) / 2)  # the third image has no tag
    # Of four tags five are none but these four.
    assert precision_and_recall(scores, truth, 5) == (pytest.approx((3 / 4 + 2 / 4 + 0) / 3), 1)
    precision, recall = precision_and_recall(scores[2:], truth[2:], 2)
    assert precision == 0 and math.isnan(recall)
    with pytest.raises(ValueError, match=r"scores \(3, 4\) and truth \(1, 4\) are not both"):
        precision_and_recall(scores, truth[:1], 2)


def test_the_nearest_has_the_largest_cosine():
    others = np.array([[9, 9], [1, 0], [0, 0.1], [0, 5], [0, 0]], np.float32)
    features = np.array([[3, 1], [0, 2], [1, 1.5], [0, 0]], np.float32)
    # Length does not count; of equal ones the first does; nothing is like a row of zeros.
    assert nearest_neighbours(features, others).tolist() == [1, 2, 0, 0]
    assert (
        nearest_neighbours(np.repeat(features, 200, 0), others).tolist()
        == np.repeat([1, 2, 0, 0], 200).tolist()
    )


# --- captions


def test_style_by_hand():
    captions = ["A dog runs on the", "a dog and a dog", "A dog runs, on the.", "He looks up"]
    assert style_figures(captions) == {
        "mean_words": 4.5,
        "unfinished": 50.0,
        "repeating": 25.0,
        "distinct": 3,
    }
    assert style_figures(captions, {"a dog, runs on the", "He looks"})["new"] == 50.0
    assert style_figures(captions[3:], captions) == {
        "mean_words": 3.0,
        "unfinished": 0.0,
        "repeating": 0.0,
        "distinct": 1,
        "new": 0.0,
    }
    assert style_figures(["", "a a a"]) == {
        "mean_words": 1.5,
        "unfinished": 50.0,
        "repeating": 50.0,
        "distinct": 2,
    }
    assert mean_words(captions) == 4.5 and mean_words([]) == 0
    assert style_figures([]) == {
        "mean_words": 0.0,
        "unfinished": 0.0,
        "repeating": 0.0,
        "distinct": 0,
    }


def test_identical_captions_are_perfect(without_java):
    captions = {"a": "a red cat sits here", "b": "blue dogs run over there"}
    references = {
        "a": ("A red cat sits here.", "Nobody looks."),
        "b": ("Blue dogs run over there!",),
        "c": ("More.",),
    }
    scores, _ = caption_scores(captions, references)
    assert [scores[name] for name in ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L")] == [
        100
    ] * 5


@pytest.mark.parametrize(
    "caption, references, expected",
    [
        ("a dog", ["a dog runs very fast"], [100 * math.exp(1 - 5 / 2)] * 2),
        (
            "a dog",
            ["a dog runs very fast", "a dog runs"],
            [100 * math.exp(1 - 3 / 2)] * 2,
        ),  # the closest length counts
        ("a a a dog", ["a dog"], [100 * 2 / 4, 100 * math.sqrt(2 / 4 * 1 / 3)]),
        ("dog a", ["a dog"], [100, 0]),
    ],
)
def test_bleu_by_hand(without_java, caption, references, expected):
    scores, _ = caption_scores({"a": caption}, {"a": references})
    assert [scores["BLEU-1"], scores["BLEU-2"]] == pytest.approx(expected, abs=0.01)


def test_rouge_by_hand(without_java):
    # The longest common subsequence, a ... sees, is 2 of 4 words and 2 of 3; recall weighs 1.2
    # squared.
    precision = 2 / 4
    recall = 2 / 3
    weight = 1.2**2
    scores, _ = caption_scores({"a": "a man sees dogs"}, {"a": ["a bird sees"]})
    assert scores["ROUGE-L"] == pytest.approx(
        100 * (1 + weight) * precision * recall / (recall + weight * precision), abs=0.005
    )


def test_cider_is_ten_for_a_caption_of_one_image_only(without_java):
    references = {"a": ["red cats sit here"], "b": ["blue dogs run there"]}
    captions = {name: sentences[0] for name, sentences in references.items()}
    assert caption_scores(captions, references)[0]["CIDEr"] == 1000
    assert caption_scores(captions | {"b": captions["a"]}, references)[0]["CIDEr"] == 500
    scores, by_image = caption_scores({"b": captions["a"], "a": captions["a"]}, references)
    assert scores["CIDEr"] == 500 and by_image == {"b": 0, "a": 1000}
    assert caption_scores({"a": captions["b"], "b": captions["a"]}, references)[0]["CIDEr"] == 0
    assert (
        caption_scores(
            captions, {name: [captions[name], "nobody knows it better"] for name in captions}
        )[0]["CIDEr"]
        == 500
    )
    assert caption_scores({"a": captions["a"]}, references)[0]["CIDEr"] == 0


def test_without_java_there_is_no_meteor(without_java):
    scores, _ = caption_scores({"a": "a cat"}, {"a": ["a cat"]})
    assert list(scores) == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr", "tokenizer"]
    assert scores["tokenizer"] == "simple"


@pytest.mark.parametrize("captions, references", [({}, {}), ({"a": "a cat"}, {"a": [" ...", "!"]})])
def test_without_words_there_is_nothing_to_score(without_java, captions, references):
    with pytest.raises(PicaptionError, match="there are no words to compare captions with"):
        caption_scores(captions, references)


def test_a_silent_captioner_is_scored(without_java):
    scores, _ = caption_scores(
        {"a": "", "b": ""}, {"a": ["a cat sits here"], "b": ["two dogs run"]}
    )
    assert {value for name, value in scores.items() if name != "tokenizer"} == {0}


@pytest.mark.skipif(not shutil.which("java"), reason="needs Java")
def test_with_java_words_are_penn_treebanks_and_meteor_is_there(capfd):
    captions = {"a": "the dog's ball isn't red", "b": "two dogs run over there"}
    references = {"a": ["The dog's ball isn't red."], "b": ["Two dogs run \u2028over\nthere!"]}
    scores, _ = caption_scores(captions, references)
    assert list(scores)[3:] == ["BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "tokenizer"]
    assert scores["METEOR"] == scores["BLEU-4"] == 100 and scores["tokenizer"] == "ptb"
    assert ptb_tokenize(references) == {
        "a": ["the dog 's ball is n't red"],
        "b": ["two dogs run over there"],
    }
    assert capfd.readouterr() == ("", "")


def test_java_that_fails_is_one_line(tmp_path, monkeypatch, capfd):
    (tmp_path / "java").write_text("#!/bin/sh\necho 'Error: no JVM' >&2\nexit 1\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PicaptionError, match="Java fails.* try `java -version`"):
        caption_scores({"a": "a cat", "b": "a dog"}, {"a": ["a cat"], "b": ["a dog"]})
    assert capfd.readouterr() == ("", "")


def test_java_that_fails_on_a_single_caption_is_blamed(tmp_path, monkeypatch):
    (tmp_path / "java").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PicaptionError, match="Java fails"):
        caption_scores({"a": "a cat"}, {"a": ["a cat"]})


@pytest.mark.skipif(not shutil.which("java"), reason="needs Java")
def test_a_meteor_that_fails_is_one_line_and_does_not_hang(tmp_path):
    java = shutil.which("java")
    (tmp_path / "java").write_text(
        f'#!/bin/sh\ncase "$*" in *meteor*) exit 1;; esac\nexec {java} "$@"\n'
    )
    (tmp_path / "java").chmod(0o755)
    program = (
        "from picaption.models.evaluation.metrics import caption_scores\n"
        "caption_scores({'a': 'a cat', 'b': 'a dog'}, {'a': ['a cat'], 'b': ['a dog']})"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": str(tmp_path)},
        cwd=Path(models.__file__).parents[1],
    )
    assert "Java fails" in result.stderr.splitlines()[-1]
