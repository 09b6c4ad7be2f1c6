"""picaption teach."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from picaption.device import Bundle
from picaption.device.images import write_image

ROOT = Path(__file__).parents[3]
COMMAND = [
    sys.executable,
    "-c",
    "from picaption.device import cli, commands; cli.main(None, commands.teach_command)",
]


def test_five_classes_of_five_pictures_take_seconds_and_little_memory(photos, tmp_path):
    for number in range(5):
        (tmp_path / f"class {number}").mkdir()
        image = list(photos.values())[number % 3]
        for part in range(5):
            height, width = image.shape[:2]
            top, left = height * part // 12, width * number // 12
            write_image(
                tmp_path / f"class {number}" / f"{part}.jpg",
                image[top : top + height // 2, left : left + width // 2],
            )
    # Of its own memory alone: what a child of this process has used counts this process' too.
    program = COMMAND[-1].replace(
        "; ",
        "; import atexit; atexit.register(lambda: print(open('/proc/self/status').read())); ",
        1,
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            str(tmp_path),
            "--output",
            str(tmp_path / "new.tflite"),
            "--threads",
            "1",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0 and len(Bundle(tmp_path / "new.tflite").labels) == 5
    # Of processor time, which a busy machine does not change; it takes 3.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 30
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", result.stdout)
    assert 20_000 < int(peak) < 200_000


def test_the_command_says_what_it_did(call, bundle, folder, tmp_path):
    output = tmp_path / "new.tflite"
    code, out, _ = call("teach", folder, "--bundle", bundle, "--output", output)
    lines = out.splitlines()
    assert code == 0 and lines[:3] == [
        "astronaut  8 pictures",
        "cat        8 pictures",
        "coffee     8 pictures",
    ]
    assert (
        lines[3].startswith(f"{output}: ")
        and "of a class's pictures classified correctly, on average over the classes, by "
        "classifiers that did not learn from them; "
        in lines[3]
    )


def test_the_command_teaches_by_words(call, bundle, folder, tmp_path):
    output = tmp_path / "new.tflite"
    (folder / "descriptions.txt").write_text("coffee: a cup with a zarf\n", encoding="utf-8")
    options = ("--bundle", bundle, "--output", output)
    code, out, errors = call("teach", folder, "--describe", "table", *options)
    assert code == 0 and out.splitlines()[:4] == [
        "astronaut  8 pictures",
        "cat        8 pictures",
        "coffee     8 pictures and a description",
        "table      0 pictures",
    ]
    assert errors.splitlines()[-1] == "coffee: words that the bundle does not know: zarf"
    assert (
        "note: pictures of other things get a class too: there are no statistics of other pictures "
        "for this bundle" in errors.splitlines()
    )
    code, out, _ = call("teach", "--describe", "a cat: brown", "--describe", "table", *options)
    assert code == 0 and "taught by words alone, with no picture to try it on; " in out


def test_the_command_teaches_in_steps(call, bundle, folder, tmp_path):
    output = tmp_path / "new.tflite"
    (folder / "coffee").rename(tmp_path / "coffee")
    code, out, _ = call("teach", folder, "--bundle", bundle, "--output", output, "--keep-examples")
    assert code == 0 and f"{output} keeps 16 examples, " in out
    (tmp_path / "more").mkdir()
    (tmp_path / "coffee").rename(tmp_path / "more" / "coffee")
    options = ("--add", "--bundle", output, "--output", output)
    code, out, _ = call("teach", tmp_path / "more", *options)
    assert code == 0 and out.splitlines()[2] == "coffee     8 pictures"
    # It is a bundle like any other.
    assert call("image", folder / "cat" / "cat_0.jpg", "--bundle", output)[0] == 0
    assert "examples    24 that it was taught by" in call("inspect", output)[1]


def test_the_command_says_which_words_names_take_the_place_of(call, folder, tmp_path):
    output = tmp_path / "new.tflite"
    code, out, _ = call("teach", folder, "--output", output, "--say-classes")
    lines = out.splitlines()
    assert code == 0 and "captions say cat in place of cat" in lines
    assert sum(line.startswith("captions ") for line in lines) == 3


def test_the_command_takes_pictures(call, folder, tmp_path):
    options = ("--capture", "desk", "--count", 2, "--every", 0, "--source", folder / "cat")
    code, out, _ = call("teach", tmp_path / "taken", *options)
    assert code == 0 and out.startswith(f"{tmp_path}/taken/desk: 2 pictures taken by ")
    assert len(list((tmp_path / "taken" / "desk").iterdir())) == 2


def test_the_demo_is_no_camera(call, tmp_path):
    code, out, errors = call("teach", tmp_path, "--capture", "desk", "--source", "demo")
    assert (code, out) == (2, "")
    assert errors.splitlines() == [
        "picaption: the demo shows no class of yours: give --source a camera or a file"
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["{folder}"],
            "picaption: give --output, the path of the new bundle, or --capture to take pictures",
        ),
        (
            ["--output", "{folder}/x.tflite"],
            "picaption: give the folder of the classes' pictures, or --describe the classes",
        ),
        (
            ["--describe", "zarf: a blorp", "--describe", "cat", "--output", "{folder}/x.tflite"],
            "zarf has 0; or --describe it in words that the bundle knows, such as names of things",
        ),
        (
            ["--describe", "cat", "--output", "{folder}/x.tflite"],
            "picaption: --describe names 1 class; it takes two or more, or a folder of pictures",
        ),
        (
            ["--describe", "/: a cat", "--output", "{folder}/x.tflite"],
            "picaption: --describe '/: a cat' names no class: write it as 'mug: a cup",
        ),
        (
            ["{folder}", "--add", "--bundle", "{bundle}", "--output", "{folder}/x.tflite"],
            "keeps no examples that could be added to: teach it once more by all pictures, with",
        ),
        (["{folder}", "--capture", "../x"], "picaption: --capture '../x' is not a class name"),
        (["{folder}/none", "--output", "{folder}/x.tflite"], "picaption: there is no folder"),
        (
            ["{folder}", "--output", "{folder}/no/such/x.tflite", "--bundle", "{bundle}"],
            "cannot write the bundle: No such",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(call, bundle, folder, arguments, message):
    words = (argument.format(folder=folder, bundle=bundle) for argument in arguments)
    code, _, errors = call("teach", *words)
    assert code == 2
    assert message in errors.splitlines()[-1]
    assert "Traceback" not in errors
