"""What a bundle says of itself: read as it was written, and refused in one line."""

import json

import pytest

from picaption.device.bundle.metadata import (
    FORMAT_VERSION,
    Beam,
    Input,
    Metadata,
    from_json,
    to_json,
)
from picaption.device.errors import PicaptionError
from tests.device.fakes.metadata import METADATA


def test_metadata_is_read_as_it_was_written():
    for metadata in (METADATA, Metadata("plain")):
        assert from_json(to_json(metadata), "here") == metadata
    assert from_json(
        '{"format_version": 4, "name": "plain", "beam": {"width": 5}}', "here"
    ) == Metadata("plain", beam=Beam(width=5))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "Expecting value"),
        ("[" * 100_000, "nested too deeply"),
        ('{"name": ' + "9" * 5000, "A number has too many digits"),
        ('{"format_version": 5, "name": ' + "[" * 900 + "]" * 900 + "}", "name is"),
        (b"\xff", "can't decode"),
        ("[]", "it is not a JSON object"),
        ("{}", "no format version"),
        ('{"format_version": true, "name": "x"}', "it has no format version"),
        ('{"format_version": 4}', "it has no name"),
        ('{"format_version": 3}', "it has no name"),
    ],
)
def test_text_that_is_no_metadata_is_refused(text, message):
    with pytest.raises(PicaptionError, match=f"here: its metadata is not valid: .*{message}"):
        from_json(text, "here")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"colour": 1}, "unknown entry 'colour'"),
        ({"input": {"depth": 3}}, "unknown entry 'depth'"),
        ({"name": 3}, "name is 3"),
        ({"licence": None}, "licence is None"),
        ({"head": "soft"}, "head is 'soft'"),
        ({"input": 224}, "input is not an object"),
        ({"input": {"height": "224"}}, "height is '224'"),
        ({"input": {"width": 0}}, "the input size is absurd"),
        ({"input": {"width": 4097}}, "the input size is absurd"),
        ({"input": {"resize": "pad"}}, "the resize rule is 'pad'"),
        ({"order": 3.0}, "order is 3.0"),
        ({"input": {"width": True}}, "width is True"),
        ({"order": 1}, "order is 1"),
        ({"order": 17}, "order is 17"),
        ({"beam": {"width": 0}}, "the beam's settings are absurd"),
        ({"beam": {"min_words": 5, "max_words": 4}}, "the beam's settings are absurd"),
        ({"beam": {"length_penalty": "1"}}, "length_penalty is '1'"),
        ({"beam": {"length_penalty": float("inf")}}, "the length penalty is inf"),
        ({"beam": {"tag_weight": -1}}, "the weight of the tags is -1"),
        ({"beam": {"evidence": 0.4}}, "unknown entry 'evidence'"),
        ({"input": {"resize": "squash"}}, "the resize rule is 'squash'"),
        ({"tags": "cat"}, "tags is 'cat'"),
        ({"tags": ["cat", 1]}, "tags are not words"),
        ({"guidance": 1}, "guidance is not an object"),
        ({"guidance": {"alpha": 1}}, "unknown entry 'alpha'"),
        ({"guidance": {"class_weight": -1}}, "the guidance's class_weight is -1"),
        ({"guidance": {"name_weight": float("nan")}}, "the guidance's name_weight is nan"),
        ({"guidance": {"choice_weight": 101}}, "the guidance's choice_weight is 101"),
        ({"guidance": {"pivot": 1.5}}, "the guidance's pivot is 1.5"),
        ({"guidance": {"name_pivot": -0.5}}, "the guidance's name_pivot is -0.5"),
        ({"guidance": {"floor": 1}}, "the guidance's floor is 1"),
        ({"guidance": {"floor": -101}}, "the guidance's floor is -101"),
        ({"guidance": {"ceiling": -1}}, "the guidance's ceiling is -1"),
        ({"guidance": {"name_ceiling": 1000}}, "the guidance's name_ceiling is 1000"),
        ({"object_words": ["cat"]}, "object_words are not lists"),
        ({"object_words": [["cat", 1]]}, "1 is not a phrase of 1 to 4 words for an object"),
        ({"object_words": [["cat", " "]]}, "' ' is not a phrase of 1 to 4 words"),
        ({"object_words": [["a b c d e"]]}, "'a b c d e' is not a phrase of 1 to 4 words"),
        ({"object_words": [["cat"] * 20_001]}, "there are 20002 words for objects"),
        ({"other_things": "track"}, "other_things is 'track'"),
        ({"other_things": [["track"]]}, r"\['track'\] is not a phrase of 1 to 4 words"),
        ({"silence": 0.5}, "silence is not an object"),
        ({"silence": {"noise": 1}}, "unknown entry 'noise'"),
        ({"silence": {"contrast": "4"}}, "contrast is '4'"),
        ({"silence": {"brightness": 256}}, "a threshold of silence is 256"),
        ({"silence": {"contrast": float("nan")}}, "a threshold of silence is nan"),
        ({"silence": {"sharpness": -0.1}}, "the sharpness of silence is -0.1"),
        ({"tag_threshold": False}, "tag_threshold is False"),
        ({"label_threshold": float("nan")}, "a threshold is not from 0 to 1"),
        ({"tag_threshold": 10**400}, "a threshold is not from 0 to 1"),
        ({"scene_threshold": -0.1}, "the scene threshold is -0.1"),
        ({"confidence": 0.5}, "confidence is not an object"),
        ({"confidence": {"weight": 1}}, "unknown entry 'weight'"),
        ({"confidence": {"bias": None}}, "bias is None"),
        ({"confidence": {"bias": float("nan")}}, "the confidence's bias is nan"),
        ({"confidence": {"objects": 101}}, "the confidence's objects is 101"),
        ({"confidence": {"threshold": 1.5}}, "the confidence's threshold is 1.5"),
        ({"naming": 0.5}, "naming is not an object"),
        ({"naming": {"threshold": 1.5}}, "the naming's threshold is 1.5"),
        ({"naming": {"addition": float("nan")}}, "the naming's addition is nan"),
        ({"guidance": {"tag_weight": -1}}, "the guidance's tag_weight is -1"),
        ({"guidance": {"tag_floor": 1}}, "the guidance's tag_floor is 1"),
        ({"name": ""}, "it has no name"),
        ({"provenance": []}, r"provenance is \[\]"),
        ({"measured": 0.5}, "measured is 0.5"),
    ],
)
def test_metadata_of_another_kind_is_refused(changes, message):
    text = json.dumps(json.loads(to_json(METADATA)) | changes)
    with pytest.raises(PicaptionError, match=f"here: its metadata is not valid: {message}"):
        from_json(text, "here")


