"""Evaluation of a real bundle and of the run it was made of, in Python and by `picaption evaluate`."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer, cli
from picaption.device.images import read_image
from picaption.models.data.readers import (
    add_labels,
    read_captions,
    read_folders,
    read_labels,
)
from picaption.models.evaluation import evaluate
from picaption.models.evaluation.metrics import expected_calibration_error
from picaption.models.evaluation.object_hallucination import objects_named, phrases
from picaption.models.settings import Settings

NAMES = [f"{stem}_{part}.jpg" for stem in ("astronaut", "cat", "coffee") for part in range(8)]
SCORES = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
STYLE = ["human_mean_words", "mean_words", "unfinished", "repeating", "distinct"]
CLASSES = ("cat", "cup", "person", "spoon")


@pytest.fixture(autouse=True)
def without_java(monkeypatch):
    """A PATH without Java: METEOR takes long, and tests/models/evaluation/test_metrics.py has it."""
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.fixture
def call(capfd):
    """Runs `picaption evaluate` in this process; returns (exit code, output, errors)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli.main(["evaluate", *map(str, arguments)])
        return (exit.value.code, *capfd.readouterr())

    return call


@pytest.fixture
def broken(data, tmp_path):
    """A copy of the data set in which one picture is empty and one is missing."""
    shutil.copytree(data, tmp_path / "broken")
    (tmp_path / "broken" / "images" / "cat_1.jpg").write_bytes(b"")
    (tmp_path / "broken" / "images" / "cat_2.jpg").unlink()
    return tmp_path / "broken"


def test_captions_of_bundle_and_run_agree(bundle, run, data):
    dataset, told, figures = (
        read_captions(data / "captions.token.txt", data / "images"),
        ([], []),
        [],
    )
    for model, predictions in zip((bundle, run), told):
        found = evaluate.evaluate_captions(evaluate.load_recognizer(model), dataset, predictions)
        assert list(found) == [
            "pictures",
            *SCORES,
            "tokenizer",
            *STYLE,
            "tags",
            "milliseconds",
            "skipped",
        ]
        assert found["pictures"] == 24 and found["tokenizer"] == "simple" and found["skipped"] == []
        assert all(0 <= found[name] <= 100 for name in [*SCORES[:5], "unfinished", "repeating"])
        assert 1 <= found["distinct"] <= 24 and 4 <= found["mean_words"] <= 8
        # Each picture of astronaut, cat and coffee has the same two captions: of 7, 5, 7, 4, 7 and 7 words.
        assert found["human_mean_words"] == round((7 + 7 + 7 + 5 + 7 + 7) / 6, 2)
        assert list(found["milliseconds"]) == [
            "preprocess",
            "encode",
            "caption",
            "classify",
            "total",
        ]
        assert 0 < found["milliseconds"]["encode"] <= found["milliseconds"]["total"]
        assert [each["image"] for each in predictions] == NAMES
        assert found["distinct"] == len({each["caption"] for each in predictions})
        figures.append(found)
    # Little training leaves captions of like words all but equally likely, and int8 may take another.
    assert all(
        figures[0][name] == pytest.approx(figures[1][name], abs=10)
        for name in ("BLEU-1", "ROUGE-L")
    )


def test_tags_are_held_against_the_words_of_the_captions(bundle, data):
    recognizer, dataset = (
        Recognizer(bundle),
        read_captions(data / "captions.token.txt", data / "images"),
    )
    found = evaluate.evaluate_captions(recognizer, dataset)["tags"]
    tags, precision, recall = recognizer.model.metadata.tags, [], []
    for record in dataset.records:
        scores = recognizer.encode(read_image(record.path)).tags
        best = {
            tags[index] for index in sorted(range(len(tags)), key=lambda index: -scores[index])[:5]
        }
        right = set(tags) & set(
            " ".join(record.captions).lower().replace(".", "").replace("'s", "").split()
        )
        precision.append(len(best & right) / 5)
        recall.append(len(best & right) / len(right))
    assert found == {
        "precision_at_5": pytest.approx(100 * np.mean(precision), abs=0.01),
        "recall_at_5": pytest.approx(100 * np.mean(recall), abs=0.01),
    }


