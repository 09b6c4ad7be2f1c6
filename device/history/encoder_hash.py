"""What tells encoders apart: features of two scenes compare only if one encoder made them."""

import os
from pathlib import Path

from ..bundle.archive import parse_bundle, read_bytes
from ..teaching.weights_hash import weights_hash


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
    return weights_hash(graph, ("encode",))
