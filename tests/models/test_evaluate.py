"""Evaluation of a real bundle and of the run it was made of, in Python and by `picaption evaluate`."""

import json
import shutil

import numpy as np
import pytest

from device import Bundle, PicaptionError, Recognizer, cli
from device.pictures import read_picture
from models import evaluate
from models.metrics import mean_average_precision
from models.readers import read_captions, read_folders, read_labels
from models.settings import Settings

NAMES = [f"{stem}_{part}.jpg" for stem in ("astronaut", "cat", "coffee") for part in range(8)]
SCORES = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
CLASSES = ("cat", "cup", "person", "spoon")


@pytest.fixture(autouse=True)
def without_java(monkeypatch):
    """A PATH without Java: METEOR takes long, and tests/models/test_metrics.py has it."""
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
    dataset, told, figures = read_captions(data / "captions.token.txt", data / "images"), ([], []), []
    for model, predictions in zip((bundle, run), told):
        found = evaluate.evaluate_captions(evaluate.load_recognizer(model), dataset, predictions)
        assert list(found) == ["pictures", *SCORES, "tokenizer", "mean_words", "unfinished", "repeating", "distinct",
                               "milliseconds", "skipped"]
        assert found["pictures"] == 24 and found["tokenizer"] == "simple" and found["skipped"] == []
        assert all(0 <= found[name] <= 100 for name in [*SCORES[:5], "unfinished", "repeating"])
        assert 1 <= found["distinct"] <= 24 and 4 <= found["mean_words"] <= 8
        assert list(found["milliseconds"]) == ["preprocess", "encode", "caption", "classify", "total"]
        assert 0 < found["milliseconds"]["encode"] <= found["milliseconds"]["total"]
        assert [each["image"] for each in predictions] == NAMES
        assert found["distinct"] == len({each["caption"] for each in predictions})
        figures.append(found)
    # Little training leaves captions of like words all but equally likely, and int8 may take another.
    assert all(figures[0][name] == pytest.approx(figures[1][name], abs=10) for name in ("BLEU-1", "ROUGE-L"))


def test_classes_of_bundle_and_run_agree(bundle, run, data):
    dataset, told, figures = read_labels(data / "labels.tsv", data / "images"), ([], []), []
    for model, predictions in zip((bundle, run), told):
        found = evaluate.evaluate_classes(evaluate.load_recognizer(model), dataset, predictions)
        assert list(found) == ["pictures", "head", "fused", "classes", "image_only", "skipped"]
        assert (found["pictures"], found["head"], found["skipped"]) == (24, "multi-label", [])
        assert tuple(found["classes"]) == CLASSES
        assert found["fused"]["mAP"] == pytest.approx(np.mean(list(found["classes"].values())), abs=0.06)
        worst = 100 * np.mean([n / (16 + n) for n in range(1, 9)])  # the 8 positives behind the 16 others
        assert all(round(worst, 1) <= value <= 100 for value in found["classes"].values())
        assert 0 < found["image_only"]["mAP"] <= 100
        assert [each["image"] for each in predictions] == NAMES
        assert all(tuple(each["scores"]) == CLASSES for each in predictions)
        figures.append(found)
    scores = [[list(each["scores"].values()) for each in predictions] for predictions in told]
    np.testing.assert_allclose(*scores, atol=0.1)  # a caption may differ by a word
    for name in ("fused", "image_only"):
        assert figures[0][name]["mAP"] == pytest.approx(figures[1][name]["mAP"], abs=15)


def test_fused_figures_use_the_caption_and_the_others_do_not(bundle, data):
    recognizer, dataset = Recognizer(bundle), read_labels(data / "labels.tsv", data / "images")
    found = evaluate.evaluate_classes(recognizer, dataset)
    truth = [[name in record.labels for name in CLASSES] for record in dataset.records]
    for name, fused in (("fused", True), ("image_only", False)):
        scores = [recognizer.class_scores(read_picture(record.path), fused) for record in dataset.records]
        assert found[name]["mAP"] == pytest.approx(100 * mean_average_precision(scores, truth)[0], abs=0.01)


