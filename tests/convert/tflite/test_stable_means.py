"""Means whose sums lie on an edge of rounding get another scale, and nothing else changes."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from picaption.convert.tflite.operators import opcode_of
from picaption.convert.tflite.stable_means import (
    MARGIN,
    distance_from_edge,
    stabilize_means,
    stable_scale,
)
from picaption.device import default_bundle
from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.flatbuffer import pack_model
from picaption.device.bundle.runtime import make_interpreter
from tests.convert.networks import encoder_graph


@dataclass
class Mean:
    """A graph's only int8 mean: schema objects that can be changed.

    bias: of the dense layer that reads the mean, or None.
    """

    model: Any
    subgraph: Any
    values: Any
    mean: Any
    bias: Any

    @property
    def count(self):
        """How many values a mean is of."""
        return np.prod(self.values.shape) // np.prod(self.mean.shape)

    def distance(self):
        """Return how near a mean comes to an edge of rounding."""
        return distance_from_edge(
            self.values.quantization.scale[0], self.mean.quantization.scale[0], self.count
        )


def find_mean(graph):
    """Return the only Mean of a graph."""
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    means = []
    for subgraph in model.subgraphs:
        tensors = subgraph.tensors
        for operator in subgraph.operators:
            index = operator.outputs[0]
            is_int8 = tensors[index].type == schema.TensorType.INT8
            if opcode_of(model, operator) != "MEAN" or not is_int8:
                continue
            biases = [
                tensors[reader.inputs[2]]
                for reader in subgraph.operators
                if index == reader.inputs[0] and len(reader.inputs) == 3 and reader.inputs[2] >= 0
            ]
            values = tensors[operator.inputs[0]]
            bias = biases[0] if biases else None
            means.append(Mean(model, subgraph, values, tensors[index], bias))
    (mean,) = means
    return mean


@pytest.fixture(scope="module")
def small_graph():
    """The int8 graph of a convolution, its mean, and a dense layer with biases."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((9, 9, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, bias_initializer="ones"),
        ]
    )
    images = np.random.default_rng(1).integers(0, 256, (20, 9, 9, 3)).astype(np.uint8)
    return encoder_graph(model, "int8", images)


@pytest.fixture(scope="module")
def shipped_graph():
    """The graph of the bundle that is installed with picaption."""
    return read_bundle(default_bundle()).graph


@pytest.mark.parametrize(
    ("input_scale", "output_scale", "count", "expected"),
    [(1, 1, 2, 0), (1, 1, 3, 1 / 6), (1, 1, 1, 1 / 2), (1, 0.8, 1, 0), (1, 0.625, 1, 0.1)],
)
def test_distance_by_hand(input_scale, output_scale, count, expected):
    distance = distance_from_edge(input_scale, output_scale, count)
    assert distance == pytest.approx(expected, abs=2e-5)


def test_a_scale_without_sums_on_an_edge_stays_and_another_moves_a_little():
    assert stable_scale(1, 1, 3) == 1
    moved = stable_scale(1, 1, 2)
    assert moved != 1
    assert abs(moved - 1) <= 0.01
    assert distance_from_edge(1, moved, 2) >= MARGIN


def test_where_no_scale_near_it_will_do_the_best_is_taken():
    # With 20,000 sums for a step, some are always near an edge.
    moved = stable_scale(0.01, 1, 200)
    assert 0 < distance_from_edge(0.01, moved, 200) < MARGIN
    assert distance_from_edge(0.01, moved, 200) >= max(
        distance_from_edge(0.01, np.float32(1 + step * 1e-5), 200) for step in (-9, 0, 1, 40)
    )


@pytest.mark.parametrize("name", ["shipped_graph", "small_graph"])
def test_means_of_graphs_that_were_converted_round_alike_everywhere(name, request):
    assert find_mean(request.getfixturevalue(name)).distance() >= MARGIN


@pytest.mark.parametrize("name", ["shipped_graph", "small_graph"])
def test_a_mean_with_sums_on_edges_gets_another_scale_and_nothing_else_changes(name, request):
    before = find_mean(request.getfixturevalue(name))
    # Each unit of a sum counts for half a step.
    half_step = np.float32(2 / before.count)
    before.mean.quantization.scale = before.values.quantization.scale * half_step
    graph = pack_model(before.model, named=True)
    after = find_mean(stabilize_means(graph))
    assert before.distance() < MARGIN <= after.distance()
    factor = after.mean.quantization.scale / before.mean.quantization.scale
    assert 0 < abs(factor - 1) <= 0.01
    assert (before.bias is None) == (name == "shipped_graph")
    if before.bias:
        np.testing.assert_allclose(
            after.bias.quantization.scale, before.bias.quantization.scale * factor, rtol=1e-6
        )
        after.bias.quantization.scale = before.bias.quantization.scale
    after.mean.quantization.scale = before.mean.quantization.scale
    assert pack_model(after.model, named=True) == graph


def test_what_runs_is_the_mean_all_the_same(small_graph):
    image = np.random.default_rng(2).integers(0, 256, (1, 9, 9, 3)).astype(np.uint8)
    average = find_mean(small_graph)
    features = []
    for factor in (np.float32(1), np.float32(1.01)):
        average.mean.quantization.scale = average.mean.quantization.scale * factor
        average.bias.quantization.scale = average.bias.quantization.scale * factor
        runner = make_interpreter(pack_model(average.model), 1).get_signature_runner("encode")
        features.append(runner(image=image)["features"])
    np.testing.assert_allclose(features[0], features[1], atol=0.05)


def test_a_mean_that_something_else_reads_or_that_is_an_output_stays(shipped_graph):
    average = find_mean(shipped_graph)
    subgraph = average.subgraph
    average.mean.quantization.scale = average.values.quantization.scale * np.float32(2 / 49)
    index = subgraph.tensors.index(average.mean)
    subgraph.outputs = np.array([*subgraph.outputs, index], np.int32)
    before = pack_model(average.model, named=True)
    assert stabilize_means(before) == before
    subgraph.outputs = subgraph.outputs[:-1]
    reader = next(operator for operator in subgraph.operators if index in operator.inputs)
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.RELU
    code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    average.model.operatorCodes.append(code)
    reader.opcodeIndex = len(average.model.operatorCodes) - 1
    before = pack_model(average.model, named=True)
    assert stabilize_means(before) == before
