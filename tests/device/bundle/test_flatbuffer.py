"""A graph in fewer bytes computes the very same."""

import dataclasses

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from picaption.device import Recognizer, default_bundle
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.flatbuffer import ALIGNMENT_BYTES, compact_graph
from picaption.device.bundle.runtime import make_interpreter


def twice(weight, padding):
    """Return a graph with two buffers of the same `weight`, and `padding` bytes of description."""
    buffers = [schema.BufferT(data=np.frombuffer(weight, np.uint8)) for _ in range(2)]
    tensors = [
        schema.TensorT(
            shape=np.array([len(weight)], np.int32),
            type=schema.TensorType.INT8,
            buffer=index,
            name=f"t{index}",
        )
        for index in range(2)
    ]
    graph = schema.SubGraphT(
        tensors=tensors,
        inputs=np.array([0], np.int32),
        outputs=np.array([1], np.int32),
        operators=[],
    )
    model = schema.ModelT(
        version=3, buffers=buffers, subgraphs=[graph], operatorCodes=[], description="x" * padding
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_equal_vectors_stand_once_and_weights_stay_aligned():
    weight = bytes(range(1, 201))
    for padding in range(1, 6):
        graph = compact_graph(twice(weight, padding))
        assert graph.count(weight) == 1 and twice(weight, padding).count(weight) == 2
        assert graph.index(weight) % ALIGNMENT_BYTES == 0
        model = schema.ModelT.InitFromPackedBuf(graph, 0)
        assert [bytes(buffer.data) for buffer in model.buffers] == [weight, weight]
        assert model.description == b"x" * padding


def test_a_bundle_says_the_very_same_in_fewer_bytes(tmp_path, photos):
    # The shipped bundle is compact; writing every vector by itself makes it large again.
    contents = read_bundle(default_bundle())
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(
        schema.ModelT.InitFromPackedBuf(contents.graph, 0).Pack(builder), file_identifier=b"TFL3"
    )
    large = bytes(builder.Output())
    small = compact_graph(large)
    assert len(small) < len(large) - 200_000
    assert (
        make_interpreter(small).get_signature_list() == make_interpreter(large).get_signature_list()
    )
    write_bundle(tmp_path / "large.tflite", dataclasses.replace(contents, graph=large))
    write_bundle(tmp_path / "small.tflite", dataclasses.replace(contents, graph=small))
    first, second = (Bundle(tmp_path / name) for name in ("large.tflite", "small.tflite"))
    image = Recognizer(first).prepare(photos["coffee"])
    before, after = first.encode(image), second.encode(image)
    for name in ("features", "context", "tags"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    history = np.zeros((3, first.metadata.order - 1), np.int32)
    np.testing.assert_array_equal(
        first.next_word(history, before.context), second.next_word(history, after.context)
    )
