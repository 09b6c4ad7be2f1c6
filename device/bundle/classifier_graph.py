"""The signature `classify`, written into a TFLite graph without TensorFlow: how the device learns new classes.

features are brought to unit length, but for a raw head; both products have weights of 8 bits (their inputs are quantized as they
come, with the range that they have), and what follows is floating point:

    scores = squash(L2(features) . W + caption . V + b)

Weights have one scale a matrix: tflite-runtime 2.14 reads no other with inputs in floating point.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .flatbuffer import pack_model

OPERATORS, OPTIONS, TYPES = schema.BuiltinOperator, schema.BuiltinOptions, schema.TensorType
NAME = "classify"
#: The version of a fully connected operator that takes weights of 8 bits beside inputs in floating point.
HYBRID = 3


def with_classify(graph, head, multi_label, quantized=True):
    """Return the TFLite flatbuffer `graph`, bytes, with a signature `classify` that computes `head`
    (picaption.device.recognition.classifier.Classifier) in place of the one that it may have; unless `quantized`, with weights in floating point."""
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    _remove(model, NAME)
    subgraph = Subgraph(model, NAME)
    inputs = {"features": subgraph.tensor((1, head.features.shape[0]), "features")}
    seen = inputs["features"]
    if not head.raw:
        seen = subgraph.operator(
            OPERATORS.L2_NORMALIZATION, [seen], head.features.shape[:1], schema.L2NormOptionsT()
        )
    logits = subgraph.product(seen, head.features, head.bias, quantized)
    if head.words is not None:
        inputs["caption"] = subgraph.tensor((1, head.words.shape[0]), "caption")
        told = subgraph.product(inputs["caption"], head.words, None, quantized)
        logits = subgraph.operator(
            OPERATORS.ADD, [logits, told], head.bias.shape, schema.AddOptionsT()
        )
    if multi_label:
        scores = subgraph.operator(OPERATORS.LOGISTIC, [logits], head.bias.shape, name="scores")
    else:
        scores = subgraph.operator(
            OPERATORS.SOFTMAX, [logits], head.bias.shape, schema.SoftmaxOptionsT(beta=1.0), "scores"
        )
    subgraph.finish(inputs, {"scores": scores})
    return pack_model(model)


def _remove(model, name):
    """Take the signature `name`, its subgraph and what only that one uses out of a ModelT."""
    kept = [
        signature
        for signature in model.signatureDefs or ()
        if signature.signatureKey != name.encode()
    ]
    gone = {signature.subgraphIndex for signature in model.signatureDefs or ()} - {
        each.subgraphIndex for each in kept
    }
    places = [index for index in range(len(model.subgraphs)) if index not in gone]
    for signature in kept:
        signature.subgraphIndex = places.index(signature.subgraphIndex)
    model.signatureDefs, model.subgraphs = kept, [model.subgraphs[index] for index in places]
    drop_unused_buffers(model)


def drop_unused_buffers(model):
    """Take the buffers that no tensor uses out of a ModelT."""
    owners = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors] + list(
        model.metadata or ()
    )
    used = sorted(
        {0} | {owner.buffer for owner in owners}
    )  # The first is empty, by the format's rule.
    model.buffers = [model.buffers[index] for index in used]
    numbers = {before: after for after, before in enumerate(used)}
    for owner in owners:
        owner.buffer = numbers[owner.buffer]


class Subgraph:
    """A subgraph of a ModelT that is being written: what makes a tensor or an operator returns its tensor's number."""

    def __init__(self, model, name):
        self.model, self.name = model, name
        self.graph = schema.SubGraphT(name=name, tensors=[], operators=[])

    def tensor(self, shape, name=None, kind=TYPES.FLOAT32, data=None, scale=None, zero_point=0):
        """Return a new tensor, constant where it has `data`, quantized where it has a `scale`."""
        tensor = schema.TensorT(shape=np.array(shape, np.int32), type=kind, name=name, buffer=0)
        if data is not None:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT(
                scale=np.array([scale], np.float32), zeroPoint=np.array([zero_point], np.int64)
            )
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, code, inputs, shape, options=None, name=None, version=1):
        """Return the tensor [1, *shape], float32, that the operator gives."""
        return self.add(code, inputs, self.tensor((1, *shape), name), options, version)

    def add(self, code, inputs, output, options=None, version=1):
        """Return the tensor `output`, which the operator gives from now on."""
        kind = (
            getattr(OPTIONS, type(options).__name__.removesuffix("T")) if options else OPTIONS.NONE
        )
        self.graph.operators.append(
            schema.OperatorT(
                opcodeIndex=self._opcode(code, version),
                inputs=np.array(inputs, np.int32),
                outputs=np.array([output], np.int32),
                builtinOptionsType=kind,
                builtinOptions=options,
            )
        )
        return output

    def product(self, rows, weights, bias, quantized):
        """Return the tensor rows . weights + bias, weights float32 [inputs, outputs], bias [outputs] or None."""
        kind, scale, data = TYPES.FLOAT32, None, np.ascontiguousarray(weights.T, np.float32)
        if quantized:
            kind, scale = TYPES.INT8, max(float(np.abs(data).max()) / 127, 1e-12)
            data = np.round(data / scale).astype(np.int8)
        inputs = [rows, self.tensor(data.shape, None, kind, data, scale)]
        inputs.append(-1 if bias is None else self.tensor(bias.shape, data=bias.astype(np.float32)))
        return self.operator(
            OPERATORS.FULLY_CONNECTED,
            inputs,
            weights.shape[1:],
            schema.FullyConnectedOptionsT(),
            version=HYBRID if quantized else 1,
        )

    def finish(self, inputs, outputs):
        """Add the subgraph to the model, with a signature of these tensors by name."""
        self.graph.inputs, self.graph.outputs = (
            np.array([*named.values()], np.int32) for named in (inputs, outputs)
        )
        self.model.subgraphs.append(self.graph)
        self.model.signatureDefs.append(
            schema.SignatureDefT(
                *(
                    [schema.TensorMapT(name, number) for name, number in named.items()]
                    for named in (inputs, outputs)
                ),
                self.name,
                len(self.model.subgraphs) - 1,
            )
        )

    def _opcode(self, code, version):
        codes = self.model.operatorCodes
        for index, known in enumerate(codes):
            if known.builtinCode == code and known.version >= version:
                return index
        codes.append(
            schema.OperatorCodeT(deprecatedBuiltinCode=code, version=version, builtinCode=code)
        )
        return len(codes) - 1