def test_without_a_word_that_is_a_tag_there_are_no_tag_figures(bundle, data, tmp_path):
    (tmp_path / "told.txt").write_text("cat_0.jpg#0\tNobody knows.\n")
    found = evaluate.evaluate_captions(
        Recognizer(bundle), read_captions(tmp_path / "told.txt", data / "images")
    )
    assert list(found) == ["pictures", *SCORES, "tokenizer", *STYLE, "milliseconds", "skipped"]


def test_predictions_are_what_is_said_on_the_device(bundle, data):
    recognizer, dataset, told = (
        Recognizer(bundle),
        read_captions(data / "captions.token.txt", data / "images"),
        [],
    )
    found = evaluate.evaluate_captions(recognizer, dataset, told)
    said = recognizer(read_image(data / "images" / "cat_3.jpg")).to_json()
    told = {each["image"]: each for each in told}
    assert told["cat_3.jpg"] == {
        "image": "cat_3.jpg",
        "caption": said["caption"]["text"],
        "tags": said["tags"],
        "classes": said["classes"],
        "CIDEr": told["cat_3.jpg"]["CIDEr"],
    }
    assert np.mean([each["CIDEr"] for each in told.values()]) == pytest.approx(
        found["CIDEr"], abs=0.01
    )


def test_the_nearest_neighbours_caption_is_copied(bundle, data, tmp_path):
    # Each picture has a copy of itself in the training pictures, whose first caption is its own or another's.
    (tmp_path / "images").mkdir()
    own, other = "A cup of coffee on a table.", "A brown cat's face."
    for number, caption in enumerate((own, own, other)):
        shutil.copy(
            data / "images" / f"coffee_{number}.jpg", tmp_path / "images" / f"copy_{number}.jpg"
        )
        with open(tmp_path / "told.txt", "a") as file:
            file.write(f"copy_{number}.jpg#0\t{caption}\ncopy_{number}.jpg#1\tNobody knows.\n")
    dataset = read_captions(data / "captions.token.txt", data / "images")
    dataset = replace(
        dataset,
        records=tuple(
            each
            for each in dataset.records
            if each.name in ("coffee_0.jpg", "coffee_1.jpg", "coffee_2.jpg")
        ),
    )
    training = evaluate.read_training(tmp_path / "told.txt", tmp_path / "images", None, dataset)
    found = evaluate.evaluate_captions(Recognizer(bundle), dataset, training=training)
    copied = found["nearest_neighbour"]
    assert list(copied) == SCORES and found["new"] in (0, 33.33, 66.67, 100)
    # Two captions of 7 words are right; of the 5 in "a brown cat 's face" the first is; 19 words are told of 21.
    assert copied["BLEU-1"] == pytest.approx(100 * (7 + 7 + 1) / 19 * np.exp(1 - 21 / 19), abs=0.01)


def test_training_pictures_are_none_of_those_evaluated(data, tmp_path):
    everything = data / "captions.token.txt", data / "images"
    dev = read_captions(*everything, data / "dev.txt")
    names = [
        record.name
        for record in evaluate.read_training(*everything, data / "train.txt", dev).records
    ]
    assert names == (data / "train.txt").read_text().split()
    rest = evaluate.read_training(*everything, None, dev).records
    assert [record.name for record in rest] == names
    (tmp_path / "both.txt").write_text("cat_5.jpg\ncat_6.jpg\n")
    with pytest.raises(
        PicaptionError, match="both.txt: 1 of its pictures are among those to evaluate"
    ):
        evaluate.read_training(*everything, tmp_path / "both.txt", dev)


def test_a_training_picture_that_is_broken_is_named(bundle, broken):
    everything = broken / "captions.token.txt", broken / "images"
    dev = read_captions(*everything, broken / "dev.txt")
    found = evaluate.evaluate_captions(
        Recognizer(bundle), dev, training=evaluate.read_training(*everything, None, dev)
    )
    assert found["pictures"] == 6 and found["skipped"] == [
        f"cat_2.jpg: there is no such picture in {broken}/images",
        f"cat_1.jpg: {broken}/images/cat_1.jpg is empty (0 bytes); copy it again",
    ]


