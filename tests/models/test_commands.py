"""`picaption train` and `picaption evaluate`: what they print and write, and their errors."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from picaption.device import Bundle, cli
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.bundle.metadata import Confidence, Guidance
from picaption.models.evaluation import evaluate

FIGURES = [
    "model",
    "beam",
    "pictures",
    "BLEU-1",
    "BLEU-2",
    "BLEU-3",
    "BLEU-4",
    "ROUGE-L",
    "CIDEr",
    "tokenizer",
    "human_mean_words",
    "mean_words",
    "unfinished",
    "repeating",
    "distinct",
    "new",
    "tags",
    "labelled_pictures",
    "names_an_object",
    "names_an_object_but_person",
    "names_an_absent_object",
    "CHAIRs",
    "CHAIRi",
    "object_recall",
    "object_recall_labels",
    "CHAIRs_own_words",
    "CHAIRi_own_words",
    "object_recall_own_words",
    "object_recall_labels_own_words",
    "nearest_neighbour",
    "milliseconds",
    "skipped",
]
#: A small bundle that needs no training.
TINY = Path(__file__).parents[1] / "data" / "tiny.tflite"
CAPTIONS = "--captions {data}/captions.token.txt"
IMAGES = "--images {data}/images"
LABELS = "--labels {data}/labels.tsv"
FOLDERS = "--folders {data}/folders"


@pytest.fixture(autouse=True)
def without_java(monkeypatch):
    """A PATH without Java: METEOR takes long, and test_metrics.py has it."""
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.fixture
def call(capfd):
    """Runs a command line in this process; returns (exit code, output, errors)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli.main([str(argument) for argument in arguments])
        return (exit.value.code, *capfd.readouterr())

    return call


@pytest.fixture
def broken(data, tmp_path):
    """A copy of the data set in which one image is empty and one is missing."""
    shutil.copytree(data, tmp_path / "broken")
    (tmp_path / "broken" / "images" / "cat_1.jpg").write_bytes(b"")
    (tmp_path / "broken" / "images" / "cat_2.jpg").unlink()
    return tmp_path / "broken"


def evaluate_arguments(text, **paths):
    """Return the words of a command line of `picaption evaluate`, the paths put in."""
    return ["evaluate", *(word.format(**paths) for word in text.split())]


def test_evaluate_prints_a_table_and_writes_figures_and_predictions(call, bundle, data, tmp_path):
    copy = tmp_path / "copy.tflite"
    shutil.copy(bundle, copy)
    files = "--json {out}/figures.json --predictions {out}/predictions.jsonl"
    text = f"{{copy}} {CAPTIONS} {IMAGES} --split {{data}}/dev.txt {files}"
    options = " --beam 1 --threads 1 --record demo"
    code, out, err = call(*evaluate_arguments(text + options, copy=copy, data=data, out=tmp_path))
    assert (code, err) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert out.splitlines() == evaluate.figure_lines(figures)
    assert (figures["beam"], figures["pictures"], figures["skipped"]) == (1, 6, [])
    lines = (tmp_path / "predictions.jsonl").read_text().splitlines()
    names = [json.loads(line)["image"] for line in lines]
    assert names == (data / "dev.txt").read_text().split()
    assert Bundle(copy).metadata.measured["demo"] == {
        name: value
        for name, value in figures.items()
        if name not in ("model", "milliseconds", "skipped")
    }


def test_evaluate_takes_training_captions_and_labels_and_writes_a_page(
    call, bundle, data, tmp_path
):
    training = "--training {data}/captions.token.txt --training-split {data}/train.txt"
    files = "--json {out}/figures.json --gallery {out}/page.html"
    text = f"{{bundle}} {CAPTIONS} {IMAGES} --split {{data}}/dev.txt {LABELS} --limit 5"
    arguments = evaluate_arguments(
        f"{text} {training} {files}", bundle=bundle, data=data, out=tmp_path
    )
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert list(figures) == FIGURES
    assert (figures["pictures"], figures["labelled_pictures"]) == (5, 5)
    page = (tmp_path / "page.html").read_text()
    assert "What tiny.tflite says" in page
    assert all(f"<dd>{line.split()[-1]}</dd>" in page for line in out.splitlines())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["figures.json", "page.html"]


