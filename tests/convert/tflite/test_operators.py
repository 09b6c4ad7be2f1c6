"""Operators, names and bytes of small graphs, by hand."""

import keras
import pytest
from ai_edge_litert import schema_py_generated as schema

from picaption.convert.tflite.operators import (
    constant_bytes,
    float_tensor_names,
    multiply_adds,
    read_operators,
    shape_of,
    signature_subgraphs,
)
from picaption.device.bundle.flatbuffer import compact_graph
from tests.convert.networks import encoder_graph


@pytest.fixture(scope="module")
def graph():
    """The float32 graph of a convolution, its mean, and a dense layer."""
    keras.utils.set_random_seed(1)
    image = keras.Input((9, 9, 3))
    convolved = keras.layers.Conv2D(4, 3, bias_initializer="ones", name="edges")(image)
    pooled = keras.layers.GlobalAveragePooling2D(name="mean")(convolved)
    scores = keras.layers.Dense(5, bias_initializer="ones", name="last")(pooled)
    return encoder_graph(keras.Model(image, scores))


def test_operators_of_a_graph(graph):
    operators = read_operators(graph)["encode"]
    by_opcode = {operator.opcode: operator for operator in operators}
    assert {"CAST", "CONV_2D", "MEAN", "FULLY_CONNECTED"} <= set(by_opcode)
    convolution = by_opcode["CONV_2D"]
    # 7x7 positions of 4 channels, a kernel of 3x3 over 3 colours.
    assert convolution.multiply_adds == 7 * 7 * 4 * 3 * 3 * 3
    assert convolution.layer == "edges"
    assert convolution.dtype == "FLOAT32"
    dense = by_opcode["FULLY_CONNECTED"]
    assert dense.multiply_adds == 4 * 5
    assert dense.layer == "features"  # An output takes the name of the output.
    assert dense.output == int(
        signature_subgraphs(schema.ModelT.InitFromPackedBuf(graph, 0))["encode"].outputs[0]
    )
    assert by_opcode["MEAN"].output in dense.inputs


def test_names_of_a_compact_graph_come_from_another(graph):
    compact = compact_graph(graph)
    layers = {operator.layer for operator in read_operators(compact)["encode"]}
    named = {operator.layer for operator in read_operators(compact, graph)["encode"]}
    assert "edges" not in layers
    assert "conv_2d" in layers
    assert "edges" in named


def test_names_that_a_float_tensor_may_have():
    assert float_tensor_names("edges/Conv2D1") == (
        "edges/Conv2D1",
        "edges/Conv2D",
        "edges/Conv2D1",
    )
    assert float_tensor_names("edges_int16")[2] == "edges"


def test_shapes():
    assert shape_of(schema.TensorT(shape=None)) == []
    assert shape_of(schema.TensorT(shape=[1, 4])) == [1, 4]


def test_bytes_of_constants_add_up_to_the_graph(graph):
    sizes = constant_bytes(graph)
    assert sum(sizes.values()) == len(graph)
    # The kernel and bias of the convolution, those of the dense layer, and the axes of the mean.
    assert sizes["encode"] == 4 * (4 * 3 * 3 * 3 + 4 + 4 * 5 + 5) + 4 * 2


@pytest.mark.parametrize(
    "opcode, inputs, output, expected",
    [
        ("CONV_2D", [[1, 8, 8, 3], [4, 3, 3, 3], [4]], [1, 6, 6, 4], 6 * 6 * 4 * 3 * 3 * 3),
        ("DEPTHWISE_CONV_2D", [[1, 8, 8, 5], [1, 3, 3, 5], [5]], [1, 8, 8, 5], 8 * 8 * 5 * 9),
        ("FULLY_CONNECTED", [[3, 10], [7, 10]], [3, 7], 210),
        ("BATCH_MATMUL", [[2, 3, 4], [2, 4, 5]], [2, 3, 5], 120),
        ("ADD", [[1, 9], [1, 9]], [1, 9], 0),
    ],
)
def test_multiply_adds_by_hand(opcode, inputs, output, expected):
    assert multiply_adds(opcode, inputs, output) == expected
