"""A bundle, opened: what is checked, and that format 3 still says the same."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Recognizer, default_bundle
from picaption.device.bundle.archive import HASH, Contents, content_hash, read_bundle, write_bundle
from picaption.device.bundle.bundle import Bundle, write_checked
from picaption.device.bundle.metadata import FORMAT_VERSION, Input, Metadata
from picaption.device.bundle.vocabulary import Vocabulary
from picaption.device.errors import PicaptionError


def refused(path, message):
    """Assert that opening the bundle fails in one line that begins with its path."""
    with pytest.raises(PicaptionError, match=message) as error:
        Bundle(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def metadata_text(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read("metadata.json")


def test_a_graph_that_is_none_is_refused(tmp_path):
    graph = b"\x1c\0\0\0TFL3" + bytes(range(24))
    contents = Contents(graph, Metadata("tiny"), ("cat", "dog"), None)
    write_bundle(tmp_path / "wrong.tflite", contents)
    refused(tmp_path / "wrong.tflite", "its graph cannot be used here: ")


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            lambda was: {"labels": was.labels[:-1]},
            r"classify's scores is .* promise float32 \[1, 3\]",
        ),
        (
            lambda was: {"vocabulary": Vocabulary(was.vocabulary.words[:-1])},
            r"next_word's logits is .* promise",
        ),
        (
            lambda was: {"metadata": replace(was.metadata, tags=was.metadata.tags[:-1])},
            r"encode's tags is .* \[1, 9\]",
        ),
        (
            lambda was: {"metadata": replace(was.metadata, order=2, prompts=("a",))},
            r"next_word's history is .* promise int32 \[None, 1\]",
        ),
        (
            lambda was: {"metadata": replace(was.metadata, prompts=())},
            "it has a captioner, and no prompts to ask it by",
        ),
        (
            lambda was: {"metadata": replace(was.metadata, prompts=("a", "a walrus"))},
            "the prompt 'a walrus' has the unknown word 'walrus'",
        ),
        (
            lambda was: {"metadata": replace(was.metadata, prompts=("a cup of",))},
            "the prompt 'a cup of' is too long",
        ),
        (
            lambda was: {"metadata": replace(was.metadata, input=Input(32, 64))},
            r"encode's image is .* \[1, 32, 64, 3\]",
        ),
        (lambda was: {"labels": was.labels[:-1]}, r"classify's scores is float32 \[1, 4\], "),
        (
            lambda was: {"metadata": replace(was.metadata, object_words=(("cat",),))},
            "it has words for 1 classes, and 4 labels",
        ),
        (
            lambda was: {"vocabulary": None},
            "it has a vocabulary without a captioner, or a captioner without a vocabulary",
        ),
    ],
)
def test_a_bundle_that_contradicts_itself_is_refused(bundle, tmp_path, changes, message):
    contents = read_bundle(bundle)
    write_bundle(tmp_path / "wrong.tflite", replace(contents, **changes(contents)))
    refused(tmp_path / "wrong.tflite", "the bundle contradicts itself: " + message)


def write_format_3(path):
    """Write the shipped bundle as the version before format 4 had it."""
    values = json.loads(metadata_text(default_bundle()))
    for name in ("guidance", "confidence", "silence", "object_words", "other_things"):
        del values[name]
    del values["name_threshold"]
    values["beam"]["evidence"] = values["beam"].pop("tag_weight")
    values["input"]["resize"] = "squash"
    values["format_version"] = 3
    graph = read_bundle(default_bundle()).graph
    with zipfile.ZipFile(default_bundle()) as shipped:
        members = {name: shipped.read(name) for name in shipped.namelist() if name != HASH}
    members["metadata.json"] = json.dumps(values).encode()
    path.write_bytes(graph)
    with zipfile.ZipFile(path, "a") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(HASH, content_hash(graph, members))


def test_a_bundle_of_format_3_is_written_as_today_and_captions_the_same(tmp_path, photos):
    old = tmp_path / "old.tflite"
    write_format_3(old)
    contents = read_bundle(old)
    assert contents.metadata.input.resize == "stretch"
    assert contents.metadata.beam.tag_weight == 0.4
    write_bundle(tmp_path / "new.tflite", contents)
    text = metadata_text(tmp_path / "new.tflite")
    assert f'"format_version": {FORMAT_VERSION}'.encode() in text and b'"tag_weight": 0.4' in text
    assert read_bundle(tmp_path / "new.tflite").metadata == contents.metadata
    before, after = Recognizer(old), Recognizer(tmp_path / "new.tflite")
    for image in photos.values():
        expected, actual = before(image), after(image)
        assert (actual.caption, actual.tags, actual.classes) == (
            expected.caption,
            expected.tags,
            expected.classes,
        )


def test_checked_contents_are_written_once_they_pass(bundle, tmp_path):
    contents = read_bundle(bundle)
    checked = []
    write_checked(tmp_path / "new.tflite", contents, checked.append)
    assert checked[0].labels == contents.labels
    assert vars(read_bundle(tmp_path / "new.tflite")) | {"vocabulary": None} == (
        vars(contents) | {"vocabulary": None}
    )
    assert [path.name for path in tmp_path.iterdir()] == ["new.tflite"]


def test_contents_that_do_not_pass_leave_the_old_bundle(bundle, tmp_path):
    path = tmp_path / "old.tflite"
    old = b"\0\0\0\0TFL3 an old one"
    path.write_bytes(old)

    def check(bundle):
        raise PicaptionError("it says something else")

    with pytest.raises(PicaptionError, match="it says something else"):
        write_checked(path, read_bundle(bundle), check)
    with pytest.raises(PicaptionError, match="the bundle contradicts itself"):
        write_checked(path, replace(read_bundle(bundle), labels=("cat",)))
    assert path.read_bytes() == old and [file.name for file in tmp_path.iterdir()] == [path.name]


def test_signatures_are_wrapped_by_name(bundle):
    called = []

    def wrap(name, run):
        def wrapped(**inputs):
            called.append(name)
            return run(**inputs)

        return wrapped

    opened = Bundle(bundle, wrap_runner=wrap)
    opened.encode(np.zeros((64, 64, 3), np.uint8))
    assert called == ["encode"]