def test_evaluate_tells_whether_confidence_holds_and_draws_it(call, data, tmp_path):
    contents = read_bundle(TINY)
    metadata = replace(
        contents.metadata,
        object_words=tuple((label,) for label in contents.labels),
        confidence=Confidence(lowest_score=1.0, threshold=0.6),
    )
    write_bundle(tmp_path / "sure.tflite", replace(contents, metadata=metadata))
    files = "--json {out}/figures.json --predictions {out}/said.jsonl --reliability {out}/plot.png"
    text = f"{{out}}/sure.tflite {CAPTIONS} {IMAGES} {LABELS} {files}"
    code, out, err = call(*evaluate_arguments(text, data=data, out=tmp_path))
    assert (code, err) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())["confidence"]
    lines = (tmp_path / "said.jsonl").read_text().splitlines()
    confidences = [json.loads(line)["confidence"] for line in lines]
    assert len(confidences) == 24 and all(0 <= confidence <= 1 for confidence in confidences)
    shown = sum(confidence >= 0.6 for confidence in confidences)
    assert figures["shown"] == pytest.approx(100 * shown / 24, abs=0.01)
    assert "confidence coverage at 95 clean" in out
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_evaluate_leaves_out_what_captions_listen_to(call, data, tmp_path):
    contents = read_bundle(TINY)
    guidance = Guidance(tag_weight=90.0, tag_floor=-90.0, tag_ceiling=90.0)
    metadata = replace(contents.metadata, guidance=guidance)
    write_bundle(tmp_path / "tags.tflite", replace(contents, metadata=metadata))

    def said(bundle, *options):
        text = f"{{bundle}} {CAPTIONS} {IMAGES} --predictions {{out}}/said.jsonl"
        words = evaluate_arguments(text, bundle=bundle, data=data, out=tmp_path)
        code, _, err = call(*words, *options)
        assert (code, err) == (0, "")
        lines = (tmp_path / "said.jsonl").read_text().splitlines()
        return [json.loads(line)["caption"] for line in lines]

    plain = said(TINY)
    assert said(tmp_path / "tags.tflite") != plain
    assert said(tmp_path / "tags.tflite", "--without", "tags", "--without", "naming") == plain


def test_there_is_no_plot_of_confidence_where_there_is_none(call, data, tmp_path):
    plain = f"{{bundle}} {CAPTIONS} {IMAGES} --limit 1 --reliability {{out}}/plot.png"
    code, _, err = call(*evaluate_arguments(plain, bundle=TINY, data=data, out=tmp_path))
    assert (code, err) == (2, "picaption: --reliability takes --captions and --labels\n")
    text = f"{plain} {LABELS}"
    code, _, err = call(*evaluate_arguments(text, bundle=TINY, data=data, out=tmp_path))
    assert code == 2 and "its captions have no confidence to draw" in err
    assert list(tmp_path.iterdir()) == []


def test_evaluate_draws_the_pictures_of_the_page(call, bundle, data, tmp_path):
    text = f"{{bundle}} {CAPTIONS} {IMAGES} --limit 9 --gallery {{out}}/page.html --draw 4 --seed 3"
    code, _, err = call(*evaluate_arguments(text, bundle=bundle, data=data, out=tmp_path))
    page = (tmp_path / "page.html").read_text()
    assert (code, err) == (0, "")
    assert "4 of 9 images, drawn with seed 3." in page and page.count("<article>") == 4


def test_evaluate_prints_only_json_if_asked_and_names_what_it_left_out(call, bundle, broken):
    text = f"{{bundle}} {LABELS} {IMAGES}"
    code, out, err = call(*evaluate_arguments(f"{text} --json -", bundle=bundle, data=broken))
    figures = json.loads(out)
    assert code == 0 and figures["pictures"] == 22 and figures["model"] == str(bundle)
    assert err.splitlines() == [f"left out {line}" for line in figures["skipped"]]
    assert "cat_1.jpg" in err
    code, out, err = call(*evaluate_arguments(f"{text} --limit 2", bundle=bundle, data=broken))
    assert code == 0 and "pictures" in out and out.split()[out.split().index("pictures") + 1] == "2"


