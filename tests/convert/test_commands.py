"""`picaption convert`: it tells what it made, or in one line why it made nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from picaption.device import Bundle, Recognizer
from picaption.device.bundle.archive import read_bundle
from tests.convert.networks import LABELS, classifier, classifier_file

ROOT = Path(__file__).parents[2]
PROGRAM = "from picaption.device.cli import main; main()"


@pytest.fixture
def labels_file(tmp_path):
    """A file of the classes of `classifier`."""
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(LABELS) + "\n\n")
    return path


@pytest.fixture
def tflite_file(tmp_path):
    """The path of a classifier that is a .tflite file."""
    path = tmp_path / "trees.tflite"
    path.write_bytes(classifier_file())
    return path


@pytest.fixture
def keras_file(tmp_path):
    """The path of a classifier that is a Keras file."""
    path = tmp_path / "trees.keras"
    classifier().save(path)
    return path


# --- a training run


def test_the_command_converts_and_reports(run, data, tmp_path, convert_command):
    result = convert_command(
        run,
        *("--representative", data / "images"),
        *("--output", tmp_path / "mine.tflite"),
        *("--report", tmp_path / "report"),
        *("--labels", data / "labels.tsv", "--images", data / "images"),
        *("--split", data / "dev.txt"),
    )
    assert result.code == 0
    assert Bundle(tmp_path / "mine.tflite").labels
    assert "mAP" in result.out
    assert "worst layers" in result.out
    assert f"see {tmp_path / 'report' / 'report.html'}" in result.out


@pytest.mark.parametrize(("max_loss", "text"), [("100", "and is not tuned"), ("0", "tuned, it")])
def test_the_command_tells_what_tuning_did(run, data, tmp_path, convert_command, max_loss, text):
    result = convert_command(
        run,
        *("--representative", data / "images", "--count", 10),
        *("--output", tmp_path / "mine.tflite"),
        *("--labels", data / "labels.tsv", "--images", data / "images"),
        *("--per-tensor", "--max-loss", max_loss),
    )
    tuned = read_bundle(tmp_path / "mine.tflite").metadata.provenance.get("tuned")
    if tuned:
        assert f"tuned, it loses {tuned['lost_tuned']:g} points" in result.out
    else:
        assert f"it loses no more than {max_loss} points, and is not tuned" in result.out


def test_an_error_is_the_only_line(tmp_path):
    environment = {
        name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"
    }
    (tmp_path / "run").mkdir()
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, "convert", tmp_path / "run", "--representative", tmp_path],
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
    )
    assert (
        process.stderr
        == f"picaption: {tmp_path}/run: no metadata.json in it: it is not a finished training run\n"
    )
    assert process.returncode == 2


def test_an_empty_folder_and_none(run, data, tmp_path, failure):
    (tmp_path / "empty").mkdir()
    output = ("--output", tmp_path / "out.tflite")
    assert "empty holds no pictures" in failure(
        run, "--representative", tmp_path / "empty", *output
    )
    assert f"there is no folder {tmp_path / 'none'}" in failure(
        run, "--representative", tmp_path / "none", *output
    )
    assert "give the folder of its pictures with --images" in failure(
        run, "--representative", data / "captions.token.txt", *output
    )
    assert "give --representative" in failure(run, *output)


def test_options_that_do_not_go_together(run, data, tmp_path, failure):
    captions = ("--captions", data / "captions.token.txt")
    images = ("--representative", data / "images")
    common = (run, *images, "--output", tmp_path / "out.tflite")
    report = ("--report", tmp_path)
    assert "give --report" in failure(*common, *captions)
    assert "go with --captions, --labels or --folders" in failure(*common, *report, "--limit", 3)
    assert "give the folder of the pictures with --images" in failure(*common, *report, *captions)
    assert "make its folder first" in failure(*common, "--report", tmp_path / "no" / "report.html")
    assert "make its folder first" in failure(run, *images, "--output", tmp_path / "no" / "out")
    assert "gives weights no scale" in failure(*common, "--per-tensor", "--precision", "float16")
    assert "those that give the ranges" in failure(
        *common,
        *("--report", tmp_path / "r"),
        *captions,
        *("--images", data / "images", "--limit", 1, "--seed", calibrating_seed(data)),
    )
    assert list(tmp_path.iterdir()) == []


def calibrating_seed(data):
    """Return a seed with which the first image of the captions gives ranges."""
    paths = sorted((data / "images").iterdir())
    first = (data / "captions.token.txt").read_text().partition("#")[0]
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(paths))
        if first not in [paths[index].name for index in order[: len(paths) // 5]]:
            return seed
    raise AssertionError("no seed below 20 does")


def test_a_bundle_that_a_run_stands_on_has_no_report(bundle, data, tmp_path, failure):
    from picaption.models.training.class_folders import train_classes

    train_classes(data / "folders", bundle, tmp_path / "classes")
    assert "there is nothing to report" in failure(
        tmp_path / "classes", "--report", tmp_path / "report"
    )


def test_a_disk_that_is_full_for_temporary_files(run, data, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=64k none {small}"
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*inside, mount], capture_output=True).returncode
    ):
        pytest.skip("no file system of its own can be mounted here")
    output = tmp_path / "out.tflite"
    process = subprocess.run(
        [
            *inside,
            f"{mount} && exec {sys.executable} -c '{PROGRAM}' convert {run} "
            f"--representative {data / 'images'} --output {output}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(small)},
    )
    last = process.stderr.strip().splitlines()[-1]
    assert process.returncode == 2
    assert "No space left on device" in last
    assert "set TMPDIR to another folder" in last
    assert not output.exists()


# --- a Keras classifier


def test_the_command_converts_a_keras_file(data, tmp_path, labels_file, convert_command):
    path = tmp_path / "trees.h5"
    classifier().save(path)
    result = convert_command(
        path,
        *("--names", labels_file, "--pixels", "0..1"),
        *("--output", tmp_path / "out", "--precision", "dynamic"),
        *("--representative", data / "images"),
    )
    assert result.code == 0
    assert "float and bundle say the same first for 100%" in result.out
    assert Recognizer(tmp_path / "out").model.labels == LABELS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --representative, a folder of pictures"),
        (["--representative", "{folder}/none"], "none"),
        (["--representative", "{folder}"], "holds no pictures; put files ending in"),
        (
            ["--representative", "{data}/images", "--captions", "{folder}/labels.txt"],
            "this is a classifier: give --folders or --labels",
        ),
        (
            ["--representative", "{data}/images", "--mapping", "{folder}/labels.txt"],
            "--mapping goes with --folders",
        ),
        (
            ["--representative", "{data}/images", "--folders", "{data}/folders"],
            "give --report",
        ),
        (
            ["--representative", "{data}/images", "--folders", "{data}/folders"]
            + ["--report", "{folder}/report"],
            "--mapping tells which are the same",
        ),
        (
            ["--representative", "{data}/images", "--report", "{folder}/none/report"],
            "cannot be written: make its folder first",
        ),
        (
            ["--representative", "{data}/images", "--per-tensor", "--precision", "float32"],
            "float32 gives weights no scale",
        ),
    ],
)
def test_a_keras_file_fails_in_one_line(
    data, tmp_path, keras_file, labels_file, failure, arguments, message
):
    line = failure(
        keras_file,
        *("--names", labels_file, "--pixels", "0..1", "--output", tmp_path / "out"),
        *(argument.format(folder=tmp_path, data=data) for argument in arguments),
    )
    assert message in line
    assert not (tmp_path / "out").exists()


# --- a .tflite file


def test_the_command_wraps_a_tflite_file(tmp_path, tflite_file, labels_file, convert_command):
    output = tmp_path / "bundle.tflite"
    result = convert_command(
        tflite_file,
        *("--names", labels_file, "--pixels", "-1..1", "--resize", "crop", "--output", output),
    )
    assert (result.code, result.err) == (0, "")
    assert "4 classes, single-label" in result.out
    bundle = Bundle(output)
    assert bundle.labels == LABELS
    assert bundle.metadata.input.resize == "crop"


def test_squash_is_stretch_with_a_warning(tmp_path, tflite_file, labels_file, convert_command):
    output = tmp_path / "bundle.tflite"
    result = convert_command(
        tflite_file,
        *("--names", labels_file, "--pixels", "-1..1", "--resize", "squash", "--output", output),
    )
    assert result.code == 0
    assert result.err == "picaption: --resize squash is called stretch now; write that\n"
    assert Bundle(output).metadata.input.resize == "stretch"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["{file}", "--names", "{folder}/absent.txt", "--pixels", "0..1"],
            "absent.txt: cannot read the names",
        ),
        (
            ["{folder}/text.tflite"],
            "text.tflite: no .tflite file, nor one of Keras, ONNX or PyTorch",
        ),
        (
            ["{folder}", "--pixels", "0..1"],
            "--names, --pixels, --size, --head, --output-name, --embedding and --mapping are about "
            "others' classifiers; this is a training run",
        ),
        (["{file}", "--max-loss", "1"], "are about what is quantized; this is a .tflite file"),
        (
            ["{file}", "--names", "{folder}/labels.txt", "--pixels", "0..1"]
            + ["--output", "{folder}/absent/out.tflite"],
            "absent/out.tflite: cannot write the bundle: No such file or directory",
        ),
    ],
)
def test_a_tflite_file_fails_in_one_line(
    tmp_path, tflite_file, labels_file, convert_command, arguments, message
):
    (tmp_path / "text.tflite").write_text("no graph at all")
    before = sorted(tmp_path.iterdir())
    result = convert_command(
        *(argument.format(file=tflite_file, folder=tmp_path) for argument in arguments)
    )
    assert result.code == 2
    assert sorted(tmp_path.iterdir()) == before
    assert result.err.startswith("picaption: ")
    assert message in result.err
    assert result.err.count("\n") == 1
