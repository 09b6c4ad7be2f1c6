"""What a bundle was taught by, in 8 bits a number: rounded by hand, read back, refused."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import PicaptionError
from picaption.device.bundle.archive import (
    EXAMPLES,
    HASH,
    content_hash,
    parse_bundle,
    read_bundle,
    split_bundle,
    write_bundle,
    zip_bundle,
)
from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.examples import (
    concatenate_examples,
    examples_bytes,
    parse_examples,
    quantize_examples,
)
from picaption.device.bundle.summary import summarize, summary_lines
from picaption.device.bundle.word_evidence import MAX_WORD_EVIDENCE

FEATURES = np.array([[0, 51, 255, 25.6], [-1, 1, -1, 1]], np.float32)
EVIDENCE = MAX_WORD_EVIDENCE * np.array([[0, 1, 0.25], [0.01, 0, 1]], np.float32)
EXAMPLES_2 = quantize_examples(np.array([1, 0]), FEATURES, EVIDENCE)


def test_numbers_are_rounded_to_steps_of_their_row():
    assert EXAMPLES_2.low.tolist() == [0, -1]
    np.testing.assert_allclose(EXAMPLES_2.step, [1, 2 / 255], rtol=1e-6)
    assert EXAMPLES_2.feature_steps.tolist() == [[0, 51, 255, 26], [0, 255, 0, 255]]
    # Evidence by its root: 255 * 0.5 is rounded to the even number.
    assert EXAMPLES_2.evidence_steps.tolist() == [[0, 255, 128], [26, 0, 255]]
    np.testing.assert_allclose(EXAMPLES_2.features()[0], [0, 51, 255, 26])
    np.testing.assert_allclose(EXAMPLES_2.word_evidence(), EVIDENCE, atol=0.03)


def test_what_was_rounded_once_stays():
    features = EXAMPLES_2.features()
    again = quantize_examples(EXAMPLES_2.class_ids, features, EXAMPLES_2.word_evidence())
    assert (again.feature_steps == EXAMPLES_2.feature_steps).all()
    assert (again.evidence_steps == EXAMPLES_2.evidence_steps).all()
    even = quantize_examples(np.array([0]), np.full((1, 3), 2.5, np.float32), None)
    assert even.features().tolist() == [[2.5, 2.5, 2.5]] and even.word_evidence() is None


def test_examples_are_read_as_they_were_written():
    data = examples_bytes(EXAMPLES_2)
    assert len(data) == 16 + 2 * (2 + 4 + 4 + 4 + 3)
    read = parse_examples(data, 2, 3)
    assert examples_bytes(read) == data and len(read) == 2
    both = concatenate_examples(read, EXAMPLES_2.take(np.array([1])))
    assert both.class_ids.tolist() == [1, 0, 0]
    assert examples_bytes(both.take(np.array([0, 1]))) == data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "have no header"),
        (b"PEX1", "have no header"),
        (b"XXXX" + examples_bytes(EXAMPLES_2)[4:], "have no header"),
        (examples_bytes(EXAMPLES_2)[:-1], "are not 2 of 4 features"),
        (examples_bytes(EXAMPLES_2) + b"\0", "are not 2 of 4 features"),
        (struct.pack("<4sIII", b"PEX1", 2**32 - 1, 2**16, 3), "are not 4294967295 of 65536"),
        (struct.pack("<4sIII", b"PEX1", 0, 0, 3), "have 0 features"),
        (struct.pack("<4sIII", b"PEX1", 1, 2**32 - 1, 3), "have 4294967295 features"),
        (struct.pack("<4sIII", b"PEX1", 0, 4, 2), "have 2 words, the captioner 3"),
        (
            examples_bytes(replace(EXAMPLES_2, class_ids=np.array([2, 0]))),
            "of classes that it has no label for",
        ),
        (
            examples_bytes(replace(EXAMPLES_2, low=np.array([np.nan, 0]))),
            "have absurd features",
        ),
        (examples_bytes(replace(EXAMPLES_2, step=np.array([1e30, 0]))), "have absurd features"),
        (examples_bytes(replace(EXAMPLES_2, step=np.array([-1, 0]))), "have absurd features"),
    ],
)
def test_examples_that_do_not_fit_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        parse_examples(data, 2, 3)


@pytest.fixture(scope="module")
def contents(bundle):
    """The small bundle, which keeps two examples."""
    small = read_bundle(bundle)
    random = np.random.default_rng(0)
    evidence = random.uniform(0, 1, (2, len(small.vocabulary)))
    examples = quantize_examples(np.array([0, 1]), random.uniform(0, 6, (2, 16)), evidence)
    return replace(small, examples=examples)


def test_a_bundle_with_examples_is_one_like_any_other(contents, bundle, tmp_path):
    path = tmp_path / "kept.tflite"
    write_bundle(path, contents)
    read = read_bundle(path)
    assert examples_bytes(read.examples) == examples_bytes(contents.examples)
    assert read_bundle(bundle).examples is None
    assert Bundle(path).labels == contents.labels
    assert "examples    2 that it was taught by, 0 kB" in summary_lines(summarize(path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PEX1", "its words are not valid: its examples have no header"),
        (b"\0" * (5 << 20), "cut short or damaged"),
    ],
)
def test_a_bundle_with_hostile_examples_is_refused_in_one_line(contents, tmp_path, data, message):
    path = tmp_path / "kept.tflite"
    write_bundle(path, contents)
    graph, members = split_bundle(path.read_bytes())
    members[EXAMPLES] = data
    del members[HASH]
    members[HASH] = content_hash(graph, members).encode()
    with pytest.raises(PicaptionError, match=message) as error:
        parse_bundle(zip_bundle(graph, members), path)
    assert "\n" not in str(error.value)


def test_altered_examples_are_noticed(contents, tmp_path):
    path = tmp_path / "kept.tflite"
    write_bundle(path, contents)
    graph, members = split_bundle(path.read_bytes())
    members[EXAMPLES] = members[EXAMPLES][:-1] + b"\x07"
    with pytest.raises(PicaptionError, match="the bundle was altered"):
        parse_bundle(zip_bundle(graph, members), path)
    del members[EXAMPLES]
    with pytest.raises(PicaptionError, match="the bundle was altered"):
        parse_bundle(zip_bundle(graph, members), path)
