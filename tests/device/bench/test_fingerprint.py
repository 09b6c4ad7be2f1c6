"""Fingerprints say the same of what is the same, and show the smallest difference."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer, cli, default_bundle
from picaption.device.bench.fingerprint import (
    Fingerprinter,
    compare,
    difference,
    machine,
    main,
    sha256,
)
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.bundle.metadata import Guidance
from picaption.device.images import read_image, write_image
from picaption.device.recognition.stopwatch import Stopwatch
from picaption.device.sources.demo_frames import DEMO_IMAGES

DEMO = DEMO_IMAGES
CAT, COFFEE = DEMO / "cat.jpg", DEMO / "coffee.jpg"
#: What the command prints of a bundle of two classes, for one picture.
MACHINE = {"machine": "x86_64", "graph": "00"}
PICTURE = {
    "picture": "cat.jpg",
    "decoded": "0a",
    "input": "a1",
    "features": "b2",
    "caption": "a cat",
    "log_probability": [-3.5],
    "classes": ["cat", "cup"],
    "scores": [0.75, 0.25],
}


@pytest.fixture(scope="module")
def fingerprinter():
    return Fingerprinter(default_bundle())


@pytest.fixture(scope="module")
def cat(fingerprinter):
    return fingerprinter.fingerprint(CAT)


def written(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def run(capsys, *arguments):
    """Run the command; returns (exit code, output, errors)."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments], main)
    return stopped.value.code, *capsys.readouterr()


def test_an_arrays_hash_is_that_of_its_bytes():
    assert (
        sha256(np.array([[97, 98], [99, 0]], np.uint8)[:, ::-1])
        == hashlib.sha256(b"ba\0c").hexdigest()
    )


def test_a_fingerprint_is_of_what_the_bundle_returns(cat):
    plain = Recognizer(Bundle(default_bundle(), threads=1))
    image = read_image(CAT)
    recognition = plain(image)
    encoded = plain.encode(image)
    assert (cat["picture"], cat["decoded"]) == (
        "cat.jpg",
        hashlib.sha256(image.tobytes()).hexdigest(),
    )
    assert cat["input"] == hashlib.sha256(plain.prepare(image).tobytes()).hexdigest()
    for name in ("features", "context", "tags"):
        assert cat[name] == hashlib.sha256(getattr(encoded, name).tobytes()).hexdigest()
    assert (cat["caption"], cat["log_probability"]) == (
        recognition.caption.text,
        [recognition.caption.log_probability],
    )
    assert cat["classes"] == [score.name for score in recognition.classes]
    assert cat["scores"][plain.model.labels.index("cat")] == recognition.classes[0].score
    assert cat["scores"] == plain.class_scores(image).tolist()


def test_logits_are_all_that_the_captioner_was_asked_for(cat):
    bundle = Bundle(default_bundle(), threads=1)
    runner, total = bundle.interpreter.get_signature_runner("next_word"), hashlib.sha256()
    encoded = bundle.encode(Recognizer(bundle).prepare(read_image(CAT)))
    asked = []
    bundle.next_word = lambda history, context, known=bundle.next_word: (
        asked.append(history.copy()) or known(history, context)
    )
    Recognizer(bundle).recognize(encoded, Stopwatch())
    for history in asked:
        total.update(runner(history=history, context=encoded.context)["logits"].tobytes())
    assert len(asked) > 5 and cat["logits"] == total.hexdigest()


def test_the_same_again_and_by_two_threads(fingerprinter, cat):
    other = fingerprinter.fingerprint(COFFEE)
    assert not {cat[name] for name in ("input", "features", "context", "logits")} & set(
        map(str, other.values())
    )
    assert fingerprinter.fingerprint(CAT) == cat
    both = Fingerprinter(default_bundle(), threads=2).fingerprint(CAT)
    assert compare([MACHINE, cat], [MACHINE, both])[1]


