"""The bundle as a file: written, read, and refused in one line."""

import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from picaption.device.bundle.archive import (
    HASH,
    MAX_MEMBER_BYTES,
    MEMBERS,
    Contents,
    content_hash,
    parse_bundle,
    read_bundle,
    split_bundle,
    stored_hash,
    write_bundle,
    zip_bundle,
)
from picaption.device.bundle.bundle import Bundle, write_checked
from picaption.device.bundle.metadata import to_json
from picaption.device.bundle.names import NamedClass
from picaption.device.bundle.runtime import make_interpreter
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.errors import PicaptionError
from tests.device.fakes.metadata import METADATA

#: A graph by its first bytes only.
GRAPH = b"\x1c\0\0\0TFL3" + bytes(range(24))
CONTENTS = Contents(
    GRAPH, METADATA, ("cat", "großer Hund"), Vocabulary((*SPECIAL_WORDS, "a", "cat"))
)
CUT = "the bundle is cut short or damaged; copy it again"
ALTERED = "the bundle was altered: its content does not match its hash; copy it again"
NO_GRAPH = "not a bundle: it does not begin as a .tflite file does"
PLAIN = (
    "a .tflite file, but no bundle, or one cut short: copy it again, or make one with picaption "
    "convert"
)


@pytest.fixture
def path(tmp_path):
    """The path of a bundle of CONTENTS."""
    write_bundle(tmp_path / "some.tflite", CONTENTS)
    return tmp_path / "some.tflite"


