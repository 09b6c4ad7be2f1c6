"""The scaling of pixels in a .tflite file's own metadata, as TFLite's Task Library reads it.

The metadata is a flatbuffer in one of the graph's buffers (TensorFlow's metadata_schema.fbs). Its
field numbers stand here, since no package for this Python brings the schema.
"""

import struct
from collections.abc import Iterator
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types
from flatbuffers.table import Table

from picaption.models.pixels import PixelScaling, mean_and_std

#: What the graph calls the buffer, and what it begins with behind its root's offset.
_NAME = b"TFLITE_METADATA"
_MAGIC = b"M001"
#: Fields of ModelMetadata, SubGraphMetadata, TensorMetadata, ProcessUnit, NormalizationOptions.
_SUBGRAPHS = 3
_INPUTS = 2
_PROCESS_UNITS = 4
_OPTIONS_TYPE = 0
_OPTIONS = 1
_MEAN = 0
_STD = 1
#: NormalizationOptions among the options of a process unit.
_NORMALIZATION = 1
#: The most entries of a vector that are read: there are three colours.
_LONGEST = 8
#: A vtable's first two entries are sizes.
_VTABLE_START = 4


def normalization(model: schema.ModelT) -> PixelScaling | None:
    """Return how the metadata of a model scales pixels; None where it does not say.

    It is followed where the model takes floats: quantized inputs take pixels as they are.
    """
    graph = model.subgraphs[0]
    inputs = () if graph.inputs is None else graph.inputs
    if any(graph.tensors[index].type != schema.TensorType.FLOAT32 for index in inputs):
        return None
    for entry in model.metadata or ():
        if entry.name != _NAME:
            continue
        data = model.buffers[entry.buffer].data
        if data is None:
            continue
        buffer = bytearray(data.tobytes())
        if buffer[4:8] == _MAGIC:
            return _read(buffer)
    return None


def _read(buffer: bytearray) -> PixelScaling | None:
    """Return the first NormalizationOptions of a metadata buffer; None for a damaged one too."""
    try:
        root = flatbuffers.encode.Get(flatbuffers.packer.uoffset, buffer, 0)
        for subgraph in _tables(Table(buffer, root), _SUBGRAPHS):
            for tensor in _tables(subgraph, _INPUTS):
                for unit in _tables(tensor, _PROCESS_UNITS):
                    scaling = _scaling(unit)
                    if scaling is not None:
                        return scaling
    except (struct.error, IndexError, TypeError, ValueError, OverflowError):
        return None
    return None


def _scaling(unit: Table) -> PixelScaling | None:
    """Return the scaling of a process unit that is a normalization; None for another."""
    position = _field(unit, _OPTIONS_TYPE)
    if not position:
        return None
    options_type = unit.Get(number_types.Uint8Flags, unit.Pos + position)
    options = _field(unit, _OPTIONS)
    if options_type != _NORMALIZATION or not options:
        return None
    table = Table(unit.Bytes, unit.Indirect(unit.Pos + options))
    mean = _floats(table, _MEAN)
    std = _floats(table, _STD)
    if len(mean) not in (1, 3) or len(std) not in (1, 3) or min(std) <= 0:
        return None
    return mean_and_std(mean, std, largest=255.0)


def _field(table: Table, field: int) -> int:
    """Return where a field begins, from its table on; 0 where it is not set."""
    return table.Offset(_VTABLE_START + 2 * field)


def _tables(table: Table, field: int) -> Iterator[Table]:
    """Yield the tables of a field that is a vector of them."""
    position = _field(table, field)
    if not position:
        return
    start = table.Vector(position)
    for index in range(min(table.VectorLen(position), _LONGEST)):
        yield Table(table.Bytes, table.Indirect(start + 4 * index))


def _floats(table: Table, field: int) -> list[float]:
    """Return the numbers of a field that is a vector of float32."""
    position = _field(table, field)
    if not position:
        return []
    start = table.Vector(position)
    count = min(table.VectorLen(position), _LONGEST)
    flags: Any = number_types.Float32Flags
    return [float(table.Get(flags, start + 4 * index)) for index in range(count)]