def test_a_picture_made_ready_is_what_the_encoder_got(fingerprinter, cat, tmp_path):
    fingerprinter.fingerprint(CAT, tmp_path)
    ready = fingerprinter.fingerprint(tmp_path / "cat.png")
    assert ready["decoded"] == ready["input"] == cat["input"] != cat["decoded"]
    assert {name: value for name, value in ready.items() if name not in ("picture", "decoded")} == {
        name: value for name, value in cat.items() if name not in ("picture", "decoded")
    }


def test_a_bit_of_the_input_changes_all_that_follows(fingerprinter, cat, tmp_path):
    image = fingerprinter.recognizer.prepare(read_image(CAT)).copy()
    image[100:110, 100:110] ^= 64
    write_image(tmp_path / "cat.jpg.png", image)
    other = fingerprinter.fingerprint(tmp_path / "cat.jpg.png")
    lines, equal = compare(
        [MACHINE, cat], [MACHINE, other | {"picture": "cat.jpg", "decoded": cat["decoded"]}]
    )
    assert not equal and lines[2].startswith("| cat.jpg | equal | DIFFERENT | DIFFERENT | ")


def test_a_bundle_without_classes_has_none(tmp_path):
    contents = read_bundle(default_bundle())
    # Captions that listen to classes would change with them.
    metadata = replace(contents.metadata, object_words=(), other_things=(), guidance=Guidance())
    write_bundle(tmp_path / "all.tflite", replace(contents, metadata=metadata))
    cat = Fingerprinter(tmp_path / "all.tflite").fingerprint(CAT)
    write_bundle(tmp_path / "some.tflite", replace(contents, metadata=metadata, labels=()))
    prints = Fingerprinter(tmp_path / "some.tflite").fingerprint(CAT)
    # Nothing listens to the words' evidence, so the captioner is not asked for it.
    assert prints.pop("logits") != cat["logits"]
    assert prints == {name: value for name, value in cat.items() if name != "logits"} | {
        "classes": [],
        "scores": [],
    }
    assert machine(tmp_path / "some.tflite")["graph"] == hashlib.sha256(contents.graph).hexdigest()


def test_equal_lines_are_equal():
    lines, equal = compare([MACHINE, PICTURE], [MACHINE | {"machine": "aarch64"}, PICTURE])
    assert equal and lines == [
        "| picture | decoded | input | features | caption | classes | log_probability | scores |",
        "|---|---|---|---|---|---|---|---|",
        "| cat.jpg | equal | equal | equal | equal | equal | 0.0e+00 | 0.0e+00 |",
        "| all: equal, and largest difference | 1 of 1 | 1 of 1 | 1 of 1 | 1 of 1 | 1 of 1 "
        "| 0.0e+00 | 0.0e+00 |",
    ]


@pytest.mark.parametrize(
    "changes, row, equal",
    [
        (
            {"features": "b3"},
            "| equal | equal | DIFFERENT | equal | equal | 0.0e+00 | 0.0e+00 |",
            False,
        ),
        (
            {"caption": "a cup"},
            "| equal | equal | equal | DIFFERENT | equal | 0.0e+00 | 0.0e+00 |",
            False,
        ),
        (
            {"classes": ["cup", "cat"]},
            "| equal | equal | equal | equal | DIFFERENT | 0.0e+00 | 0.0e+00 |",
            False,
        ),
        (
            {"scores": [0.5, 0.375], "log_probability": [-3.0]},
            "| equal | equal | equal | equal | equal | 5.0e-01 | 2.5e-01 |",
            True,
        ),
        ({"scores": [0.75]}, "| equal | equal | equal | equal | equal | 0.0e+00 | inf |", True),
    ],
)
def test_a_difference_is_shown(changes, row, equal):
    for here, there in ((PICTURE, PICTURE | changes), (PICTURE | changes, PICTURE)):
        lines, same = compare(
            [MACHINE, PICTURE, here | {"picture": "b"}],
            [MACHINE, PICTURE, there | {"picture": "b"}],
        )
        assert same is equal and lines[3] == f"| b {row}"