def members(path):
    """Return the members of a bundle's archive by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, changes, fitting_hash=True):
    """Exchange members of a bundle of CONTENTS for other bytes; None leaves one out."""
    changed = members(path) | changes
    if fitting_hash:
        changed[HASH] = content_hash(
            GRAPH, {name: changed[name] for name in MEMBERS if changed[name] is not None}
        )
    file = io.BytesIO(GRAPH)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in changed.items():
            if data is not None:
                archive.writestr(name, data)
    path.write_bytes(file.getbuffer())


def refused(path, message, opened=read_bundle):
    with pytest.raises(PicaptionError, match=message) as error:
        opened(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_what_is_written_is_read_again(path):
    contents = read_bundle(str(path))
    assert (contents.graph, contents.metadata, contents.labels) == (
        GRAPH,
        METADATA,
        ("cat", "großer Hund"),
    )
    assert contents.vocabulary.words == ("<s>", "</s>", "<unk>", "a", "cat")
    write_bundle(path, replace(CONTENTS, vocabulary=None, labels=()))
    assert (read_bundle(path).vocabulary, read_bundle(path).labels) == (None, ())
    assert [file.name for file in path.parent.iterdir()] == ["some.tflite"]


def test_equal_contents_give_equal_bytes(path, tmp_path):
    write_bundle(tmp_path / "other.tflite", read_bundle(path))
    assert (tmp_path / "other.tflite").read_bytes() == path.read_bytes()


def test_a_bundle_is_a_graph_and_an_archive(bundle):
    assert set(make_interpreter(bundle.read_bytes()).get_signature_list()) == {
        "encode",
        "next_word",
        "classify",
    }
    with zipfile.ZipFile(bundle) as archive:
        assert archive.namelist() == ["metadata.json", "labels.txt", "vocabulary.txt", "sha256.txt"]
        assert archive.testzip() is None
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(archive.read("metadata.json"))["name"] == "tiny"
        assert archive.read("labels.txt") == b"cat\ncup\nperson\nspoon\n"
        assert archive.read("vocabulary.txt").startswith(b"<s>\n</s>\n<unk>\na\n")


def test_nothing_is_left_where_a_bundle_cannot_be_written(tmp_path):
    for name in ("absent/some.tflite", "folder.tflite"):
        (tmp_path / "folder.tflite").mkdir(exist_ok=True)
        with pytest.raises(PicaptionError, match=f"{name}: cannot write the bundle: "):
            write_bundle(tmp_path / name, CONTENTS)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.tflite"]


def test_a_file_is_no_folder_to_write_into(path):
    with pytest.raises(PicaptionError, match="cannot write the bundle: Not a directory"):
        write_bundle(path / "other.tflite", CONTENTS)


@pytest.mark.parametrize(
    "data, message",
    [
        (None, "cannot read the bundle: No such file or directory; check the path"),
        (b"", NO_GRAPH),
        (GRAPH[:7], NO_GRAPH),
        (b"this is only text\n" * 99, NO_GRAPH),
        (b"PK\x03\x04" + bytes(99), NO_GRAPH),
        (GRAPH, PLAIN),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path, data, message):
    if data is not None:
        (tmp_path / "some.tflite").write_bytes(data)
    refused(tmp_path / "some.tflite", message)
    refused(tmp_path / "some.tflite", message, Bundle)


def test_a_folder_is_refused(tmp_path):
    refused(tmp_path, "cannot read the bundle: Is a directory; check the path")


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999])
def test_a_bundle_cut_short_is_refused(path, fraction):
    data = path.read_bytes()
    path.write_bytes(data[: int(fraction * len(data))])
    refused(path, CUT)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1])
def test_a_bundle_cut_short_before_its_archive_is_refused(bundle, tmp_path, fraction):
    graph = read_bundle(bundle).graph
    (tmp_path / "cut.tflite").write_bytes(graph[: int(fraction * len(graph))])
    refused(tmp_path / "cut.tflite", PLAIN, Bundle)


@pytest.mark.parametrize(
    "altered, message",
    [
        (b"TFL3", ALTERED),
        (b"metadata.json", CUT),
        (b"labels.txt", CUT),
        (b"vocabulary.txt", CUT),
        (b"sha256.txt", CUT),
    ],
)
def test_a_byte_altered_behind_these_is_refused(path, altered, message):
    data = bytearray(path.read_bytes())
    data[data.index(altered) + len(altered) + 10] ^= 1
    path.write_bytes(data)
    refused(path, message)


def test_a_byte_altered_anywhere_is_refused_or_changes_nothing(path):
    data, refusals = path.read_bytes(), 0
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        try:
            contents = read_bundle(path)
            assert (contents.graph, contents.metadata, contents.labels) == (
                GRAPH,
                METADATA,
                CONTENTS.labels,
            )
        except PicaptionError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert refusals > len(data) / 2


@pytest.mark.parametrize(
    "name, data",
    [
        ("metadata.json", to_json(replace(METADATA, label_threshold=0.0)).encode()),
        ("labels.txt", b"cat\ndog\n"),
        ("vocabulary.txt", b"<s>\n</s>\n<unk>\na\ndog\n"),
        (HASH, b""),
        (HASH, b"\xff" * 64),
    ],
)
def test_a_member_that_does_not_fit_the_hash_is_refused(path, name, data):
    rewrite(path, {name: data}, fitting_hash=False)
    refused(path, ALTERED)


@pytest.mark.parametrize("fitting_hash", [True, False])
def test_a_newer_format_is_refused(path, fitting_hash):
    newer = json.loads(to_json(METADATA)) | {"format_version": 99, "colour": "green"}
    rewrite(path, {"metadata.json": json.dumps(newer).encode()}, fitting_hash)
    refused(path, r"bundle format 99 is newer than this picaption reads \(\d+\); update picaption")


def test_an_older_format_is_refused(path):
    rewrite(
        path,
        {
            "metadata.json": json.dumps(
                json.loads(to_json(METADATA)) | {"format_version": 2}
            ).encode()
        },
    )
    refused(
        path,
        r"bundle format 2 is older than this picaption reads \(3\); train and convert it again",
    )


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("labels.txt", b"x" * (MAX_MEMBER_BYTES + 1), CUT),
        ("labels.txt", None, CUT),
        (HASH, None, CUT),
        ("metadata.json", b"{}", "its metadata is not valid: it has no format version"),
        (
            "vocabulary.txt",
            b"a\ncat\n",
            "its words are not valid: a vocabulary starts with <s> </s> <unk>",
        ),
        (
            "vocabulary.txt",
            b"<s>\n</s>\n<unk>\na\na\n",
            "its words are not valid: a word stands twice",
        ),
        ("labels.txt", b"\xff\n", "its words are not valid: 'utf-8' codec"),
        ("vocabulary.txt", b"\xff\n", "its words are not valid: 'utf-8' codec"),
    ],
)
def test_members_that_no_bundle_holds_are_refused(path, name, data, message):
    rewrite(path, {name: data}, fitting_hash=name != HASH)
    refused(path, message)


def test_the_stored_hash_is_of_the_bytes_in_the_file(path):
    assert stored_hash(path.read_bytes()).encode() == members(path)[HASH]


def test_a_disk_that_is_full_for_the_bundle(bundle, tmp_path, monkeypatch):
    contents = read_bundle(bundle)
    write_bytes = Path.write_bytes

    def write_a_part(path, data):
        write_bytes(path, bytes(data)[:1000])
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", write_a_part)
    with pytest.raises(PicaptionError, match="cannot write the bundle: No space left on device"):
        write_bundle(tmp_path / "out.tflite", contents)
    assert list(tmp_path.iterdir()) == []


NAMES = (NamedClass("n1", "tabby cat", ("tabby cat", "cat"), ("cat",)), NamedClass("n2", "Löwe"))


def test_names_are_written_and_read_where_there_are_some(path):
    assert read_bundle(path).names == ()
    assert "names.tsv" not in members(path)
    write_bundle(path, replace(CONTENTS, names=NAMES))
    assert read_bundle(path).names == NAMES


def test_names_belong_to_the_hash(path):
    write_bundle(path, replace(CONTENTS, names=NAMES))
    without = dict(members(path), **{"names.tsv": None})
    rewrite(path, without, fitting_hash=False)
    refused(path, ALTERED)


def test_malformed_names_are_refused(path):
    parts = {name: members(path)[name] for name in MEMBERS} | {"names.tsv": b"n1\ttabby cat\n"}
    rewrite(path, parts | {HASH: content_hash(GRAPH, parts).encode()}, fitting_hash=False)
    refused(path, "its words are not valid: line 1 of the names has 2 columns, not 4")


def test_a_bundle_replaces_nothing_but_a_bundle(path, tmp_path):
    contents = read_bundle(path)
    write_bundle(path, contents)
    (tmp_path / "empty.tflite").touch()
    write_bundle(tmp_path / "empty.tflite", contents)
    for write in (write_bundle, write_checked):
        (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff\xe0 JFIF")
        with pytest.raises(PicaptionError, match="cat.jpg holds something else than a bundle"):
            write(tmp_path / "cat.jpg", contents)
        assert (tmp_path / "cat.jpg").read_bytes() == b"\xff\xd8\xff\xe0 JFIF"


@pytest.mark.parametrize("name", ["labels.txt", "vocabulary.txt"])
def test_names_that_a_terminal_would_obey_are_refused(path, tmp_path, name):
    graph, parts = split_bundle(path.read_bytes())
    del parts[HASH]
    parts[name] += b"\x1b]0;owned\x07\n"
    parts[HASH] = content_hash(graph, parts).encode()
    with pytest.raises(PicaptionError, match="has control characters") as error:
        parse_bundle(zip_bundle(graph, parts), "a.tflite")
    assert "\x1b" not in str(error.value)
