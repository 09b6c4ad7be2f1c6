"""Every operator of ONNX that is taken over computes what ONNX Runtime does."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
tf = pytest.importorskip("tensorflow")

from pathlib import Path  # noqa: E402

from picaption.device import PicaptionError  # noqa: E402
from picaption.models.networks.onnx_graph.load import network_of_model  # noqa: E402
from tests.onnx_networks import model  # noqa: E402

RANDOM = np.random.default_rng(3)
SIDE = 9


def constant(*shape):
    """Return numbers about zero, float32."""
    return RANDOM.normal(0, 1, shape).astype(np.float32)


#: An operator as (name, attributes, further inputs, opset).
ONE_NODE = [
    *[
        (name, {}, [], 17)
        for name in (
            *("Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Neg", "Softplus", "Erf", "Elu", "Selu"),
            *("Floor", "Ceil", "Sign", "HardSigmoid", "HardSwish", "LeakyRelu", "Identity"),
            *("GlobalAveragePool", "GlobalMaxPool", "Softsign", "Sin", "Cos", "Flatten"),
            *("ReduceMean", "ReduceSum", "ReduceMax", "Softmax", "LogSoftmax", "Reciprocal"),
        )
    ],
    ("Gelu", {}, [], 20),
    ("Gelu", {"approximate": "tanh"}, [], 20),
    ("Mish", {}, [], 18),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, [], 17),
    ("Clip", {}, [np.float32(-0.5), np.float32(0.7)], 17),
    ("Clip", {}, [np.float32(0)], 17),
    ("Clip", {"min": 0.0, "max": 6.0}, [], 6),
    ("PRelu", {}, [constant(3, 1, 1)], 17),
    ("Pow", {}, [np.float32(2)], 17),
    ("Pow", {}, [np.float32(3)], 17),
    ("Add", {}, [constant(3, 1, 1)], 17),
    ("Sub", {}, [constant(SIDE)], 17),
    ("Mul", {}, [constant(1, 3, SIDE, 1)], 17),
    ("Div", {}, [np.float32(4)], 17),
    ("Max", {}, [constant(3, 1, 1), constant(1)], 17),
    ("Min", {}, [constant(1)], 17),
    ("Conv", {"pads": [1, 1, 1, 1]}, [constant(5, 3, 3, 3), constant(5)], 17),
    ("Conv", {"strides": [2, 2], "pads": [1, 1, 1, 1]}, [constant(5, 3, 3, 3)], 17),
    ("Conv", {"strides": [2, 2], "pads": [0, 0, 1, 1]}, [constant(5, 3, 3, 3)], 17),
    ("Conv", {"strides": [2, 1], "pads": [2, 0, 1, 1]}, [constant(5, 3, 4, 3)], 17),
    ("Conv", {"dilations": [2, 2]}, [constant(5, 3, 3, 3)], 17),
    ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [constant(5, 3, 4, 4)], 17),
    ("Conv", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, [constant(5, 3, 4, 4)], 17),
    ("Conv", {"group": 3}, [constant(6, 1, 3, 3), constant(6)], 17),
    ("Conv", {"group": 3, "dilations": [2, 2], "pads": [2] * 4}, [constant(3, 1, 3, 3)], 17),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, [], 17),
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}, [], 17),
    ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}, [], 17),
    ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}, [], 17),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, [], 17),
    (
        "AveragePool",
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        [],
        17,
    ),
    ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, [], 19),
    ("BatchNormalization", {}, [*constant(3, 3), np.abs(constant(3)) + 0.1], 17),
    ("InstanceNormalization", {}, [constant(3), constant(3)], 17),
    ("LayerNormalization", {"axis": 1}, [constant(3, SIDE, SIDE)], 17),
    ("LayerNormalization", {"axis": -1}, [constant(SIDE), constant(SIDE)], 17),
    ("LRN", {"size": 3, "alpha": 0.1, "beta": 0.5}, [], 17),
    ("LpNormalization", {"axis": 1}, [], 17),
    ("ReduceMean", {"axes": [2, 3], "keepdims": 0}, [], 17),
    ("ReduceMean", {"keepdims": 0}, [np.array([-1])], 18),
    ("ReduceL2", {"axes": [1]}, [], 17),
    ("Softmax", {"axis": 1}, [], 17),
    ("Softmax", {"axis": 1}, [], 11),  # Of all axes from there on, then.
    ("Transpose", {"perm": [0, 2, 3, 1]}, [], 17),
    ("Transpose", {}, [], 17),
    ("Reshape", {}, [np.array([0, -1, 3])], 17),
    ("Squeeze", {}, [np.array([0])], 17),
    ("Unsqueeze", {}, [np.array([0, 3])], 17),
    ("Slice", {}, [np.array([1]), np.array([100]), np.array([2]), np.array([2])], 17),
    ("Slice", {}, [np.array([-1]), np.array([-100]), np.array([3]), np.array([-1])], 17),
    ("Slice", {}, [np.array([0, 1]), np.array([2, -1]), np.array([1, 3])], 17),
    ("Gather", {"axis": 2}, [np.array(4)], 17),
    ("Gather", {"axis": 1}, [np.array([2, 0, -2])], 17),
    ("Gather", {"axis": 1}, [np.array([1, 2])], 17),
    ("Expand", {}, [np.array([2, 3, 1, 1])], 17),
    ("Tile", {}, [np.array([1, 2, 1, 1])], 17),
    ("Pad", {}, [np.array([0, 0, 1, 2, 0, 0, 0, 1]), np.float32(0.5)], 17),
    ("Pad", {"mode": "reflect"}, [np.array([0, 0, 1, 1, 0, 0, 1, 1])], 17),
    ("Pad", {}, [np.array([0, 0, -1, 1, 0, 0, 0, -2])], 17),
    ("MatMul", {}, [constant(SIDE, 4)], 17),
    ("Cast", {"to": 10}, [], 17),
    ("SpaceToDepth", {"blocksize": 3}, [], 17),
    ("Dropout", {}, [], 17),
]


def compare(made, tolerance=1e-4):
    """Check that a model computes the same in TensorFlow as in ONNX Runtime."""
    network = network_of_model(made, Path("network.onnx"))
    image = np.random.default_rng(5).normal(0, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    expected = network.own_scores(image)
    actual = tf.function(network.call)(tf.constant(image)).numpy()
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("operator", "attributes", "inputs", "opset"), ONE_NODE)
def test_an_operator_by_itself(operator, attributes, inputs, opset):
    names = [f"input{index}" for index in range(len(inputs))]
    nodes = [(operator, ["image", *names], ["scores"], attributes)]
    if operator == "Cast":  # ONNX Runtime returns float16.
        nodes = [
            (operator, ["image"], ["half"], attributes),
            (operator, ["half"], ["scores"], {"to": 1}),
        ]
    tolerance = 2e-3 if operator == "Cast" else 1e-4
    weights = dict(zip(names, inputs))
    compare(model(nodes, weights, (1, 3, SIDE, SIDE), opset=opset), tolerance)


def test_attention_with_its_transposes_and_products():
    nodes = [
        ("Reshape", ["image", "rows"], ["tokens0"], {}),
        ("Transpose", ["tokens0"], ["tokens"], {"perm": [0, 2, 1]}),
        ("MatMul", ["tokens", "w"], ["qkv0"], {}),
        ("Reshape", ["qkv0", "heads"], ["qkv1"], {}),
        ("Transpose", ["qkv1"], ["qkv"], {"perm": [2, 0, 3, 1, 4]}),
        ("Split", ["qkv"], ["q0", "k0", "v0"], {"axis": 0}),
        ("Squeeze", ["q0", "first"], ["q"], {}),
        ("Squeeze", ["k0", "first"], ["k"], {}),
        ("Gather", ["v0", "zero"], ["v"], {"axis": 0}),
        ("Transpose", ["k"], ["kt"], {"perm": [0, 1, 3, 2]}),
        ("MatMul", ["q", "kt"], ["products"], {}),
        ("Softmax", ["products"], ["weights"], {"axis": -1}),
        ("MatMul", ["weights", "v"], ["mixed"], {}),
        ("Transpose", ["mixed"], ["merged"], {"perm": [0, 2, 1, 3]}),
        ("Reshape", ["merged", "back"], ["scores"], {}),
    ]
    weights = {
        "rows": np.array([1, 3, SIDE * SIDE]),
        "w": constant(3, 24),
        "heads": np.array([1, -1, 3, 2, 4]),
        "first": np.array([0]),
        "zero": np.array(0),
        "back": np.array([1, -1, 8]),
    }
    compare(model(nodes, weights, (1, 3, SIDE, SIDE)))


def test_channels_are_shuffled_between_groups():
    nodes = [
        ("Conv", ["image", "k"], ["c"], {}),
        ("Reshape", ["c", "grouped"], ["g"], {}),
        ("Transpose", ["g"], ["t"], {"perm": [0, 2, 1, 3, 4]}),
        ("Reshape", ["t", "flat"], ["s"], {}),
        ("Conv", ["s", "k2"], ["scores"], {"group": 2}),
    ]
    weights = {
        "k": constant(8, 3, 1, 1),
        "grouped": np.array([1, 2, 4, SIDE, SIDE]),
        "flat": np.array([1, 8, SIDE, SIDE]),
        "k2": constant(8, 4, 3, 3),
    }
    compare(model(nodes, weights, (1, 3, SIDE, SIDE)))


def test_channels_become_places():
    nodes = [
        ("Conv", ["image", "k"], ["c"], {}),
        ("DepthToSpace", ["c"], ["scores"], {"blocksize": 2}),
    ]
    compare(model(nodes, {"k": constant(8, 3, 1, 1)}, (1, 3, SIDE, SIDE)))


def test_sizes_that_the_network_computes_are_constants():
    nodes = [
        ("Shape", ["image"], ["shape"], {}),
        ("Gather", ["shape", "zero"], ["batch"], {"axis": 0}),
        ("Unsqueeze", ["batch", "zeros"], ["batch1"], {}),
        ("Concat", ["batch1", "rest"], ["target"], {"axis": 0}),
        ("Reshape", ["image", "target"], ["scores"], {}),
    ]
    weights = {"zero": np.array(0), "zeros": np.array([0]), "rest": np.array([-1])}
    compare(model(nodes, weights, ("N", 3, SIDE, SIDE)))


def test_channels_last_and_where_and_concat():
    nodes = [
        ("Transpose", ["image"], ["chw"], {"perm": [0, 3, 1, 2]}),
        ("Where", ["mask", "chw", "fill"], ["masked"], {}),
        ("Concat", ["masked", "chw", "extra"], ["scores"], {"axis": 1}),
    ]
    weights = {
        "mask": np.arange(SIDE) % 2 == 0,
        "fill": np.float32(-3),
        "extra": constant(1, 1, SIDE, SIDE),
    }
    made = model(nodes, weights, (1, SIDE, SIDE, 3))
    network = network_of_model(made, Path("network.onnx"))
    image = np.random.default_rng(5).normal(0, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    actual = tf.function(network.call)(tf.constant(image)).numpy()
    np.testing.assert_allclose(actual, network.own_scores(image), atol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [("NonZero", ["image"], ["scores"], {})],
            "no operator for NonZero, in layer layer0: export the network without it",
        ),
        (
            [("Loop", ["edges"], ["x"], {}), ("Add", ["image", "x"], ["scores"], {})],
            "no operator for Loop, in layer layer0",
        ),
        (
            [("Einsum", ["image", "image"], ["scores"], {"equation": "...i,...i->..."})],
            "no operator for Einsum \\(its equation has an ellipsis\\), in layer layer0",
        ),
        (
            [("Pad", ["image", "edges"], ["scores"], {"mode": "edge"})],
            "no operator for Pad \\(it pads by edge\\), in layer layer0",
        ),
        (
            [("Relu", ["image"], ["x"], {}), ("Reshape", ["x", "wrong"], ["scores"], {})],
            "its layer layer1, a Reshape, cannot be computed for these pictures",
        ),
        (
            [("ConstantOfShape", ["vast"], ["x"], {}), ("Add", ["image", "x"], ["scores"], {})],
            "makes 1000000000000 numbers, more than a classifier has",
        ),
        ([("Relu", ["absent"], ["scores"], {})], "takes absent, which nothing before it computes"),
        ([("Relu", ["edges"], ["scores"], {})], "its output scores does not depend on the picture"),
    ],
)
def test_what_cannot_be_taken_over_is_named_with_its_layer(nodes, message):
    weights = {
        "edges": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "wrong": np.array([7, 7]),
        "vast": np.array([10**6, 10**6]),
    }
    made = model(nodes, weights, (1, 3, SIDE, SIDE))
    network = network_of_model(made, Path("network.onnx"))
    with pytest.raises(PicaptionError, match=message):
        network.call(tf.zeros((1, SIDE, SIDE, 3)))


@pytest.mark.parametrize("shape", [(1, 3, SIDE, SIDE), ("N", "C", SIDE, 3)])
def test_what_onnx_runtime_cannot_run_is_one_line(shape, capsys):
    weights = {"kernels": np.zeros((4, 3, 3, 3), np.float32)}
    made = model([("Conv", ["image", "kernels"], ["scores"], {"group": 2})], weights, shape)
    network = network_of_model(made, Path("network.onnx"))
    with pytest.raises(
        PicaptionError, match="network.onnx: ONNX Runtime cannot run it: "
    ) as raised:
        network.own_scores(np.zeros((1, SIDE, SIDE, 3), np.float32))
    assert "\n" not in str(raised.value)
    assert capsys.readouterr().out == ""
