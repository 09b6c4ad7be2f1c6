"""A node of an ONNX graph, with what the operators ask it for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .layout import Laid, Value

#: A function of a node and its inputs that returns its outputs; an input that is left out is None.
Operator = Callable[["Node", list[Any]], Value | list[Value]]


class UnsupportedError(ValueError):
    """A node, or something about it, that cannot be taken over."""


@dataclass(frozen=True)
class Node:
    """A node of an ONNX graph.

    Attributes:
        operator: Its operator, such as Conv.
        name: Of its layer, see metadata.layer_name.
        attributes: Its attributes as Python values.
        inputs: The names of its inputs; "" for one that is left out.
        outputs: The names of its outputs.
        opset: The version of ONNX's operators that the network is made of.
    """

    operator: str
    name: str
    attributes: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or `default` where the node has none of that name."""
        return self.attributes.get(name, default)

    def constant(self, inputs: Sequence[Any], index: int, attribute: str = "") -> Any:
        """Return an input that must be a constant, or the attribute that it was before; or None.

        Raises:
            UnsupportedError: The input depends on the image.
        """
        value = inputs[index] if index < len(inputs) else None
        if value is None:
            return self.attribute(attribute)
        if isinstance(value, Laid):
            raise UnsupportedError(f"its input {self.inputs[index]} depends on the picture")
        return value


def integers(values: Any) -> list[int]:
    """Return the numbers of an array or a list as integers."""
    return [int(value) for value in np.ravel(values)]
