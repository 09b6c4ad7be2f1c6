"""Evaluation of a real bundle and of its run."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.device.images import read_image
from picaption.models.data.readers import (
    add_labels,
    read_captions,
    read_folders,
    read_labels,
    read_training_captions,
)
from picaption.models.evaluation import evaluate
from picaption.models.evaluation.metrics import expected_calibration_error
from picaption.models.evaluation.object_hallucination import named_objects, object_phrases

NAMES = [f"{stem}_{part}.jpg" for stem in ("astronaut", "cat", "coffee") for part in range(8)]
SCORES = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
STYLE = ["human_mean_words", "mean_words", "unfinished", "repeating", "distinct"]
CLASSES = ("cat", "cup", "person", "spoon")


@pytest.fixture(autouse=True)
def without_java(monkeypatch):
    """A PATH without Java: METEOR takes long, and test_metrics.py has it."""
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.fixture
def broken(data, tmp_path):
    """A copy of the data set in which one picture is empty and one is missing."""
    shutil.copytree(data, tmp_path / "broken")
    (tmp_path / "broken" / "images" / "cat_1.jpg").write_bytes(b"")
    (tmp_path / "broken" / "images" / "cat_2.jpg").unlink()
    return tmp_path / "broken"


def test_captions_of_bundle_and_run_agree(bundle, run, data):
    dataset = read_captions(data / "captions.token.txt", data / "images")
    evaluations = [
        evaluate.evaluate_captions(evaluate.load_recognizer(model), dataset)
        for model in (bundle, run)
    ]
    for evaluation in evaluations:
        figures = evaluation.figures
        assert list(figures) == [
            "pictures",
            *SCORES,
            "tokenizer",
            *STYLE,
            "tags",
            "milliseconds",
            "skipped",
        ]
        assert figures["pictures"] == 24
        assert figures["tokenizer"] == "simple" and figures["skipped"] == []
        assert all(0 <= figures[name] <= 100 for name in [*SCORES[:5], "unfinished", "repeating"])
        assert 1 <= figures["distinct"] <= 24 and 4 <= figures["mean_words"] <= 8
        # Each image of astronaut, cat and coffee has the same two captions: of 7, 5, 7, 4, 7 and 7
        # words.
        assert figures["human_mean_words"] == round((7 + 7 + 7 + 5 + 7 + 7) / 6, 2)
        assert list(figures["milliseconds"]) == [
            "preprocess",
            "encode",
            "classify",
            "caption",
            "total",
        ]
        assert 0 < figures["milliseconds"]["encode"] <= figures["milliseconds"]["total"]
        predictions = evaluation.predictions
        assert [prediction["image"] for prediction in predictions] == NAMES
        captions = {prediction["caption"] for prediction in predictions}
        assert figures["distinct"] == len(captions)
    # Little training leaves captions of like words all but equally likely, and int8 may take
    # another.
    of_bundle, of_run = (evaluation.figures for evaluation in evaluations)
    for name in ("BLEU-1", "ROUGE-L"):
        assert of_bundle[name] == pytest.approx(of_run[name], abs=10)


def test_tags_are_compared_with_the_words_of_the_captions(bundle, data):
    recognizer = Recognizer(bundle)
    dataset = read_captions(data / "captions.token.txt", data / "images")
    tags = recognizer.model.metadata.tags
    precision = []
    recall = []
    for record in dataset.records:
        scores = recognizer.encode(read_image(record.path)).tags
        ranked = sorted(range(len(tags)), key=lambda index: -scores[index])
        best = {tags[index] for index in ranked[:5]}
        words = " ".join(record.captions).lower().replace(".", "").replace("'s", "").split()
        right = set(tags) & set(words)
        precision.append(len(best & right) / 5)
        recall.append(len(best & right) / len(right))
    assert evaluate.evaluate_captions(recognizer, dataset).figures["tags"] == {
        "precision_at_5": pytest.approx(100 * np.mean(precision), abs=0.01),
        "recall_at_5": pytest.approx(100 * np.mean(recall), abs=0.01),
    }


def test_without_a_word_that_is_a_tag_there_are_no_tag_figures(bundle, data, tmp_path):
    (tmp_path / "captions.txt").write_text("cat_0.jpg#0\tNobody knows.\n")
    dataset = read_captions(tmp_path / "captions.txt", data / "images")
    figures = evaluate.evaluate_captions(Recognizer(bundle), dataset).figures
    assert list(figures) == ["pictures", *SCORES, "tokenizer", *STYLE, "milliseconds", "skipped"]


def test_predictions_are_what_the_device_recognizes(bundle, data):
    recognizer = Recognizer(bundle)
    dataset = read_captions(data / "captions.token.txt", data / "images")
    evaluation = evaluate.evaluate_captions(recognizer, dataset)
    on_device = recognizer(read_image(data / "images" / "cat_3.jpg")).to_json()
    predictions = {prediction["image"]: prediction for prediction in evaluation.predictions}
    assert predictions["cat_3.jpg"] == {
        "image": "cat_3.jpg",
        "caption": on_device["caption"]["text"],
        "confidence": on_device["caption"]["confidence"],
        "tags": on_device["tags"],
        "classes": on_device["classes"],
        "names": on_device["names"],
        "CIDEr": predictions["cat_3.jpg"]["CIDEr"],
    }
    cider = np.mean([prediction["CIDEr"] for prediction in predictions.values()])
    assert cider == pytest.approx(evaluation.figures["CIDEr"], abs=0.01)


def test_the_nearest_neighbours_caption_is_copied(bundle, data, tmp_path):
    # Each image has a copy of itself in the training images, whose first caption is its own or
    # another's.
    (tmp_path / "images").mkdir()
    right = "A cup of coffee on a table."
    wrong = "A brown cat's face."
    lines = []
    for number, caption in enumerate((right, right, wrong)):
        copy = f"copy_{number}.jpg"
        shutil.copy(data / "images" / f"coffee_{number}.jpg", tmp_path / "images" / copy)
        lines += [f"{copy}#0\t{caption}\n", f"{copy}#1\tNobody knows.\n"]
    (tmp_path / "captions.txt").write_text("".join(lines))
    dataset = read_captions(data / "captions.token.txt", data / "images")
    names = ("coffee_0.jpg", "coffee_1.jpg", "coffee_2.jpg")
    records = tuple(record for record in dataset.records if record.name in names)
    dataset = replace(dataset, records=records)
    training = read_training_captions(tmp_path / "captions.txt", tmp_path / "images", None, dataset)
    figures = evaluate.evaluate_captions(Recognizer(bundle), dataset, training).figures
    copied = figures["nearest_neighbour"]
    assert list(copied) == SCORES and figures["new"] in (0, 33.33, 66.67, 100)
    # Two captions of 7 words are right; of the 5 in "a brown cat 's face" the first is; 19 words
    # are compared with 21.
    assert copied["BLEU-1"] == pytest.approx(100 * (7 + 7 + 1) / 19 * np.exp(1 - 21 / 19), abs=0.01)


def test_a_training_image_that_is_broken_is_named(bundle, broken):
    everything = broken / "captions.token.txt", broken / "images"
    dev = read_captions(*everything, broken / "dev.txt")
    training = read_training_captions(*everything, None, dev)
    figures = evaluate.evaluate_captions(Recognizer(bundle), dev, training).figures
    assert figures["pictures"] == 6 and figures["skipped"] == [
        f"cat_2.jpg: there is no such picture in {broken}/images",
        f"cat_1.jpg: {broken}/images/cat_1.jpg is empty (0 bytes); copy it again",
    ]


def test_captions_are_compared_with_the_labels_of_their_images(bundle, data, tmp_path):
    (tmp_path / "labels.tsv").write_text("cat_0.jpg\tcat\ncoffee_0.jpg\tperson\nother.jpg\tcup\n")
    dataset = add_labels(
        read_captions(data / "captions.token.txt", data / "images"),
        read_labels(tmp_path / "labels.tsv", data / "images"),
    )
    assert {record.name: record.labels for record in dataset.records if record.labels} == {
        "cat_0.jpg": ("cat",),
        "coffee_0.jpg": ("person",),
    }
    assert len(dataset.records) == 24 and dataset.skipped == ()
    evaluation = evaluate.evaluate_captions(Recognizer(bundle), dataset)
    figures = evaluation.figures
    captions = {prediction["image"]: prediction["caption"] for prediction in evaluation.predictions}
    cat = "cat" in captions["cat_0.jpg"]
    person = "woman" in captions["coffee_0.jpg"]
    assert figures["labelled_pictures"] == 2
    assert figures["names_an_object"] == 50 * (cat + person)
    assert figures["names_an_object_but_person"] == 100 * cat
    absent = [
        named_objects(captions[f"{name}_0.jpg"], object_phrases(dataset.classes)) - {label}
        for name, label in (("cat", "cat"), ("coffee", "person"))
    ]
    assert figures["names_an_absent_object"] == 50 * sum(map(bool, absent))
    flagged = [prediction["absent_objects"] for prediction in evaluation.predictions]
    assert figures["CHAIRs"] == pytest.approx(100 * np.mean(list(map(bool, flagged))), abs=0.01)


def test_labels_of_other_images_are_refused(data, tmp_path):
    (tmp_path / "labels.tsv").write_text("cat.jpg\tcat\n")
    shutil.copy(data / "images" / "cat_0.jpg", tmp_path / "cat.jpg")
    dataset = read_captions(data / "captions.token.txt", data / "images")
    with pytest.raises(PicaptionError, match="none of the 24 pictures with captions has labels"):
        add_labels(dataset, read_labels(tmp_path / "labels.tsv", tmp_path))


def test_classes_of_bundle_and_run_agree(bundle, run, data):
    dataset = read_labels(data / "labels.tsv", data / "images")
    evaluations = [
        evaluate.evaluate_classes(evaluate.load_recognizer(model), dataset)
        for model in (bundle, run)
    ]
    # The 8 positives behind the 16 others.
    worst = round(100 * np.mean([n / (16 + n) for n in range(1, 9)]), 1)
    for evaluation in evaluations:
        figures = evaluation.figures
        assert list(figures) == [
            "pictures",
            "head",
            "mAP",
            "classes",
            "calibration_error",
            "skipped",
        ]
        assert (figures["pictures"], figures["head"], figures["skipped"]) == (24, "multi-label", [])
        assert tuple(figures["classes"]) == CLASSES
        assert figures["mAP"] == pytest.approx(np.mean(list(figures["classes"].values())), abs=0.06)
        assert all(worst <= precision <= 100 for precision in figures["classes"].values())
        assert 0 <= figures["calibration_error"] <= 30
        predictions = evaluation.predictions
        assert [prediction["image"] for prediction in predictions] == NAMES
        assert all(tuple(prediction["scores"]) == CLASSES for prediction in predictions)
    of_bundle, of_run = (
        np.array([list(prediction["scores"].values()) for prediction in evaluation.predictions])
        for evaluation in evaluations
    )
    difference = np.abs(of_bundle - of_run)
    assert difference.mean() < 0.03
    assert (difference < 0.1).mean() > 0.95  # a caption may differ by a word
    before, after = (evaluation.figures["mAP"] for evaluation in evaluations)
    assert before == pytest.approx(after, abs=15)


def test_a_class_that_no_image_shows_has_no_figure(bundle, data, tmp_path):
    (tmp_path / "labels.tsv").write_text("cat_0.jpg\tcat\ncat_1.jpg\tcat\n")
    # In another order than the bundle's.
    (tmp_path / "classes.txt").write_text("spoon\ncat\nperson\ncup\n")
    dataset = read_labels(
        tmp_path / "labels.tsv", data / "images", classes=tmp_path / "classes.txt"
    )
    figures = evaluate.evaluate_classes(Recognizer(bundle), dataset).figures
    assert figures["classes"] == {"cat": 100, "cup": None, "person": None, "spoon": None}
    assert figures["mAP"] == 100


def test_class_folders_have_accuracies(class_run, data):
    recognizer = evaluate.load_recognizer(class_run)
    evaluation = evaluate.evaluate_classes(recognizer, read_folders(data / "folders"))
    hits = []
    confidences = []
    for prediction in evaluation.predictions:
        scores = prediction["scores"]
        best = max(scores, key=scores.get)
        hits.append(prediction["image"].startswith(f"{best}/"))
        confidences.append(scores[best])
    error = expected_calibration_error(np.array(confidences), hits)
    assert evaluation.figures == {
        "pictures": 24,
        "head": "single-label",
        "skipped": [],
        "top_1": round(100 * sum(hits) / 24, 2),
        "top_3": 100,
        "calibration_error": pytest.approx(100 * error, abs=0.01),
        "unsure": round(100 * (np.array(confidences) < 0.5).mean(), 2),
    }


def test_a_model_without_captioner_has_no_captions(class_run, data):
    dataset = read_captions(data / "captions.token.txt", data / "images")
    with pytest.raises(
        PicaptionError, match="this model has no captioner: evaluate it on --labels or --folders"
    ):
        evaluate.evaluate_captions(evaluate.load_recognizer(class_run), dataset)


def test_different_classes_are_named(bundle, data):
    with pytest.raises(
        PicaptionError,
        match="different classes: only in the data \\['astronaut', 'coffee'\\], "
        "only in the model \\['cup', 'person', 'spoon'\\]",
    ):
        evaluate.evaluate_classes(Recognizer(bundle), read_folders(data / "folders"))


def test_a_mapping_picks_the_labels_that_count(bundle, data):
    mapping = {"astronaut": ["person"], "cat": ["cat"], "coffee": ["cup", "spoon"]}
    recognizer = Recognizer(bundle)
    folders = read_folders(data / "folders")
    mapped = evaluate.evaluate_classes(recognizer, folders, mapping)
    assert tuple(mapped.figures["classes"]) == ("astronaut", "cat", "coffee")
    labelled = read_labels(data / "labels.tsv", data / "images")
    unmapped = evaluate.evaluate_classes(recognizer, labelled)
    # The last of both is an image of coffee.
    mapped_scores = mapped.predictions[-1]["scores"]
    scores = unmapped.predictions[-1]["scores"]
    assert mapped_scores["coffee"] == pytest.approx(scores["cup"] + scores["spoon"], abs=2e-4)
    assert mapped_scores["cat"] == scores["cat"]


def test_a_single_label_models_mapped_probabilities_sum_to_one(class_run, data, tmp_path):
    for stem, name in (("cat", "tom"), ("coffee", "java")):
        (tmp_path / name).mkdir()
        shutil.copy(data / "images" / f"{stem}_0.jpg", tmp_path / name)
    evaluation = evaluate.evaluate_classes(
        evaluate.load_recognizer(class_run),
        read_folders(tmp_path),
        {"tom": ["cat"], "java": ["coffee"]},
    )
    sums = [sum(prediction["scores"].values()) for prediction in evaluation.predictions]
    assert sums == pytest.approx([1, 1], abs=2e-4)


@pytest.mark.parametrize(
    "mapping, message",
    [
        (
            {"cat": ["cat"]},
            "the mapping has no line for \\['astronaut', 'coffee'\\], which the data has",
        ),
        (
            {"cat": ["cat"], "astronaut": ["person"], "coffee": ["mug"]},
            "the mapping names \\['mug'\\], of which the model has none",
        ),
        (
            {"cat": ["cat"], "astronaut": ["cat"], "coffee": ["cup"]},
            "the mapping names \\['cat', 'cat'\\], .* which two lines name",
        ),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(bundle, data, mapping, message):
    with pytest.raises(PicaptionError, match=message):
        evaluate.evaluate_classes(Recognizer(bundle), read_folders(data / "folders"), mapping)


def test_broken_images_are_named_and_the_rest_evaluated(bundle, broken, tmp_path):
    skipped = [
        f"cat_2.jpg: there is no such picture in {broken}/images",
        f"cat_1.jpg: {broken}/images/cat_1.jpg is empty (0 bytes); copy it again",
    ]
    recognizer = Recognizer(bundle)
    everything = broken / "captions.token.txt", broken / "images"
    evaluation = evaluate.evaluate_captions(recognizer, read_captions(*everything))
    figures = evaluation.figures
    assert (figures["pictures"], figures["skipped"]) == (22, skipped)
    assert [prediction["image"] for prediction in evaluation.predictions] == [
        name for name in NAMES if name not in ("cat_1.jpg", "cat_2.jpg")
    ]
    labelled = read_labels(broken / "labels.tsv", broken / "images")
    figures = evaluate.evaluate_classes(recognizer, labelled).figures
    assert (figures["pictures"], figures["skipped"]) == (22, skipped)
    (tmp_path / "split").write_text("cat_1.jpg\n")
    with pytest.raises(
        PicaptionError, match="no picture could be evaluated; the first: cat_1.jpg: .* is empty"
    ):
        evaluate.evaluate_captions(recognizer, read_captions(*everything, tmp_path / "split"))


def test_recorded_figures_stand_in_the_bundle_that_works_as_before(bundle, tmp_path, photos):
    path = tmp_path / "copy.tflite"
    shutil.copy(bundle, path)
    evaluate.record_figures(
        path,
        "first",
        {
            "pictures": 3,
            "model": "tiny",
            "BLEU-4": 1.5,
            "milliseconds": {"total": 2.0},
            "classes": {"cat": 1.0},
            "skipped": ["x: y"],
        },
    )
    evaluate.record_figures(path, "second", {"fused": {"mAP": 33.33}})
    evaluate.record_figures(path, "first", {"pictures": 4, "BLEU-4": 2.5})
    before = Bundle(bundle)
    after = Bundle(path)
    assert after.metadata.measured == before.metadata.measured | {
        "first": {"pictures": 4, "BLEU-4": 2.5},
        "second": {"fused": {"mAP": 33.33}},
    }
    assert (after.labels, after.vocabulary.words) == (before.labels, before.vocabulary.words)
    assert Recognizer(after)(photos["cat"]).caption == Recognizer(before)(photos["cat"]).caption
    assert [file.name for file in tmp_path.iterdir()] == ["copy.tflite"]


def test_the_table_has_a_figure_a_line():
    lines = evaluate.figure_lines(
        {
            "model": "tiny.tflite",
            "pictures": 24,
            "BLEU-4": 12.5,
            "image_only": {"top_1": 50.0},
            "classes": {"cat": 1.0},
            "milliseconds": {"total": 3.14159},
            "skipped": ["x: y"],
        }
    )
    assert [line.rsplit(maxsplit=1) for line in lines] == [
        ["model", "tiny.tflite"],
        ["pictures", "24"],
        ["BLEU-4", "12.50"],
        ["image only top 1", "50.00"],
        ["milliseconds total", "3.14"],
    ]
    assert evaluate.figure_lines({"names_an_object": None})[0].split() == [
        "names",
        "an",
        "object",
        "-",
    ]
    assert len({len(line) for line in lines[1:]}) == 1
