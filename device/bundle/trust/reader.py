"""Reads a flatbuffer whose every offset may be wrong, as strictly as the official verifier.

What is read was checked: it lies in the file, on its alignment, and overlaps nothing else, so that
the work is linear in the size of the file whatever stands in it.
"""

import struct
from functools import cache
from itertools import zip_longest
from typing import Any

import numpy as np

from .layout import TABLES, UNIONS, Field

#: The fields that a table has, by name; what it leaves out is missing here.
Values = dict[str, Any]

#: What stands in every table: the indices of the subgraphs that its fields of this name hold.
SUBGRAPH = "subgraph"

_OFFSET_BYTES = 4
#: The bytes of a table's offset to its vtable, behind which its fields stand.
_TABLE_HEADER_BYTES = 4
_VTABLE_HEADER = struct.Struct("<HH")
_OFFSET = struct.Struct("<I")
_SIGNED_OFFSET = struct.Struct("<i")


class FlatbufferReader:
    """Reads the tables of picaption.device.bundle.trust.layout.

    Args:
        data: The bytes of the flatbuffer.

    Raises:
        ValueError: By every method, if the bytes break the format.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        # Honest writers share whole objects, which are read once. Others can let them overlap, and
        # have a small file take hours: so each byte may be claimed once, on average.
        self._table = cache(self._read_table)
        self._vector = cache(self._read_vector)
        self._string = cache(self._read_string)
        self._unclaimed_bytes = len(data)

    def root(self, name: str) -> Values:
        """Return the root table, of the layout `name`."""
        return self._table(self._target(0), name)

    def _read_table(self, position: int, name: str) -> Values:
        """Return the fields of the table at a position."""
        self._need_span(position, _TABLE_HEADER_BYTES, _TABLE_HEADER_BYTES)
        vtable = position - _SIGNED_OFFSET.unpack_from(self._data, position)[0]
        self._need_span(vtable, _VTABLE_HEADER.size, 2)
        vtable_bytes, table_bytes = _VTABLE_HEADER.unpack_from(self._data, vtable)
        self._need_span(vtable, vtable_bytes, 2)
        self._need_span(position, table_bytes, 1)
        self._claim(table_bytes)
        count = vtable_bytes // 2 - 2
        _need(count >= 0 and vtable_bytes % 2 == 0, "a table has no vtable")
        offsets = struct.unpack_from(f"<{count}H", self._data, vtable + _VTABLE_HEADER.size)
        fields = TABLES[name]
        _need(not any(offsets[len(fields) :]), f"a {name} has fields that nobody knows")
        values: Values = {}
        subgraphs: list[int] = []
        union_type = 0
        for field, offset in zip_longest(fields, offsets[: len(fields)], fillvalue=0):
            if not isinstance(field, Field):
                _need(not offset, f"a {name} has a field that nobody writes")
                continue
            value: Any = 0
            if offset:
                inside = _TABLE_HEADER_BYTES <= offset <= table_bytes - field.size
                _need(inside, f"a {name} is too short for its fields")
                value = self._field(position + offset, field, union_type)
                values[field.name] = value
            if field.name == SUBGRAPH:  # There may be several; a writer leaves out zeros.
                subgraphs += np.atleast_1d(value).tolist()
            union_type = value if isinstance(value, int) else 0
        values[SUBGRAPH] = subgraphs
        return values

    def _field(self, position: int, field: Field, union_type: int) -> Any:
        """Return the value of the field at a position, whose union has the type before it."""
        if field.is_vector:
            return self._vector(self._target(position), field.type)
        if field.is_union:
            tables = UNIONS[field.type]
            _need(0 < union_type < len(tables), f"its {field.type} are of no known type")
            return self._table(self._target(position), tables[union_type])
        if field.type == "s":
            return self._string(self._target(position))
        if len(field.type) > 1:
            return self._table(self._target(position), field.type)
        self._need_span(position, field.size, field.size)
        return struct.unpack_from(f"<{field.type}", self._data, position)[0]

    def _read_vector(self, position: int, type_name: str) -> Any:
        """Return an array of numbers, or a list of tables."""
        size = _OFFSET_BYTES
        is_number = len(type_name) == 1
        if is_number:
            size = struct.calcsize(f"<{type_name}")
        count = self._count(position)
        start = position + _OFFSET_BYTES
        self._need_span(start, count * size, min(size, 8) if count else 1)
        self._claim(_OFFSET_BYTES + count * size)
        if is_number:
            return np.frombuffer(self._data, f"<{type_name}", count, start)
        ends = range(start, start + count * _OFFSET_BYTES, _OFFSET_BYTES)
        return [self._table(self._target(end), type_name) for end in ends]

    def _read_string(self, position: int) -> str:
        """Return the text at a position."""
        count = self._count(position)
        start = position + _OFFSET_BYTES
        self._need_span(start, count + 1, 1)
        self._claim(_OFFSET_BYTES + count)
        _need(self._data[start + count] == 0, "a text has no end")
        return self._data[start : start + count].decode()

    def _count(self, position: int) -> int:
        """Return how many elements the vector at a position has."""
        self._need_span(position, _OFFSET_BYTES, _OFFSET_BYTES)
        return _OFFSET.unpack_from(self._data, position)[0]

    def _target(self, position: int) -> int:
        """Return where the offset at a position points to."""
        self._need_span(position, _OFFSET_BYTES, _OFFSET_BYTES)
        return position + _OFFSET.unpack_from(self._data, position)[0]

    def _need_span(self, position: int, size: int, alignment: int) -> None:
        """Raise ValueError unless so many bytes are in the file, aligned."""
        _need(0 <= position <= len(self._data) - size, "it points out of the file")
        _need(position % alignment == 0, "a value is not on its alignment")

    def _claim(self, size: int) -> None:
        """Raise ValueError if all that was read is more than the file has."""
        self._unclaimed_bytes -= size
        _need(self._unclaimed_bytes >= 0, "its parts overlap")


def _need(condition: bool, contradiction: str) -> None:
    if not condition:
        raise ValueError(contradiction)
