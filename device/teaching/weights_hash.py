"""What tells the weights of graphs apart, whatever else is in their bundles.

Teaching classes writes a new bundle with the encoder of the old one, so the hash of the file would
not do for what belongs to the encoder.
"""

import hashlib
from collections.abc import Collection
from typing import Any

from ai_edge_litert import schema_py_generated as schema

#: Characters of a hash.
HASH_CHARACTERS = 16


def weights_hash(graph: bytes, signatures: Collection[str]) -> str:
    """Return the hash of the weights in some signatures of a graph that was verified.

    Args:
        graph: A TFLite flatbuffer.
        signatures: Their names; one that the graph lacks counts nothing.
    """
    model = schema.Model.GetRootAs(graph, 0)
    total = hashlib.sha256()
    for index in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(index)
        if signature.SignatureKey().decode() in signatures:
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
