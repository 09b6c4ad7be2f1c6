"""An ONNX graph as a function of TensorFlow: its nodes in order, constants computed at once."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx.reference import ReferenceEvaluator

from picaption.device.errors import PicaptionError

from . import elementwise, products, shapes, spatial
from .layout import Laid
from .metadata import layer_name
from .node import Node, Operator, UnsupportedError

OPERATORS: dict[str, Operator] = {
    **elementwise.OPERATORS,
    **spatial.OPERATORS,
    **shapes.OPERATORS,
    **products.OPERATORS,
}
#: What operators raise for values that they do not fit.
OPERATOR_ERRORS = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    tf.errors.OpError,
)
#: The most numbers that a constant may unfold to.
_MAX_NUMBERS = 1 << 28
#: Operators whose output can be far larger than their inputs.
_UNFOLDING = ("ConstantOfShape", "Expand", "Tile", "Range", "RandomNormal", "RandomUniform")
#: Operators that run a graph of their own again and again, for as long as that graph likes.
_LOOPS = ("Loop", "Scan", "SequenceMap")
#: The longest cause that an error quotes.
_QUOTED = 200


class OnnxFunction:
    """The graph of an ONNX network of one image.

    Attributes:
        model: The onnx.ModelProto.
        output: The name of its output.
    """

    def __init__(self, model: Any, output: str) -> None:
        self.model = model
        self.output = output
        self._opset = next(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1
        )
        self._constants = {
            tensor.name: _to_float32(onnx.numpy_helper.to_array(tensor))
            for tensor in model.graph.initializer
        }

    @tf.autograph.experimental.do_not_convert
    def __call__(self, input_name: str, image: Laid) -> Laid:
        """Compute the output.

        Args:
            input_name: The name of the network's input.
            image: One image, in the order of axes that the network counts.

        Raises:
            PicaptionError: A node cannot be taken over.
        """
        values: dict[str, Any] = {**self._constants, input_name: image}
        self._run(self.model.graph, values)
        if self.output not in values:
            raise PicaptionError(f"nothing in it computes its output {self.output}")
        result = values[self.output]
        if not isinstance(result, Laid):
            raise PicaptionError(f"its output {self.output} does not depend on the picture")
        return result

    def _run(self, graph: Any, values: dict[str, Any]) -> None:
        """Compute the nodes of a graph, and add their outputs to `values`."""
        for index, proto in enumerate(graph.node):
            attributes = {
                attribute.name: _attribute_value(attribute) for attribute in proto.attribute
            }
            node = Node(
                operator=proto.op_type,
                name=layer_name(proto) or f"{proto.op_type}_{index}",
                attributes=attributes,
                inputs=tuple(proto.input),
                outputs=tuple(proto.output),
                opset=self._opset,
            )
            if proto.domain not in ("", "ai.onnx"):
                raise _unsupported(node, f"of the domain {proto.domain}")
            inputs = [values.get(name) if name else None for name in node.inputs]
            for name, value in zip(node.inputs, inputs):
                if name and value is None:
                    raise PicaptionError(
                        f"its layer {node.name} takes {name}, which nothing before it computes: "
                        "the file is damaged; export it again"
                    )
            with tf.name_scope(_scope(node.name)):
                outputs = self._outputs(node, proto, inputs, values)
            values.update(zip(node.outputs, outputs))

    def _outputs(
        self, node: Node, proto: Any, inputs: Sequence[Any], values: dict[str, Any]
    ) -> list[Any]:
        """Return what a node computes."""
        if node.operator == "If":
            return self._branch(node, inputs[0], values)
        if node.operator in _LOOPS:
            raise _unsupported(node, "")
        depends_on_image = any(isinstance(value, Laid) for value in inputs)
        if not depends_on_image:
            return self._fold(node, proto, inputs)
        operator = OPERATORS.get(node.operator)
        if operator is None:
            raise _unsupported(node, "")
        try:
            outputs = operator(node, list(inputs))
        except UnsupportedError as error:
            raise _unsupported(node, str(error)) from None
        except OPERATOR_ERRORS as error:
            cause = str(error).strip().partition("\n")[0][:_QUOTED] or type(error).__name__
            raise PicaptionError(
                f"its layer {node.name}, a {node.operator}, cannot be computed for these pictures: "
                f"{cause}"
            ) from None
        return outputs if isinstance(outputs, list) else [outputs]

    def _branch(self, node: Node, condition: Any, values: dict[str, Any]) -> list[Any]:
        """Return what an If computes, whose condition is a constant."""
        if isinstance(condition, Laid):
            raise _unsupported(node, "its condition depends on the picture")
        name = "then_branch" if np.all(condition) else "else_branch"
        branch = node.attributes[name]
        inner = dict(values)
        for tensor in branch.initializer:
            inner[tensor.name] = _to_float32(onnx.numpy_helper.to_array(tensor))
        self._run(branch, inner)
        return [inner[output.name] for output in branch.output]

    def _fold(self, node: Node, proto: Any, inputs: Sequence[Any]) -> list[Any]:
        """Return the outputs of a node whose inputs are constants, by ONNX's own reference."""
        _check_size(node, inputs)
        graph = onnx.helper.make_graph(
            [proto],
            "constant",
            [
                onnx.helper.make_tensor_value_info(
                    name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
                )
                for name, value in _by_name(node.inputs, inputs).items()
            ],
            [onnx.ValueInfoProto(name=name) for name in node.outputs if name],
        )
        opsets = [onnx.helper.make_opsetid("", self._opset)]
        model = onnx.helper.make_model(graph, opset_imports=opsets)
        try:
            with np.errstate(all="ignore"):
                outputs = ReferenceEvaluator(model).run(None, _by_name(node.inputs, inputs))
        except (*OPERATOR_ERRORS, AssertionError) as error:
            cause = str(error).strip().partition("\n")[0][:_QUOTED] or type(error).__name__
            raise PicaptionError(
                f"its layer {node.name}, a {node.operator}, cannot be computed: {cause}"
            ) from None
        results = iter(outputs)
        return [_to_float32(np.asarray(next(results))) if name else None for name in node.outputs]


