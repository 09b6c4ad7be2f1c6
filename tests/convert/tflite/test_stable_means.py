import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from picaption.convert.tflite.export import convert_with_layer_names, freeze
from picaption.convert.tflite.stable_means import MARGIN, distance_from_edge, stabilize_means, stable_scale
from picaption.device import default_bundle
from picaption.device.bundle.bundle import read_bundle
from picaption.device.bundle.flatbuffer import pack_model


def means(graph):
    """Returns (schema.ModelT, [(what is averaged, the mean, the bias of the dense layer that reads it or None)]) of int8 means."""
    model, found = schema.ModelT.InitFromPackedBuf(graph, 0), []
    for subgraph in model.subgraphs:
        tensors = subgraph.tensors
        for operator in subgraph.operators:
            number = operator.outputs[0]
            if (
                model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.MEAN
                and tensors[number].type == schema.TensorType.INT8
            ):
                biases = [
                    tensors[each.inputs[2]]
                    for each in subgraph.operators
                    if number == each.inputs[0] and len(each.inputs) == 3 and each.inputs[2] >= 0
                ]
                found.append(
                    (tensors[operator.inputs[0]], tensors[number], biases[0] if biases else None)
                )
    return model, found


@pytest.fixture(scope="module")
def little():
    """The int8 graph of a convolution, its mean, and a dense layer with biases."""
    layers, random = keras.layers, np.random.default_rng(1)
    model = keras.Sequential(
        [
            layers.Input((9, 9, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, bias_initializer="ones"),
        ]
    )
    encode = freeze(
        lambda image: {"features": model(tf.cast(image, tf.float32) / 255)},
        tf.TensorSpec((1, 9, 9, 3), tf.uint8, "image"),
    )
    pictures = random.integers(0, 256, (20, 1, 9, 9, 3)).astype(np.uint8)
    return convert_with_layer_names(
        {"encode": encode}, "int8", [("encode", {"image": picture}) for picture in pictures]
    )


def near(taken, mean):
    """Returns the distance for two tensors."""
    return distance_from_edge(
        taken.quantization.scale[0],
        mean.quantization.scale[0],
        np.prod(taken.shape) // np.prod(mean.shape),
    )


@pytest.mark.parametrize(
    "given, gives, number, expected",
    [(1, 1, 2, 0), (1, 1, 3, 1 / 6), (1, 1, 1, 1 / 2), (1, 0.8, 1, 0), (1, 0.625, 1, 0.1)],
)
def test_distance_by_hand(given, gives, number, expected):
    assert distance_from_edge(given, gives, number) == pytest.approx(expected, abs=2e-5)


def test_a_scale_without_sums_on_an_edge_stays_and_another_moves_a_little():
    assert stable_scale(1, 1, 3) == 1
    moved = stable_scale(1, 1, 2)
    assert moved != 1 and abs(moved - 1) <= 0.01 and distance_from_edge(1, moved, 2) >= MARGIN


def test_where_no_scale_near_it_will_do_the_best_is_taken():
    # With 20,000 sums for a step, some are always near an edge.
    moved = stable_scale(0.01, 1, 200)
    assert 0 < distance_from_edge(0.01, moved, 200) < MARGIN
    assert distance_from_edge(0.01, moved, 200) >= max(
        distance_from_edge(0.01, np.float32(1 + step * 1e-5), 200) for step in (-9, 0, 1, 40)
    )


def test_the_shipped_bundle_and_what_is_converted_have_means_that_round_alike_everywhere(little):
    for graph in (read_bundle(default_bundle()).graph, little):
        _, [(taken, mean, _)] = means(graph)
        assert near(taken, mean) >= MARGIN


@pytest.mark.parametrize("shipped", [True, False])
def test_a_mean_with_sums_on_edges_gets_another_scale_and_nothing_else_changes(little, shipped):
    model, [(taken, mean, bias)] = means(read_bundle(default_bundle()).graph if shipped else little)
    number = np.prod(taken.shape) // np.prod(mean.shape)
    mean.quantization.scale = taken.quantization.scale * np.float32(
        2 / number
    )  # Each unit of a sum counts for half a step.
    before = pack_model(model, named=True)
    after, [(steady_taken, steady, steady_bias)] = means(stabilize_means(before))
    assert near(taken, mean) < MARGIN <= near(steady_taken, steady)
    factor = steady.quantization.scale / mean.quantization.scale
    assert 0 < abs(factor - 1) <= 0.01 and (bias is None) == shipped
    if bias:
        np.testing.assert_allclose(
            steady_bias.quantization.scale, bias.quantization.scale * factor, rtol=1e-6
        )
        steady_bias.quantization.scale = bias.quantization.scale
    steady.quantization.scale = mean.quantization.scale
    assert pack_model(after, named=True) == before


def test_what_runs_is_the_mean_all_the_same(little):
    from picaption.device.bundle.runtime import make_interpreter

    picture = np.random.default_rng(2).integers(0, 256, (1, 9, 9, 3)).astype(np.uint8)
    model, [(taken, mean, bias)] = means(little)
    said = []
    for scale in (mean.quantization.scale, mean.quantization.scale * np.float32(1.01)):
        factor = scale / mean.quantization.scale
        mean.quantization.scale, bias.quantization.scale = scale, bias.quantization.scale * factor
        run = make_interpreter(pack_model(model), 1).get_signature_runner("encode")
        said.append(run(image=picture)["features"])
    np.testing.assert_allclose(said[0], said[1], atol=0.05)


def test_a_mean_that_something_else_reads_or_that_is_given_stays():
    model, [(taken, mean, _)] = means(read_bundle(default_bundle()).graph)
    mean.quantization.scale = taken.quantization.scale * np.float32(2 / 49)
    subgraph = next(each for each in model.subgraphs if mean in each.tensors)
    place = subgraph.tensors.index(mean)
    subgraph.outputs = np.array([*subgraph.outputs, place], np.int32)
    before = pack_model(model, named=True)
    assert stabilize_means(before) == before
    subgraph.outputs = subgraph.outputs[:-1]
    reader = next(each for each in subgraph.operators if place in each.inputs)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    model.operatorCodes.append(code)
    reader.opcodeIndex = len(model.operatorCodes) - 1
    before = pack_model(model, named=True)
    assert stabilize_means(before) == before
