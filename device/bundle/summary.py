"""What a bundle holds, or any .tflite file: signatures, tensors and their quantization, words, sizes, operators."""

import struct
from dataclasses import asdict
from pathlib import Path

from ..errors import PicaptionError
from .bundle import GRAPH_MAGIC, archive_members, content_hash, read_bundle, read_bytes

#: How many labels and words are shown of all.
SHOWN = 5


def summarize(path):
    """Return what the bundle or .tflite file at `path` holds, as a dict of plain values.

    `signatures`: by name, their `inputs` and `outputs`, the bytes of their constants and their `operators`; a tensor has name,
    shape, dtype, and scale and zero point, where it is floating point those of the 8 bits that it is quantized to inside. Of a bundle
    there are metadata, labels, words and the `sha256` of its content too. Raises PicaptionError where the file is neither,
    or damaged.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        raise PicaptionError(
            "reading a graph takes the schema that ai-edge-litert has: pip install ai-edge-litert"
        ) from None
    path = Path(path)
    found, data = {"path": str(path)}, read_bytes(path)
    if data[4:8] == GRAPH_MAGIC and b"metadata.json" not in data:
        graph = data  # Others' files have no metadata of ours behind the graph.
    else:
        contents = read_bundle(path)
        graph = contents.graph
        words = contents.vocabulary.words if contents.vocabulary else ()
        found |= {
            "metadata": asdict(contents.metadata),
            "labels": list(contents.labels),
            "words": list(words),
            "sha256": content_hash(graph, archive_members(contents)),
        }
    try:
        model = schema.ModelT.InitFromPackedBuf(graph, 0)
        signatures = _signatures(model, schema)
    except (struct.error, IndexError, TypeError, AttributeError, ValueError, MemoryError):
        raise PicaptionError(f"{path}: the file is cut short or damaged; copy it again") from None
    return found | {"bytes": len(data), "graph_bytes": len(graph), "signatures": signatures}


def _signatures(model, schema):
    """Return {name: what `inspect` tells of it} of a schema.ModelT; a graph without signatures is one called "graph"."""
    operators, types = (
        {number: name.lower() for name, number in vars(kind).items() if not name.startswith("_")}
        for kind in (schema.BuiltinOperator, schema.TensorType)
    )
    codes = [
        operators[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes
    ]

    def describe(subgraph, number, name=None, inside=None):
        tensor = subgraph.tensors[number]
        quantized = subgraph.tensors[number if inside is None else inside].quantization
        each = {
            "name": name or (tensor.name or b"").decode(),
            "shape": [] if tensor.shape is None else tensor.shape.tolist(),
            "dtype": types[tensor.type],
        }
        if quantized and quantized.scale is not None and len(quantized.scale):
            each |= {
                "scale": round(float(quantized.scale[0]), 9),
                "zero_point": int(quantized.zeroPoint[0]),
                "channels": len(quantized.scale),
            }
        return each

    def part(subgraph, inputs, outputs):
        inside, steps = {}, []
        for each in subgraph.operators:
            code = codes[each.opcodeIndex]
            if code == "quantize":
                inside[int(each.inputs[0])] = int(each.outputs[0])
            if code == "dequantize":
                inside[int(each.outputs[0])] = int(each.inputs[0])
            steps.append(
                {
                    "operator": code,
                    "version": model.operatorCodes[each.opcodeIndex].version,
                    "inputs": [
                        describe(subgraph, int(number)) for number in each.inputs if number >= 0
                    ],
                    "outputs": [describe(subgraph, int(number)) for number in each.outputs],
                }
            )
        constants = {
            tensor.buffer: model.buffers[tensor.buffer].data for tensor in subgraph.tensors
        }
        return {
            "inputs": [
                describe(subgraph, number, name, inside.get(number)) for number, name in inputs
            ],
            "outputs": [
                describe(subgraph, number, name, inside.get(number)) for number, name in outputs
            ],
            "constant_bytes": sum(len(data) for data in constants.values() if data is not None),
            "operators": steps,
        }

    def named(ends):
        return [(int(each.tensorIndex), each.name.decode()) for each in ends]

    if not model.signatureDefs:
        graph = model.subgraphs[0]
        return {
            "graph": part(
                graph,
                *(
                    [(int(number), None) for number in ends]
                    for ends in (graph.inputs, graph.outputs)
                ),
            )
        }
    return {
        each.signatureKey.decode(): part(
            model.subgraphs[each.subgraphIndex], named(each.inputs), named(each.outputs)
        )
        for each in model.signatureDefs
    }


def table(found, graph=False):
    """Return what `inspect` found as lines of text; `graph`: with the operators."""
    lines = [
        f"{found['path']}: {found['bytes'] / 1e6:.2f} MB, of which the graph is {found['graph_bytes'] / 1e6:.2f}"
    ]
    if "metadata" in found:
        metadata = found["metadata"]
        shape = metadata["input"]
        lines += [
            f"sha256      {found['sha256']}",
            f"name        {metadata['name']}, licence {metadata['licence']}",
            f"picture     {shape['height']}x{shape['width']}, {shape['resize']}",
            f"classes     {_some(found['labels'])}, {metadata['head']}, certain from {metadata['label_threshold']:.2f}",
            f"words       {_some(found['words'])}"
            + (f"; order {metadata['order']}" if found["words"] else ""),
        ]
        if found["words"]:
            lines += [
                f"tags        {_some(metadata['tags'])}",
                f"prompts     {_some(metadata['prompts'])}",
                "beam        "
                + ", ".join(f"{name} {value}" for name, value in metadata["beam"].items()),
            ]
        lines += [
            f"{part:12}{name}: {value}"
            for part in ("provenance", "measured")
            for name, value in metadata[part].items()
        ]
    for name, signature in found["signatures"].items():
        lines.append(
            f"{name}: {len(signature['operators'])} operators, {signature['constant_bytes'] / 1e6:.2f} MB of constants"
        )
        lines += [
            f"  {way:6}    {_tensor(each)}"
            for way in ("inputs", "outputs")
            for each in signature[way]
        ]
        if graph:
            lines += [
                f"  {number:4} {each['operator']}.{each['version']}  {', '.join(map(_tensor, each['inputs']))} -> "
                f"{', '.join(map(_tensor, each['outputs']))}"
                for number, each in enumerate(signature["operators"])
            ]
        kinds = [each["operator"] for each in signature["operators"]]
        counts = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))
        lines.append("  " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in counts))
    return lines


def _some(names):
    shown = ", ".join(names[:SHOWN])
    return f"{len(names)}: {shown}{', ...' if len(names) > SHOWN else ''}" if names else "none"


def _tensor(each):
    text = f"{each['name']} {each['dtype']} {each['shape']}".strip()
    if "scale" in each:
        text += (
            f" {each['channels']} scales"
            if each["channels"] > 1
            else f" {each['scale']:.6g} ({each['zero_point']:+d})"
        )
    return text