def test_what_one_side_lacks_is_different():
    lacking = {name: value for name, value in PICTURE.items() if name != "features"}
    for here, there in ((PICTURE, lacking), (lacking, PICTURE)):
        lines, equal = compare([MACHINE, here], [MACHINE, there])
        assert not equal and lines[2].startswith("| cat.jpg | equal | equal | DIFFERENT | equal |")


def test_difference_is_the_largest():
    assert difference([1.0, -2.0, 3.0], [1.5, -1.0, 3.25]) == 1.0
    assert (difference([], []), difference([1.0], [])) == (0.0, float("inf"))


@pytest.mark.parametrize(
    "there, message",
    [
        ([MACHINE | {"graph": "01"}, PICTURE], "the two are of different bundles"),
        ([MACHINE, PICTURE | {"picture": "dog.jpg"}], "the two are not of the same pictures"),
        ([MACHINE, PICTURE, PICTURE], "the two are not of the same pictures"),
        ([MACHINE], "the two are not of the same pictures"),
    ],
)
def test_what_cannot_be_compared_is_refused(there, message):
    with pytest.raises(PicaptionError, match=message):
        compare([MACHINE, PICTURE], there)


def test_the_command_compares(tmp_path, capsys):
    here, there = (
        written(tmp_path / "here", MACHINE, PICTURE),
        written(tmp_path / "there", MACHINE, PICTURE),
    )
    assert run(capsys, "--compare", here, there)[::2] == (0, "")
    written(tmp_path / "there", MACHINE, PICTURE | {"input": "a2"})
    code, output, errors = run(capsys, "--compare", here, there)
    assert (code, errors) == (
        2,
        "picaption: what has to be equal on every machine is not: see DIFFERENT above\n",
    )
    assert "| cat.jpg | equal | DIFFERENT | equal |" in output


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "cannot be read (No such file or directory); check the path"),
        ("", "holds no fingerprints; make it with "),
        ("not JSON\n", "holds no fingerprints; make it with "),
        ("[1]\n", "holds no fingerprints; make it with "),
        ("[" * 100_000, "holds no fingerprints; make it with "),
        ("9" * 5000, "holds no fingerprints; make it with "),
        (b"\xff", "holds no fingerprints; make it with "),
    ],
)
def test_files_of_other_things_are_refused(tmp_path, capsys, text, message):
    path = tmp_path / "some"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, output, errors = run(
        capsys, "--compare", written(tmp_path / "here", MACHINE, PICTURE), path
    )
    assert (code, output, errors.count("\n")) == (2, "", 1) and errors.startswith(
        f"picaption: {path}: {message}"
    )


def test_too_little_is_told(capsys):
    for arguments in ((), (default_bundle(),)):
        code, _, errors = run(capsys, *arguments)
        assert code == 2 and errors.startswith(
            "picaption: give a bundle and pictures, or --compare and two files"
        )
    assert "absent.tflite: cannot read the bundle: " in run(capsys, "absent.tflite", CAT)[2]
    assert (
        run(capsys, default_bundle(), "absent.jpg")[2]
        == "picaption: there is no picture at absent.jpg; check the path\n"
    )


def test_pictures_of_one_name_are_not_written_over_each_other(tmp_path, capsys):
    code, output, errors = run(
        capsys, "--ready", tmp_path, default_bundle(), CAT, tmp_path / "cat.png"
    )
    assert (code, output) == (2, "") and errors.startswith(
        f"picaption: two pictures would be written as {tmp_path}/cat.png; "
    )
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_its_own_says_the_same(cat):
    result = subprocess.run(
        [sys.executable, "-m", "picaption.device.bench.fingerprint", default_bundle(), CAT],
        capture_output=True,
        text=True,
        cwd=DEMO.parents[1],
        check=True,
    )
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == machine(default_bundle()) and second == cat
