"""Small networks of random weights as ONNX files, made without the frameworks that export them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: The version of ONNX's operators that they are made of.
OPSET = 17


def model(nodes, weights, shape=(1, 3, 32, 32), outputs=("scores",), opset=OPSET, metadata=None):
    """Return an onnx.ModelProto.

    Args:
        nodes: Tuples (operator, inputs, outputs, attributes); the first takes "image".
        weights: {name: array}.
        shape: Of the image; None or a name for an axis that is left open.
        outputs: Their names.
        opset: The version of the operators.
        metadata: {key: text}.
    """
    graph = helper.make_graph(
        [
            helper.make_node(operator, list(inputs), list(results), name=f"layer{index}", **more)
            for index, (operator, inputs, results, more) in enumerate(nodes)
        ],
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    for output in graph.output:
        output.type.tensor_type.elem_type = TensorProto.FLOAT
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 9
    helper.set_model_props(made, metadata or {})
    return made


def classifier(classes=4, last="Softmax", size=32, metadata=None, shape=None):
    """Return a classifier as PyTorch exports one: channels first, convolutions, a dense layer."""
    random = np.random.default_rng(7)
    weights = {
        "k1": random.normal(0, 0.4, (8, 3, 3, 3)).astype(np.float32),
        "b1": random.normal(0, 0.1, 8).astype(np.float32),
        "k2": random.normal(0, 0.4, (8, 1, 3, 3)).astype(np.float32),
        "dense": random.normal(0, 2, (classes, 8)).astype(np.float32),
        "bias": random.normal(0, 0.1, classes).astype(np.float32),
    }
    end = "logits" if last else "scores"
    nodes = [
        ("Conv", ["image", "k1", "b1"], ["c1"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("Relu", ["c1"], ["r1"], {}),
        ("Conv", ["r1", "k2"], ["c2"], {"group": 8, "pads": [1, 1, 1, 1]}),
        ("Clip", ["c2", "zero", "six"], ["r2"], {}),
        ("GlobalAveragePool", ["r2"], ["pooled"], {}),
        ("Flatten", ["pooled"], ["features"], {}),
        ("Gemm", ["features", "dense", "bias"], [end], {"transB": 1}),
    ]
    if last:
        nodes.append((last, ["logits"], ["scores"], {}))
    weights |= {"zero": np.float32(0), "six": np.float32(6)}
    return model(nodes, weights, shape or (1, 3, size, size), metadata=metadata)


def save(made, folder, name="trees.onnx"):
    """Write a model and return its path."""
    path = folder / name
    onnx.save(made, str(path))
    return path
