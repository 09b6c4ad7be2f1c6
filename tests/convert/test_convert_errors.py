"""What cannot be converted is told in one line, and leaves nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from picaption.convert import convert
from picaption.convert.tflite.export import convert_with_layer_names, freeze
from picaption.convert.tflite.layer_names import layer_name
from picaption.device import PicaptionError, cli
from picaption.device.bundle.bundle import Bundle, read_bundle, write_bundle
from tests.processes import default_sigint

ROOT = Path(__file__).parents[2]
PROGRAM = "from picaption.device.cli import main; main()"


def call(*arguments, **others):
    """Start `picaption convert` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "convert", *map(str, arguments)],
        text=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=default_sigint,
        **others,
    )


def fails(capsys, *arguments):
    """Return the one line with which `picaption convert` fails."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["convert", *map(str, arguments)])
    lines = capsys.readouterr().err.strip().splitlines()
    assert stop.value.code == 2 and lines[-1].startswith("picaption: ")
    return lines[-1]


def test_an_error_is_the_only_line(tmp_path):
    environment = {
        name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"
    }
    (tmp_path / "run").mkdir()
    running = call(tmp_path / "run", "--representative", tmp_path, env=environment)
    assert (
        running.communicate()[1]
        == f"picaption: {tmp_path}/run: no metadata.json in it: it is no finished training run\n"
    )
    assert running.returncode == 2


def beyond_tflite(path):
    """Return a signature whose operators TFLite does not have."""
    image = keras.Input((8, 8, 3))
    found = keras.layers.Conv2D(4, 3, name="first")(image)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(keras.ops.erfinv(found * 0.1)))
    model.save(path)
    model = keras.saving.load_model(path)
    return {
        "encode": freeze(
            lambda image: {"features": model(tf.cast(image, tf.float32))},
            tf.TensorSpec((1, 8, 8, 3), tf.uint8, "image"),
        )
    }


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_an_operator_that_tflite_does_not_have_is_named_with_its_layer(tmp_path, precision):
    functions = beyond_tflite(tmp_path / "model.keras")
    examples = [("encode", {"image": tf.zeros((1, 8, 8, 3), tf.uint8).numpy()})]
    with pytest.raises(
        PicaptionError, match=r"^TFLite has no operator for Erfinv \(in layer erfinv\): build"
    ) as error:
        convert_with_layer_names(functions, precision, examples)
    assert "\n" not in str(error.value)


def test_layers_names_come_from_their_tensors():
    assert (
        layer_name("encoder_1/net_1.0_1/block_15_project_1/BiasAdd;encoder_1/x_1/Conv")
        == "block_15_project"
    )
    assert (
        layer_name("encoder_1/conv2d_1_2/BiasAdd") == "conv2d_1"
    )  # The scope conv2d_1 was taken by the second of conv2d.
    assert layer_name("Relu;add") == "Relu" and layer_name("functional_1/erfinv/Erfinv") == "erfinv"


def test_pictures_that_cannot_be_read_are_no_representative_dataset(run, data, tmp_path, caplog):
    folder = shutil.copytree(data / "images", tmp_path / "images")
    for path in sorted(folder.iterdir())[:20]:
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        PicaptionError,
        match="images: 4 pictures are too few for a representative dataset; give 10 or more",
    ):
        convert.convert(run, tmp_path / "out.tflite", folder)
    assert (
        caplog.text.count("cut short or damaged") == 20 and not (tmp_path / "out.tflite").exists()
    )


def test_an_empty_folder_and_none(run, data, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    said = "--output", tmp_path / "out.tflite"
    assert "empty holds no pictures" in fails(
        capsys, run, "--representative", tmp_path / "empty", *said
    )
    assert f"there is no folder {tmp_path / 'none'}" in fails(
        capsys, run, "--representative", tmp_path / "none", *said
    )
    assert "give the folder of its pictures with --images" in fails(
        capsys, run, "--representative", data / "captions.token.txt", *said
    )
    assert "give --representative" in fails(capsys, run, *said)


def test_options_that_do_not_go_together(run, data, tmp_path, capsys):
    given = run, "--representative", data / "images", "--output", tmp_path / "out.tflite"
    assert "give --report" in fails(capsys, *given, "--captions", data / "captions.token.txt")
    assert "go with --captions, --labels or --folders" in fails(
        capsys, *given, "--report", tmp_path, "--limit", 3
    )
    assert "give the folder of the pictures with --images" in fails(
        capsys, *given, "--report", tmp_path, "--captions", data / "captions.token.txt"
    )
    assert "make its folder first" in fails(
        capsys, *given, "--report", tmp_path / "no" / "report.html"
    )
    assert "make its folder first" in fails(
        capsys, run, "--representative", data / "images", "--output", tmp_path / "no" / "out"
    )
    assert "gives weights no scale" in fails(
        capsys, *given, "--per-tensor", "--precision", "float16"
    )
    assert "those that give the ranges" in fails(
        capsys,
        *given,
        "--report",
        tmp_path / "r",
        "--captions",
        data / "captions.token.txt",
        "--images",
        data / "images",
        "--limit",
        1,
        "--seed",
        covering(data),
    )
    assert list(tmp_path.iterdir()) == []


def covering(data):
    """Return a seed with which the first picture of the captions gives ranges."""
    import numpy as np

    paths = sorted((data / "images").iterdir())
    first = (data / "captions.token.txt").read_text().partition("#")[0]
    held_out = len(paths) // 5
    return next(
        seed
        for seed in range(20)
        if first
        not in [
            paths[index].name
            for index in np.random.default_rng(seed).permutation(len(paths))[:held_out]
        ]
    )


def test_a_bundle_that_a_run_stands_on_has_no_report(bundle, data, tmp_path, capsys):
    from picaption.models.evaluation.class_folders import train_classes

    train_classes(data / "folders", bundle, tmp_path / "classes")
    assert "there is nothing to report" in fails(
        capsys, tmp_path / "classes", "--report", tmp_path / "report"
    )


def test_a_disk_that_is_full_for_the_bundle(bundle, tmp_path, monkeypatch):
    contents, whole = read_bundle(bundle), Path.write_bytes

    def write(path, data):
        whole(path, bytes(data)[:1000])
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(PicaptionError, match="cannot write the bundle: No space left on device"):
        write_bundle(tmp_path / "out.tflite", contents)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_for_what_lies_between(run, data, tmp_path):
    small, mount = tmp_path / "small", "mount -t tmpfs -o size=64k none"
    small.mkdir()
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*inside, f"{mount} {small}"], capture_output=True).returncode
    ):
        pytest.skip("no file system of its own can be mounted here")
    command = (
        f"{mount} {small} && exec {sys.executable} -c '{PROGRAM}' convert {run} --representative {data / 'images'} "
        f"--output {tmp_path / 'out.tflite'}"
    )
    done = subprocess.run(
        [*inside, command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(small)},
    )
    last = done.stderr.strip().splitlines()[-1]
    assert (
        done.returncode == 2
        and "No space left on device" in last
        and "set TMPDIR to another folder" in last
    )
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_conversion_that_is_ended_leaves_nothing(run, data, tmp_path, number, code):
    (tmp_path / "out").mkdir(), (tmp_path / "between").mkdir()
    output = tmp_path / "out" / "mine.tflite"
    output.write_text("what was there")
    process = call(
        run,
        "--representative",
        data / "images",
        "--output",
        output,
        "--report",
        tmp_path / "out" / "report.html",
        env=os.environ | {"TMPDIR": str(tmp_path / "between")},
    )
    unchecked, start = Path(f"{output}.unchecked"), time.monotonic()
    while not unchecked.exists() and process.poll() is None and time.monotonic() - start < 120:
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code and "Traceback" not in errors
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        "mine.tflite"
    ] and output.read_text() == "what was there"
    assert list((tmp_path / "between").iterdir()) == []


def test_the_command_converts_and_tells(run, data, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(
            [
                "convert",
                str(run),
                "--representative",
                str(data / "images"),
                "--output",
                str(tmp_path / "mine.tflite"),
                "--report",
                str(tmp_path / "report"),
                "--labels",
                str(data / "labels.tsv"),
                "--images",
                str(data / "images"),
                "--split",
                str(data / "dev.txt"),
            ]
        )
    told = capsys.readouterr().out
    assert stop.value.code == 0 and Bundle(tmp_path / "mine.tflite").labels
    assert (
        "mAP" in told
        and "worst layers" in told
        and f"see {tmp_path / 'report' / 'report.html'}" in told
    )