def test_captions_are_held_against_the_labels_of_their_pictures(bundle, data, tmp_path):
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
    told = []
    found = evaluate.evaluate_captions(Recognizer(bundle), dataset, told)
    told = {each["image"]: each["caption"] for each in told}
    cat, person = "cat" in told["cat_0.jpg"], "woman" in told["coffee_0.jpg"]
    assert (found["labelled_pictures"], found["names_an_object"]) == (2, 50 * (cat + person))
    assert found["names_an_object_but_person"] == 100 * cat
    wrong = [
        objects_named(told[f"{name}_0.jpg"], phrases(dataset.classes)) - {label}
        for name, label in (("cat", "cat"), ("coffee", "person"))
    ]
    assert found["names_an_absent_object"] == 50 * sum(map(bool, wrong))
    with pytest.raises(PicaptionError, match="none of the 24 pictures with captions has labels"):
        (tmp_path / "labels.tsv").write_text("cat.jpg\tcat\n")
        shutil.copy(data / "images" / "cat_0.jpg", tmp_path / "cat.jpg")
        add_labels(dataset, read_labels(tmp_path / "labels.tsv", tmp_path))


def test_classes_of_bundle_and_run_agree(bundle, run, data):
    dataset, told, figures = read_labels(data / "labels.tsv", data / "images"), ([], []), []
    for model, predictions in zip((bundle, run), told):
        found = evaluate.evaluate_classes(evaluate.load_recognizer(model), dataset, predictions)
        assert list(found) == ["pictures", "head", "mAP", "classes", "calibration_error", "skipped"]
        assert (found["pictures"], found["head"], found["skipped"]) == (24, "multi-label", [])
        assert tuple(found["classes"]) == CLASSES
        assert found["mAP"] == pytest.approx(np.mean(list(found["classes"].values())), abs=0.06)
        worst = 100 * np.mean(
            [n / (16 + n) for n in range(1, 9)]
        )  # the 8 positives behind the 16 others
        assert all(round(worst, 1) <= value <= 100 for value in found["classes"].values())
        assert [each["image"] for each in predictions] == NAMES
        assert all(tuple(each["scores"]) == CLASSES for each in predictions)
        figures.append(found)
    scores = [[list(each["scores"].values()) for each in predictions] for predictions in told]
    difference = np.abs(np.subtract(*scores))
    assert (
        difference.mean() < 0.03 and (difference < 0.1).mean() > 0.95
    )  # a caption may differ by a word
    assert figures[0]["mAP"] == pytest.approx(figures[1]["mAP"], abs=15)
    assert all(0 <= each["calibration_error"] <= 30 for each in figures)


def test_a_class_that_no_picture_shows_has_no_figure(bundle, data, tmp_path):
    (tmp_path / "labels.tsv").write_text("cat_0.jpg\tcat\ncat_1.jpg\tcat\n")
    (tmp_path / "classes.txt").write_text(
        "spoon\ncat\nperson\ncup\n"
    )  # in another order than the bundle's
    dataset = read_labels(
        tmp_path / "labels.tsv", data / "images", classes=tmp_path / "classes.txt"
    )
    found = evaluate.evaluate_classes(Recognizer(bundle), dataset)
    assert found["classes"] == {"cat": 100, "cup": None, "person": None, "spoon": None}
    assert found["mAP"] == 100


def test_class_folders_give_accuracies(data, tmp_path):
    from picaption.models.training.train import train

    settings = Settings(
        name="folders", folders="folders", network="classic", size=32, finetune_epochs=1, finetune_batch=8
    )
    train(settings, data, tmp_path)
    recognizer, predictions = evaluate.load_recognizer(tmp_path), []
    found = evaluate.evaluate_classes(recognizer, read_folders(data / "folders"), predictions)
    best = [max(each["scores"], key=each["scores"].get) for each in predictions]
    hits = [each["image"].startswith(f"{name}/") for each, name in zip(predictions, best)]
    sure = np.array([max(each["scores"].values()) for each in predictions])
    off = expected_calibration_error(sure, hits)
    assert found == {
        "pictures": 24,
        "head": "single-label",
        "skipped": [],
        "top_1": round(100 * sum(hits) / 24, 2),
        "top_3": 100,
        "calibration_error": pytest.approx(100 * off, abs=0.01),
        "unsure": round(100 * (sure < 0.5).mean(), 2),
    }
    with pytest.raises(
        PicaptionError, match="this model has no captioner: evaluate it on --labels or --folders"
    ):
        evaluate.evaluate_captions(
            recognizer, read_captions(data / "captions.token.txt", data / "images")
        )