def _by_name(names: Sequence[str], values: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return {name: array} of the inputs that are there."""
    return {name: np.asarray(value) for name, value in zip(names, values) if value is not None}


def _check_size(node: Node, inputs: Sequence[Any]) -> None:
    """Raise PicaptionError where a constant would unfold to more than memory should hold."""
    if node.operator not in _UNFOLDING:
        return
    arrays = [np.asarray(value, np.float64).ravel() for value in inputs if value is not None]
    if node.operator == "Range":
        start, limit, delta = (float(array[0]) for array in arrays)
        count = abs(limit - start) / max(abs(delta), 1e-9)
    else:
        sizes = arrays[-1] if arrays else np.ravel(node.attribute("shape", [1]))
        count = float(np.prod(np.maximum(np.abs(sizes), 1)))
        if node.operator == "Tile":
            count *= arrays[0].size
    if count > _MAX_NUMBERS:
        raise PicaptionError(
            f"its layer {node.name}, a {node.operator}, makes {count:.0f} numbers, more than a "
            "classifier has"
        )


def _attribute_value(attribute: Any) -> Any:
    """Return an attribute as Python has it: text as str, tensors as arrays."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return value


def _to_float32(array: np.ndarray) -> np.ndarray:
    """Return numbers of 16 and of 64 bits as float32; integers and truth values as they are."""
    is_float = np.issubdtype(array.dtype, np.floating) or array.dtype.name == "bfloat16"
    return array.astype(np.float32) if is_float else array


def _scope(name: str) -> str:
    """Return a node's name as TensorFlow takes one, its path in one piece."""
    return re.sub(r"[^\w.-]", ".", name).strip("._-") or "node"


def _unsupported(node: Node, reason: str) -> PicaptionError:
    """Return the error for a node that cannot be taken over."""
    details = f" ({reason})" if reason else ""
    return PicaptionError(
        f"TFLite has no operator for {node.operator}{details}, in layer {node.name}: export the "
        "network without it, or from operators that TFLite has"
    )


def output_names(model: Any) -> list[str]:
    """Return the names of a network's outputs."""
    return [output.name for output in model.graph.output]


def input_infos(model: Any) -> Mapping[str, Any]:
    """Return {name: onnx.ValueInfoProto} of a network's inputs that are no weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return {info.name: info for info in model.graph.input if info.name not in weights}
