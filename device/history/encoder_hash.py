"""What tells encoders apart: features of two scenes compare only if one encoder made them.

Teaching classes writes a new bundle with the encoder of the old one, so the hash of the file would
not do.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from ..bundle.archive import parse_bundle, read_bytes

#: Characters of the hash that are stored with every scene.
HASH_CHARACTERS = 16


def encoder_hash(path: str | os.PathLike[str]) -> str:
    """Return the hash of the weights in a bundle's signature `encode`.

    Args:
        path: The bundle, which was opened before.

    Raises:
        PicaptionError: There is no bundle.
    """
    contents = parse_bundle(read_bytes(Path(path), "the bundle"), Path(path))
    return graph_encoder_hash(contents.graph)


def graph_encoder_hash(graph: bytes) -> str:
    """Return the hash of the weights in the signature `encode` of a graph that was verified."""
    model = schema.Model.GetRootAs(graph, 0)
    total = hashlib.sha256()
    for index in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(index)
        if signature.SignatureKey() == b"encode":
            _add_weights(total, model, model.Subgraphs(signature.SubgraphIndex()))
    return total.hexdigest()[:HASH_CHARACTERS]


def _add_weights(total: Any, model: schema.Model, subgraph: schema.SubGraph) -> None:
    """Add the constants of a subgraph to a hash, in the order in which they are used."""
    for operator_index in range(subgraph.OperatorsLength()):
        operator = subgraph.Operators(operator_index)
        for position in range(operator.InputsLength()):
            tensor_index = operator.Inputs(position)
            if tensor_index < 0:  # An input that is left out, such as a bias.
                continue
            buffer = model.Buffers(subgraph.Tensors(tensor_index).Buffer())
            if buffer.DataLength():
                total.update(buffer.DataAsNumpy())