def test_different_classes_are_named(bundle, data):
    with pytest.raises(
        PicaptionError,
        match="different classes: only in the data \\['astronaut', 'coffee'\\], "
        "only in the model \\['cup', 'person', 'spoon'\\]",
    ):
        evaluate.evaluate_classes(Recognizer(bundle), read_folders(data / "folders"))


def test_a_mapping_picks_the_labels_that_count(bundle, data, tmp_path):
    mapping = {"astronaut": ["person"], "cat": ["cat"], "coffee": ["cup", "spoon"]}
    predictions, whole, recognizer = [], [], Recognizer(bundle)
    found = evaluate.evaluate_classes(
        recognizer, read_folders(data / "folders"), predictions, mapping
    )
    assert tuple(found["classes"]) == ("astronaut", "cat", "coffee")
    evaluate.evaluate_classes(recognizer, read_labels(data / "labels.tsv", data / "images"), whole)
    first, second = (
        predictions[-1]["scores"],
        whole[-1]["scores"],
    )  # The last of both is a picture of coffee.
    assert (
        first["coffee"] == pytest.approx(second["cup"] + second["spoon"], abs=2e-4)
        and first["cat"] == second["cat"]
    )


def test_a_single_label_models_mapped_probabilities_sum_to_one(data, tmp_path):
    from picaption.models.training.train import train

    settings = Settings(
        name="folders", folders="folders", network="classic", size=32, finetune_epochs=1, finetune_batch=8
    )
    train(settings, data, tmp_path / "run")
    (tmp_path / "two" / "tom").mkdir(parents=True)
    (tmp_path / "two" / "java").mkdir()
    for stem, name in (("cat", "tom"), ("coffee", "java")):
        shutil.copy(data / "images" / f"{stem}_0.jpg", tmp_path / "two" / name)
    predictions = []
    evaluate.evaluate_classes(
        evaluate.load_recognizer(tmp_path / "run"),
        read_folders(tmp_path / "two"),
        predictions,
        {"tom": ["cat"], "java": ["coffee"]},
    )
    assert [sum(each["scores"].values()) for each in predictions] == pytest.approx([1, 1], abs=2e-4)


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
def test_a_mapping_that_does_not_fit_is_told(bundle, data, mapping, message):
    with pytest.raises(PicaptionError, match=message):
        evaluate.evaluate_classes(Recognizer(bundle), read_folders(data / "folders"), None, mapping)


def test_broken_pictures_are_named_and_the_rest_evaluated(bundle, broken, tmp_path):
    skipped = [
        f"cat_2.jpg: there is no such picture in {broken}/images",
        f"cat_1.jpg: {broken}/images/cat_1.jpg is empty (0 bytes); copy it again",
    ]
    recognizer, told = Recognizer(bundle), []
    found = evaluate.evaluate_captions(
        recognizer, read_captions(broken / "captions.token.txt", broken / "images"), told
    )
    assert (found["pictures"], found["skipped"]) == (22, skipped)
    assert [each["image"] for each in told] == [
        name for name in NAMES if name not in ("cat_1.jpg", "cat_2.jpg")
    ]
    found = evaluate.evaluate_classes(
        recognizer, read_labels(broken / "labels.tsv", broken / "images")
    )
    assert (found["pictures"], found["skipped"]) == (22, skipped)
    (tmp_path / "split").write_text("cat_1.jpg\n")
    with pytest.raises(
        PicaptionError, match="no picture could be evaluated; the first: cat_1.jpg: .* is empty"
    ):
        evaluate.evaluate_captions(
            recognizer,
            read_captions(broken / "captions.token.txt", broken / "images", tmp_path / "split"),
        )


