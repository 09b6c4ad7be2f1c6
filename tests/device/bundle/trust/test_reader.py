"""Flatbuffers written by hand, byte by byte, and what is wrong with some of them."""

import struct

import pytest

from picaption.device.bundle.trust.reader import FlatbufferReader


def read(data):
    """Return the named fields of a flatbuffer's root."""
    values = FlatbufferReader(data).root("Model")
    assert values.pop("subgraph") == []
    return values


def model(version=3, vtable_offset=None, extra=b"", slots=1, field_offset=4):
    """Return a flatbuffer whose root table has one field, a number of 32 bits."""
    # 0: where the root is; 4: the vtable of 6 bytes, and 2 to fill; 12: the root.
    header = struct.pack("<I", 12)
    vtable = struct.pack("<HHH2x", 4 + 2 * slots, 8, field_offset)
    offset = 8 if vtable_offset is None else vtable_offset
    return header + vtable + struct.pack("<iI", offset, version) + extra


def test_a_number_is_read():
    assert read(model(7)) == {"version": 7}


def test_an_absent_field_is_left_out():
    assert read(model(field_offset=0)) == {}


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "points out of the file"),
        (b"\1\2", "points out of the file"),
        (struct.pack("<I", 400), "points out of the file"),
        (model(vtable_offset=-400), "points out of the file"),
        (model(vtable_offset=400), "points out of the file"),
        (model(vtable_offset=7), "alignment"),
        (model(field_offset=8), "too short for its fields"),
        (model(field_offset=2), "too short for its fields"),
        (model(field_offset=5), "too short for its fields"),
        (struct.pack("<I", 13) + model()[4:] + b"\0", "alignment"),
        (model()[:-1], "points out of the file"),
        (model(slots=40), "points out of the file"),
    ],
)
def test_offsets_that_are_wrong_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        FlatbufferReader(data).root("Model")


def text_model(length, text):
    """Return a flatbuffer with a description, the fourth field of a model."""
    vtable = struct.pack("<HHHHHH", 12, 8, 0, 0, 0, 4)
    root = struct.pack("<iI", 12, 4)
    return struct.pack("<I", 16) + vtable + root + struct.pack("<I", length) + text


def test_a_text_is_read():
    assert read(text_model(3, b"cat\0")) == {"description": "cat"}


@pytest.mark.parametrize(
    "data, message",
    [
        (text_model(3, b"cats"), "a text has no end"),
        (text_model(4, b"cat\0"), "points out of the file"),
        (text_model(2**32 - 1, b"cat\0"), "points out of the file"),
        (text_model(3, b"\xff\xfe\xfd\0"), "codec can't decode"),
    ],
)
def test_texts_that_are_wrong_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        FlatbufferReader(data).root("Model")


def test_parts_that_overlap_are_refused_before_they_take_time():
    # 10,000 tables, each of which claims the 4,000 bytes behind it: 40 MB of a file of 84 kB.
    count = 10_000
    vtable_bytes = 6 + 4
    vtable = struct.pack("<HHHHH", vtable_bytes, 8, 0, 0, 4)
    root_at = 4 + len(vtable) + 2
    data = struct.pack("<I", root_at) + vtable + b"\0\0" + struct.pack("<iI", len(vtable) + 2, 4)
    vector = struct.pack("<I", count)
    tables_at = len(data) + 4 + 4 * count
    shared = struct.pack("<HH", 4, 4000)
    offsets = []
    tables = b""
    for index in range(count):
        position = tables_at + len(shared) + 4 * index
        offsets.append(position - (len(data) + 4 + 4 * index))
        tables += struct.pack("<i", position - tables_at)
    data += vector + struct.pack(f"<{count}I", *offsets) + shared + tables + bytes(4000)
    with pytest.raises(ValueError, match="overlap"):
        FlatbufferReader(data).root("Model")