def test_a_class_that_no_picture_shows_has_no_figure(bundle, data, tmp_path):
    (tmp_path / "labels.tsv").write_text("cat_0.jpg\tcat\ncat_1.jpg\tcat\n")
    (tmp_path / "classes.txt").write_text("spoon\ncat\nperson\ncup\n")  # in another order than the bundle's
    dataset = read_labels(tmp_path / "labels.tsv", data / "images", classes=tmp_path / "classes.txt")
    found = evaluate.evaluate_classes(Recognizer(bundle), dataset)
    assert found["classes"] == {"cat": 100, "cup": None, "person": None, "spoon": None}
    assert found["fused"] == found["image_only"] == {"mAP": 100}


def test_class_folders_give_accuracies(data, tmp_path):
    from models.train import train
    settings = Settings(name="folders", folders="folders", network="classic", size=32, tune_epochs=1, tune_batch=8,
                        class_epochs=2)
    train(settings, data, tmp_path)
    recognizer, predictions = evaluate.load_recognizer(tmp_path), []
    found = evaluate.evaluate_classes(recognizer, read_folders(data / "folders"), predictions)
    best = [max(each["scores"], key=each["scores"].get) for each in predictions]
    hits = [each["image"].startswith(f"{name}/") for each, name in zip(predictions, best)]
    assert found == {"pictures": 24, "head": "single-label", "skipped": [],
                     "fused": {"top_1": round(100 * sum(hits) / 24, 2), "top_3": 100},
                     "image_only": {"top_1": round(100 * sum(hits) / 24, 2), "top_3": 100}}
    with pytest.raises(PicaptionError, match="this model has no captioner: evaluate it on --labels or --folders"):
        evaluate.evaluate_captions(recognizer, read_captions(data / "captions.token.txt", data / "images"))


def test_different_classes_are_named(bundle, data):
    with pytest.raises(PicaptionError, match="different classes: only in the data \\['astronaut', 'coffee'\\], "
                                             "only in the model \\['cup', 'person', 'spoon'\\]"):
        evaluate.evaluate_classes(Recognizer(bundle), read_folders(data / "folders"))


def test_broken_pictures_are_named_and_the_rest_evaluated(bundle, broken, tmp_path):
    skipped = [f"cat_2.jpg: there is no such picture in {broken}/images",
               f"cat_1.jpg: {broken}/images/cat_1.jpg is empty (0 bytes); copy it again"]
    recognizer, told = Recognizer(bundle), []
    found = evaluate.evaluate_captions(
        recognizer, read_captions(broken / "captions.token.txt", broken / "images"), told)
    assert (found["pictures"], found["skipped"]) == (22, skipped)
    assert [each["image"] for each in told] == [name for name in NAMES if name not in ("cat_1.jpg", "cat_2.jpg")]
    found = evaluate.evaluate_classes(recognizer, read_labels(broken / "labels.tsv", broken / "images"))
    assert (found["pictures"], found["skipped"]) == (22, skipped)
    (tmp_path / "split").write_text("cat_1.jpg\n")
    with pytest.raises(PicaptionError, match="no picture could be evaluated; the first: cat_1.jpg: .* is empty"):
        evaluate.evaluate_captions(recognizer, read_captions(
            broken / "captions.token.txt", broken / "images", tmp_path / "split"))


def test_recorded_figures_stand_in_the_bundle_that_works_as_before(bundle, tmp_path, photos):
    path = tmp_path / "copy.tflite"
    shutil.copy(bundle, path)
    evaluate.record(path, "first", {"pictures": 3, "model": "tiny", "BLEU-4": 1.5, "milliseconds": {"total": 2.0},
                                    "classes": {"cat": 1.0}, "skipped": ["x: y"]})
    evaluate.record(path, "second", {"fused": {"mAP": 33.33}})
    evaluate.record(path, "first", {"pictures": 4, "BLEU-4": 2.5})
    before, after = Bundle(bundle), Bundle(path)
    assert after.metadata.measured == before.metadata.measured | {
        "first": {"pictures": 4, "BLEU-4": 2.5}, "second": {"fused": {"mAP": 33.33}}}
    assert (after.labels, after.vocabulary.words) == (before.labels, before.vocabulary.words)
    assert Recognizer(after)(photos["cat"]).caption == Recognizer(before)(photos["cat"]).caption
    assert [file.name for file in tmp_path.iterdir()] == ["copy.tflite"]