def test_recorded_figures_stand_in_the_bundle_that_works_as_before(bundle, tmp_path, photos):
    path = tmp_path / "copy.tflite"
    shutil.copy(bundle, path)
    evaluate.record(
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
    evaluate.record(path, "second", {"fused": {"mAP": 33.33}})
    evaluate.record(path, "first", {"pictures": 4, "BLEU-4": 2.5})
    before, after = Bundle(bundle), Bundle(path)
    assert after.metadata.measured == before.metadata.measured | {
        "first": {"pictures": 4, "BLEU-4": 2.5},
        "second": {"fused": {"mAP": 33.33}},
    }
    assert (after.labels, after.vocabulary.words) == (before.labels, before.vocabulary.words)
    assert Recognizer(after)(photos["cat"]).caption == Recognizer(before)(photos["cat"]).caption
    assert [file.name for file in tmp_path.iterdir()] == ["copy.tflite"]


def test_the_table_has_a_figure_a_line():
    lines = evaluate.table(
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
    assert evaluate.table({"names_an_object": None})[0].split() == ["names", "an", "object", "-"]
    assert len({len(line) for line in lines[1:]}) == 1


# --- picaption evaluate


def test_the_command_prints_a_table_and_writes_figures_and_predictions(
    call, bundle, data, tmp_path
):
    shutil.copy(bundle, tmp_path / "copy.tflite")
    code, out, err = call(
        tmp_path / "copy.tflite",
        "--captions",
        data / "captions.token.txt",
        "--images",
        data / "images",
        "--split",
        data / "dev.txt",
        "--beam",
        1,
        "--threads",
        1,
        "--json",
        tmp_path / "figures.json",
        "--predictions",
        tmp_path / "told.jsonl",
        "--record",
        "demo",
    )
    assert (code, err) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert out.splitlines() == evaluate.table(figures)
    assert (figures["beam"], figures["pictures"], figures["skipped"]) == (1, 6, [])
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert [each["image"] for each in told] == (data / "dev.txt").read_text().split()
    assert Bundle(tmp_path / "copy.tflite").metadata.measured["demo"] == {
        name: value
        for name, value in figures.items()
        if name not in ("model", "milliseconds", "skipped")
    }


def test_the_command_takes_training_captions_and_labels_and_writes_a_page(
    call, bundle, data, tmp_path
):
    code, out, err = call(
        bundle,
        "--captions",
        data / "captions.token.txt",
        "--images",
        data / "images",
        "--split",
        data / "dev.txt",
        "--labels",
        data / "labels.tsv",
        "--training",
        data / "captions.token.txt",
        "--training-split",
        data / "train.txt",
        "--limit",
        5,
        "--json",
        tmp_path / "figures.json",
        "--gallery",
        tmp_path / "page.html",
    )
    assert (code, err) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert list(figures) == [
        "model",
        "beam",
        "pictures",
        *SCORES,
        "tokenizer",
        *STYLE,
        "new",
        "tags",
        "labelled_pictures",
        "names_an_object",
        "names_an_object_but_person",
        "names_an_absent_object",
        "nearest_neighbour",
        "milliseconds",
        "skipped",
    ]
    assert (figures["pictures"], figures["labelled_pictures"]) == (5, 5)
    page = (tmp_path / "page.html").read_text()
    assert "What tiny.tflite says" in page and all(
        f"<dd>{line.split()[-1]}</dd>" in page for line in out.splitlines()
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["figures.json", "page.html"]


def test_the_command_prints_only_json_if_asked_and_names_what_it_left_out(call, bundle, broken):
    code, out, err = call(
        bundle, "--labels", broken / "labels.tsv", "--images", broken / "images", "--json", "-"
    )
    figures = json.loads(out)
    assert code == 0 and figures["pictures"] == 22 and figures["model"] == str(bundle)
    assert (
        err.splitlines() == [f"left out {line}" for line in figures["skipped"]]
        and "cat_1.jpg" in err
    )
    code, out, err = call(
        bundle, "--labels", broken / "labels.tsv", "--images", broken / "images", "--limit", 2
    )
    assert code == 0 and "pictures" in out and out.split()[out.split().index("pictures") + 1] == "2"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["{bundle}"], "give the data by one of --captions, --labels and --folders"),
        (
            [
                "{bundle}",
                "--labels",
                "{data}/labels.tsv",
                "--folders",
                "{data}/folders",
                "--images",
                "{data}/images",
            ],
            "give the data by one of --captions, --labels and --folders, or by --captions and --labels",
        ),
        (
            ["{bundle}", "--captions", "{data}/captions.token.txt"],
            "give the folder of the pictures with --images",
        ),
        (
            ["{bundle}", "--folders", "{data}/folders", "--images", "{data}/images"],
            "folders need none of them",
        ),
        (
            [
                "{bundle}",
                "--labels",
                "{data}/labels.tsv",
                "--images",
                "{data}/images",
                "--gallery",
                "page.html",
            ],
            "--training and --gallery are about captions: give --captions",
        ),
        (
            ["{bundle}", "--folders", "{data}/folders", "--training", "{data}/captions.token.txt"],
            "--training and --gallery are about captions: give --captions",
        ),
        (
            [
                "{bundle}",
                "--captions",
                "{data}/captions.token.txt",
                "--images",
                "{data}/images",
                "--training-split",
                "{data}/train.txt",
            ],
            "--training-split and --training-images go with --training",
        ),
        (
            [
                "{bundle}",
                "--captions",
                "{data}/captions.token.txt",
                "--images",
                "{data}/images",
                "--training",
                "{data}/captions.token.txt",
            ],
            "it has no pictures but those to evaluate; give these with --split",
        ),
        (
            [
                "{bundle}",
                "--captions",
                "{data}/captions.token.txt",
                "--images",
                "{data}/images",
                "--training",
                "{data}/captions.token.txt",
                "--training-split",
                "{data}/train.txt",
            ],
            "train.txt: 18 of its pictures are among those to evaluate",
        ),
        (
            ["{bundle}", "--folders", "{data}/folders", "--json", "{data}/absent/figures.json"],
            "absent/figures.json cannot be written: make its folder first",
        ),
        (
            ["{data}/absent.tflite", "--folders", "{data}/folders"],
            "absent.tflite: cannot read the bundle",
        ),
        (
            ["{data}/images", "--folders", "{data}/folders"],
            "images: no metadata.json in it: it is no finished training",
        ),
        (["{data}/train.txt", "--folders", "{data}/folders"], "train.txt: not a bundle"),
        (
            ["{data}", "--folders", "{data}/folders", "--record", "x"],
            "--record stores figures in a bundle",
        ),
        (
            ["{bundle}", "--folders", "{data}/folders"],
            "the model and the data have different classes",
        ),
        (
            ["{bundle}", "--folders", "{data}/folders", "--mapping", "{data}/train.txt"],
            "train.txt, line 1: a line is a class, a tab, and a label of the model for it; this one is 'astronaut_0.jpg'",
        ),
        (
            [
                "{bundle}",
                "--labels",
                "{data}/labels.tsv",
                "--images",
                "{data}/images",
                "--mapping",
                "{data}/train.txt",
            ],
            "--mapping goes with --folders",
        ),
        (
            ["{bundle}", "--captions", "{data}/labels.tsv", "--images", "{data}/images"],
            "labels.tsv, line 1: a line is picture.jpg#0, a tab, and a caption",
        ),
        (
            ["{bundle}", "--captions", "{data}/absent.txt", "--images", "{data}/images"],
            "absent.txt: cannot read the captions",
        ),
        (
            ["{bundle}", "--folders", "{data}/folders", "--limit", "0"],
            "Invalid value for '--limit'",
        ),
    ],
)
def test_the_command_fails_in_one_line(call, bundle, data, arguments, message):
    code, out, err = call(*(argument.format(bundle=bundle, data=data) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("picaption: ") and message in err and err.count("\n") == 1