@pytest.mark.parametrize(
    "text, message",
    [
        ("{bundle}", "give the data by one of --captions, --labels and --folders"),
        (
            f"{{bundle}} {LABELS} {FOLDERS} {IMAGES}",
            "give the data by one of --captions, --labels and --folders, or by --captions and "
            "--labels",
        ),
        (f"{{bundle}} {CAPTIONS}", "give the folder of the pictures with --images"),
        (f"{{bundle}} {FOLDERS} {IMAGES}", "folders need none of them"),
        (
            f"{{bundle}} {LABELS} {IMAGES} --gallery page.html",
            "--training and --gallery are about captions: give --captions",
        ),
        (
            f"{{bundle}} {CAPTIONS} {IMAGES} --draw 50",
            "--draw chooses the pictures of a gallery: give --gallery",
        ),
        (
            f"{{bundle}} {FOLDERS} --training {{data}}/captions.token.txt",
            "--training and --gallery are about captions: give --captions",
        ),
        (
            f"{{bundle}} {CAPTIONS} {IMAGES} --training-split {{data}}/train.txt",
            "--training-split and --training-images go with --training",
        ),
        (
            f"{{bundle}} {CAPTIONS} {IMAGES} --training {{data}}/captions.token.txt",
            "it has no pictures but those to evaluate; give these with --split",
        ),
        (
            f"{{bundle}} {CAPTIONS} {IMAGES} --training {{data}}/captions.token.txt "
            "--training-split {data}/train.txt",
            "train.txt: 18 of its pictures are among those to evaluate",
        ),
        (
            f"{{bundle}} {FOLDERS} --json {{data}}/absent/figures.json",
            "absent/figures.json cannot be written: make its folder first",
        ),
        (f"{{data}}/absent.tflite {FOLDERS}", "absent.tflite: cannot read the bundle"),
        (
            f"{{data}}/images {FOLDERS}",
            "images: no metadata.json in it: it is not a finished training",
        ),
        (f"{{data}}/train.txt {FOLDERS}", "train.txt: not a bundle"),
        (f"{{data}} {FOLDERS} --record x", "--record stores figures in a bundle"),
        (
            f"{{bundle}} {FOLDERS} --record x --without tags",
            "--record stores a bundle's own figures: give it without --without",
        ),
        (f"{{bundle}} {FOLDERS}", "the model and the data have different classes"),
        (
            f"{{bundle}} {FOLDERS} --mapping {{data}}/train.txt",
            "train.txt, line 1: a line is a class, a tab, and a label of the model for it; "
            "this one is 'astronaut_0.jpg'",
        ),
        (
            f"{{bundle}} {LABELS} {IMAGES} --mapping {{data}}/train.txt",
            "--mapping goes with --folders",
        ),
        (
            f"{{bundle}} --captions {{data}}/labels.tsv {IMAGES}",
            "labels.tsv, line 1: a line is picture.jpg#0, a tab, and a caption",
        ),
        (
            f"{{bundle}} --captions {{data}}/absent.txt {IMAGES}",
            "absent.txt: cannot read the captions",
        ),
        (f"{{bundle}} {FOLDERS} --limit 0", "Invalid value for '--limit'"),
    ],
)
def test_evaluate_fails_in_one_line(call, bundle, data, text, message):
    code, out, err = call(*evaluate_arguments(text, bundle=bundle, data=data))
    assert (code, out) == (2, "")
    assert err.startswith("picaption: ") and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--threads", "2"], "--classes-dev, --bundle and --threads go with --classes"),
        (["--bundle", "b.tflite"], "--classes-dev, --bundle and --threads go with --classes"),
        (["--classes-dev", "dev"], "--classes-dev, --bundle and --threads go with --classes"),
        (["--classes", "c", "r.toml"], "a recipe, --set and --data do not go with --classes"),
        (
            ["--classes", "c", "--set", "epochs=1"],
            "do not go with --classes: give one or the other",
        ),
        (["--classes", "c", "--data", "d"], "do not go with --classes: give one"),
        (["absent.toml"], "absent.toml: cannot read the settings: No such file"),
        ([], "nothing to learn from: set captions, labels or folders"),
    ],
)
def test_train_fails_in_one_line(call, arguments, message):
    code, out, err = call("train", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("picaption: ") and message in err and err.count("\n") == 1


def test_train_warns_of_old_names_on_stderr_and_obeys_no_name(tmp_path):
    (tmp_path / "red\x1b[31m.toml").write_text("each = 2\n")
    program = "from picaption.device.cli import main; main()"
    arguments = ["train", "red\x1b[31m.toml", "--set", "each=0", "--set", "folders=f"]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "red\\x1b[31m.toml: the setting each is called captions_per_image now",
        "--set: the setting each is called captions_per_image now",
        "picaption: captions_per_image = 0: it is at least 1",
    ]