def test_the_table_has_a_figure_a_line():
    lines = evaluate.table({
        "model": "tiny.tflite", "pictures": 24, "BLEU-4": 12.5, "image_only": {"top_1": 50.0}, "classes": {"cat": 1.0},
        "milliseconds": {"total": 3.14159}, "skipped": ["x: y"]})
    assert [line.rsplit(maxsplit=1) for line in lines] == [
        ["model", "tiny.tflite"], ["pictures", "24"], ["BLEU-4", "12.50"], ["image only top 1", "50.00"],
        ["milliseconds total", "3.14"]]
    assert len({len(line) for line in lines[1:]}) == 1


# --- picaption evaluate


def test_the_command_prints_a_table_and_writes_figures_and_predictions(call, bundle, data, tmp_path):
    shutil.copy(bundle, tmp_path / "copy.tflite")
    code, out, err = call(
        tmp_path / "copy.tflite", "--captions", data / "captions.token.txt", "--images", data / "images", "--split",
        data / "dev.txt", "--beam", 1, "--threads", 1, "--json", tmp_path / "figures.json", "--predictions",
        tmp_path / "told.jsonl", "--record", "demo")
    assert (code, err) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert out.splitlines() == evaluate.table(figures)
    assert (figures["beam"], figures["pictures"], figures["skipped"]) == (1, 6, [])
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert [each["image"] for each in told] == (data / "dev.txt").read_text().split()
    assert Bundle(tmp_path / "copy.tflite").metadata.measured["demo"] == {
        name: value for name, value in figures.items() if name not in ("model", "milliseconds", "skipped")}


def test_the_command_prints_only_json_if_asked_and_names_what_it_left_out(call, bundle, broken):
    code, out, err = call(bundle, "--labels", broken / "labels.tsv", "--images", broken / "images", "--json", "-")
    figures = json.loads(out)
    assert code == 0 and figures["pictures"] == 22 and figures["model"] == str(bundle)
    assert err.splitlines() == [f"left out {line}" for line in figures["skipped"]] and "cat_1.jpg" in err
    code, out, err = call(bundle, "--labels", broken / "labels.tsv", "--images", broken / "images", "--limit", 2)
    assert code == 0 and "pictures" in out and out.split()[out.split().index("pictures") + 1] == "2"


@pytest.mark.parametrize("arguments, message", [
    (["{bundle}"], "give the data by exactly one of --captions, --labels and --folders"),
    (["{bundle}", "--labels", "{data}/labels.tsv", "--folders", "{data}/folders", "--images", "{data}/images"],
     "give the data by exactly one of --captions, --labels and --folders"),
    (["{bundle}", "--captions", "{data}/captions.token.txt"], "give the folder of the pictures with --images"),
    (["{bundle}", "--folders", "{data}/folders", "--images", "{data}/images"], "folders need none of them"),
    (["{data}/absent.tflite", "--folders", "{data}/folders"], "absent.tflite: cannot read the bundle"),
    (["{data}/images", "--folders", "{data}/folders"], "images: no metadata.json in it: it is no finished training"),
    (["{data}/train.txt", "--folders", "{data}/folders"], "train.txt: not a bundle"),
    (["{data}", "--folders", "{data}/folders", "--record", "x"], "--record stores figures in a bundle"),
    (["{bundle}", "--folders", "{data}/folders"], "the model and the data have different classes"),
    (["{bundle}", "--captions", "{data}/labels.tsv", "--images", "{data}/images"],
     "labels.tsv, line 1: a line is picture.jpg#0, a tab, and a caption"),
    (["{bundle}", "--captions", "{data}/absent.txt", "--images", "{data}/images"],
     "absent.txt: cannot read the captions"),
    (["{bundle}", "--folders", "{data}/folders", "--limit", "0"], "Invalid value for '--limit'")])
def test_the_command_fails_in_one_line(call, bundle, data, arguments, message):
    code, out, err = call(*(argument.format(bundle=bundle, data=data) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("picaption: ") and message in err and err.count("\n") == 1