@pytest.mark.parametrize(
    "values, expected",
    [
        ({}, Metadata("old")),
        ({"input": {"resize": "squash"}}, Metadata("old", input=Input(resize="stretch"))),
        ({"input": {"resize": "crop"}}, Metadata("old", input=Input(resize="crop"))),
        ({"beam": {"evidence": 0.4, "width": 2}}, Metadata("old", beam=Beam(2, tag_weight=0.4))),
    ],
)
def test_format_3_is_read_by_the_names_of_later_formats(values, expected):
    text = json.dumps({"format_version": 3, "name": "old"} | values)
    assert from_json(text, "here") == expected
    assert json.loads(to_json(expected))["format_version"] == FORMAT_VERSION


@pytest.mark.parametrize(
    "values, message",
    [
        ({"input": 224}, "input is not an object"),
        ({"beam": ["evidence"]}, "beam is not an object"),
        ({"input": {"resize": ["squash"]}}, r"resize is \['squash'\]"),
        ({"beam": {"evidence": "0.4"}}, "tag_weight is '0.4'"),
        ({"beam": {"evidence": -1}}, "the weight of the tags is -1"),
    ],
)
def test_format_3_is_checked_too(values, message):
    text = json.dumps({"format_version": 3, "name": "old"} | values)
    with pytest.raises(PicaptionError, match=f"here: its metadata is not valid: {message}"):
        from_json(text, "here")


@pytest.mark.parametrize(
    "values, message",
    [
        ({"name": "a\x1b[2J"}, "has control characters"),
        ({"licence": "a\nb"}, "has control characters"),
        ({"tags": ["a\x9b"]}, "has control characters"),
        ({"provenance": {"a": json.loads("[" * 200 + "]" * 200)}}, "nested too deeply"),
    ],
)
def test_hostile_texts_are_refused(values, message):
    text = json.dumps({"format_version": FORMAT_VERSION, "name": "a"} | values)
    with pytest.raises(PicaptionError, match=message):
        from_json(text, "a.tflite")
