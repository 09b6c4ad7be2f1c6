"""ONNX's operators that compute every number by itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from .layout import Laid, Value, common_order
from .node import Node, Operator, UnsupportedError

#: Operators of one input, by functions whose results may be below zero.
UNARY: dict[str, Callable] = {
    "Neg": tf.negative,
    "Tanh": tf.tanh,
    "Log": tf.math.log,
    "Sin": tf.sin,
    "Cos": tf.cos,
    "Floor": tf.floor,
    "Ceil": tf.math.ceil,
    "Round": tf.round,
    "Elu": tf.nn.elu,
    "Selu": tf.nn.selu,
    "Softsign": tf.nn.softsign,
    "Erf": tf.math.erf,
    "Sign": tf.sign,
    "Reciprocal": tf.math.reciprocal,
}
#: And by functions whose results are zero or more.
UNARY_NONNEGATIVE: dict[str, Callable] = {
    "Relu": tf.nn.relu,
    "Sigmoid": tf.sigmoid,
    "Exp": tf.exp,
    "Sqrt": tf.sqrt,
    "Abs": tf.abs,
    "Softplus": tf.math.softplus,
}
#: Operators of two inputs or more.
VARIADIC: dict[str, Callable] = {
    "Add": tf.add,
    "Sub": tf.subtract,
    "Mul": tf.multiply,
    "Div": tf.divide,
    "Max": tf.maximum,
    "Min": tf.minimum,
    "Sum": tf.add,
}
#: Those whose result is zero or more where all operands are.
_KEEP_NONNEGATIVE = ("Add", "Mul", "Div", "Max", "Min", "Sum")


def unary(node: Node, inputs: list[Any]) -> Value:
    """Return a function of UNARY or UNARY_NONNEGATIVE."""
    function = UNARY.get(node.operator)
    if function is not None:
        return inputs[0].with_values(function(inputs[0].values))
    return inputs[0].with_values(UNARY_NONNEGATIVE[node.operator](inputs[0].values), True)


def variadic(node: Node, inputs: list[Any]) -> Value:
    """Return a function of VARIADIC; of more than two inputs, from the first on."""
    function = VARIADIC[node.operator]
    operands, order = common_order(inputs)
    result = operands[0]
    for operand in operands[1:]:
        result = function(result, operand)
    is_nonnegative = node.operator in _KEEP_NONNEGATIVE and all(map(_is_nonnegative, inputs))
    return Laid(tf.convert_to_tensor(result), order, is_nonnegative)


def _is_nonnegative(value: Value) -> bool:
    if isinstance(value, Laid):
        return value.is_nonnegative
    return bool(np.min(value, initial=0) >= 0)


def clip(node: Node, inputs: list[Any]) -> Value:
    """Return Clip; a ReLU, or a ReLU up to 6, by their own operators."""
    least = node.constant(inputs, 1, "min")
    most = node.constant(inputs, 2, "max")
    values = inputs[0].values
    if least is not None and float(least) == 0 and most is not None and float(most) == 6:
        return inputs[0].with_values(tf.nn.relu6(values), True)
    if least is not None:
        values = tf.nn.relu(values) if float(least) == 0 else tf.maximum(values, float(least))
    if most is not None:
        values = tf.minimum(values, float(most))
    is_nonnegative = inputs[0].is_nonnegative if least is None else float(least) >= 0
    return inputs[0].with_values(values, is_nonnegative)


def power(node: Node, inputs: list[Any]) -> Value:
    """Return Pow with a constant exponent; squares and roots by their own operators."""
    exponent = node.constant(inputs, 1)
    if np.size(exponent) != 1:
        raise UnsupportedError("its exponents are several")
    exponent = float(np.ravel(exponent)[0])
    values = inputs[0].values
    if exponent == 2:
        return inputs[0].with_values(tf.square(values), True)
    if exponent == 0.5:
        return inputs[0].with_values(tf.sqrt(values), True)
    return inputs[0].with_values(tf.pow(values, exponent), inputs[0].is_nonnegative)


def hard_sigmoid(node: Node, inputs: list[Any]) -> Value:
    """Return max(0, min(1, alpha x + beta)), where it is x/6 + 1/2 by a ReLU up to 6."""
    alpha = node.attribute("alpha", 0.2)
    beta = node.attribute("beta", 0.5)
    values = inputs[0].values
    if abs(alpha - 1 / 6) < 1e-4 and beta == 0.5:
        return inputs[0].with_values(tf.nn.relu6(values + 3) * np.float32(1 / 6), True)
    return inputs[0].with_values(tf.nn.relu(tf.minimum(alpha * values + beta, 1.0)), True)


def hard_swish(node: Node, inputs: list[Any]) -> Value:
    """Return x times its hard sigmoid, in the form that TFLite has an operator for."""
    values = inputs[0].values
    return inputs[0].with_values(values * tf.nn.relu6(values + 3) * np.float32(1 / 6))


def leaky_relu(node: Node, inputs: list[Any]) -> Value:
    """Return x, or alpha x where it is below zero."""
    return inputs[0].with_values(tf.nn.leaky_relu(inputs[0].values, node.attribute("alpha", 0.01)))


def prelu(node: Node, inputs: list[Any]) -> Value:
    """Return x, or its slope times x where it is below zero."""
    (values, slope), order = common_order([inputs[0], node.constant(inputs, 1)])
    return Laid(tf.nn.relu(values) - slope * tf.nn.relu(-values), order)


def gelu(node: Node, inputs: list[Any]) -> Value:
    """Return GELU, exact or by tanh."""
    approximate = node.attribute("approximate", "none") == "tanh"
    return inputs[0].with_values(tf.nn.gelu(inputs[0].values, approximate))


def swish(node: Node, inputs: list[Any]) -> Value:
    """Return x sigmoid(alpha x)."""
    values = inputs[0].values
    return inputs[0].with_values(values * tf.sigmoid(values * node.attribute("alpha", 1.0)))


def mish(node: Node, inputs: list[Any]) -> Value:
    """Return x tanh(softplus(x))."""
    values = inputs[0].values
    return inputs[0].with_values(values * tf.tanh(tf.math.softplus(values)))


def cast(node: Node, inputs: list[Any]) -> Value:
    """Return the input: what depends on the image is float32 throughout."""
    import onnx

    target = onnx.helper.tensor_dtype_to_np_dtype(node.attribute("to"))
    if not np.issubdtype(target, np.floating) and target.name != "bfloat16":
        raise UnsupportedError(f"it makes {target.name} of numbers that depend on the picture")
    return inputs[0]


def same(node: Node, inputs: list[Any]) -> Value:
    """Return the input, which the operator changes in training alone."""
    return inputs[0]


def where(node: Node, inputs: list[Any]) -> Value:
    """Return Where with a constant condition, as sums and products."""
    condition = node.constant(inputs, 0).astype(np.float32)
    (mask, left, right), order = common_order([condition, inputs[1], inputs[2]])
    if isinstance(left, np.ndarray):  # A constant may be infinite.
        left = np.clip(left, -1e4, 1e4)
    if isinstance(right, np.ndarray):
        right = np.clip(right, -1e4, 1e4)
    return Laid(tf.convert_to_tensor(mask * left + (1 - mask) * right), order)


OPERATORS: dict[str, Operator] = {
    **dict.fromkeys((*UNARY, *UNARY_NONNEGATIVE), unary),
    **dict.fromkeys(VARIADIC, variadic),
    "Clip": clip,
    "Pow": power,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "LeakyRelu": leaky_relu,
    "PRelu": prelu,
    "Gelu": gelu,
    "Swish": swish,
    "Mish": mish,
    "Cast": cast,
    "CastLike": same,
    "Identity": same,
    "Dropout": same,
    "Where": where,
}
