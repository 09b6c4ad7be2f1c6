"""The same TFLite graph in fewer bytes: equal vectors are stored once, inner tensors are unnamed.

Per-channel quantization stores a zero point of 8 bytes for every channel of a weight and of a
bias, and all of them are zero. Many places of a FlatBuffer may refer to one vector, so zeros of
one length need to be stored only once. The name of a tensor that is neither an input nor an output
says which layer it came from; an interpreter has no use for it.
"""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

#: The schema asks for weights to begin at a multiple of this.
ALIGNMENT_BYTES = 16

_INITIAL_BYTES = 1 << 20


class _Builder(flatbuffers.Builder):
    """Writes equal vectors once."""

    def __init__(self) -> None:
        super().__init__(_INITIAL_BYTES)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        """Return the offset of a vector equal to the array `x`, written now or before."""
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            if x.dtype == np.uint8:  # A weight: what the vector prepares itself keeps this.
                self.Prep(ALIGNMENT_BYTES, x.size)
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def compact_graph(graph: bytes) -> bytes:
    """Return a TFLite flatbuffer in fewer bytes; it computes exactly the same."""
    return pack_model(schema.ModelT.InitFromPackedBuf(graph, 0))


def pack_model(model: Any, named: bool = False) -> bytes:
    """Return a schema.ModelT as a TFLite flatbuffer.

    Args:
        model: The schema.ModelT; unless `named`, its inner tensors lose their names.
        named: Keep the names of the inner tensors.
    """
    if not named:
        for subgraph in model.subgraphs:
            _remove_inner_names(subgraph)
    builder = _Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _remove_inner_names(subgraph: Any) -> None:
    ends = {*subgraph.inputs, *subgraph.outputs}
    for index, tensor in enumerate(subgraph.tensors):
        if index not in ends:
            tensor.name = None
