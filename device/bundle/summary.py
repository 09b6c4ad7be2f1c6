"""What a bundle, or any .tflite file, holds: signatures, tensors, words, sizes, operators."""

import struct
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import PicaptionError
from .archive import GRAPH_MAGIC, Contents, parse_bundle, read_bytes, stored_hash
from .examples import examples_bytes
from .metadata import Silence
from .trust.graph_check import check_graph

#: The width of a line, and of its title.
LINE_WIDTH = 100
COLUMN = 12
#: What stands between a note's name and its value while lines are wrapped: no break.
_JOIN = "\0"
#: How many names of notes inside others are shown.
MAX_DEPTH = 4
#: How many labels, words, tags and prompts are shown of all.
SHOWN = 5

#: What the schema raises for a graph that is cut short or damaged.
_GRAPH_ERRORS = (struct.error, IndexError, TypeError, AttributeError, ValueError, MemoryError)


@dataclass(frozen=True)
class TensorSummary:
    """A tensor of a graph.

    Attributes:
        name: Its name, "" without one.
        shape: Its shape.
        dtype: Its type, such as "float32".
        scale: Its first scale; None if it is not quantized. A floating-point input or output has
            the one of the 8 bits that it is quantized to inside.
        zero_point: Its first zero point.
        channels: How many scales it has.
    """

    name: str
    shape: list[int]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None
    channels: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, but for those of a quantization that there is not."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def __str__(self) -> str:
        text = f"{self.name} {self.dtype} {self.shape}".strip()
        if self.channels is None:
            return text
        if self.channels > 1:
            return f"{text} {self.channels} scales"
        return f"{text} {self.scale:.6g} ({self.zero_point:+d})"


@dataclass(frozen=True)
class OperatorSummary:
    """An operator of a graph: its name, such as "conv_2d", its version and its tensors."""

    operator: str
    version: int
    inputs: list[TensorSummary]
    outputs: list[TensorSummary]

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {
            "operator": self.operator,
            "version": self.version,
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
        }

    def __str__(self) -> str:
        inputs = ", ".join(map(str, self.inputs))
        outputs = ", ".join(map(str, self.outputs))
        return f"{self.operator}.{self.version}  {inputs} -> {outputs}"


@dataclass(frozen=True)
class SignatureSummary:
    """A signature of a graph: its tensors, the size of its constants, and its operators."""

    inputs: list[TensorSummary]
    outputs: list[TensorSummary]
    constant_bytes: int
    operators: list[OperatorSummary]

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
            "constant_bytes": self.constant_bytes,
            "operators": [operator.to_json() for operator in self.operators],
        }


@dataclass(frozen=True)
class Summary:
    """What a file holds.

    Attributes:
        path: The path of the file.
        contents: A bundle's Contents; None for another .tflite file.
        sha256: The hash of a bundle's content, "" for another .tflite file.
        file_bytes: The size of the file.
        graph_bytes: The size of its graph.
        signatures: Its signatures by name; a graph without any is one called "graph".
    """

    path: str
    contents: Contents | None
    sha256: str
    file_bytes: int
    graph_bytes: int
    signatures: dict[str, SignatureSummary]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        values: dict[str, Any] = {"path": self.path}
        if self.contents is not None:
            values["metadata"] = asdict(self.contents.metadata)
            values["labels"] = list(self.contents.labels)
            values["words"] = list(_words(self.contents))
            values["sha256"] = self.sha256
        values["bytes"] = self.file_bytes
        values["graph_bytes"] = self.graph_bytes
        values["signatures"] = {
            name: signature.to_json() for name, signature in self.signatures.items()
        }
        return values


def summarize(path: str | Path) -> Summary:
    """Return what a bundle or another .tflite file holds.

    Raises:
        PicaptionError: The file is neither, or is damaged.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        raise PicaptionError(
            "reading a graph takes the schema that ai-edge-litert has: pip install ai-edge-litert"
        ) from None
    path = Path(path)
    data = read_bytes(path)
    contents = None
    sha256 = ""
    graph = data
    # Other programs' files have no metadata of ours behind the graph.
    if data[4:8] != GRAPH_MAGIC or b"metadata.json" in data:
        contents = parse_bundle(data, path)
        sha256 = stored_hash(data)
        graph = contents.graph
    try:
        check_graph(graph, allow_custom=True)
        signatures = _Graph(schema.ModelT.InitFromPackedBuf(graph, 0), schema).signatures()
    except _GRAPH_ERRORS as error:
        raise PicaptionError(
            f"{path}: the file is cut short or damaged: {error}; copy it again"
        ) from None
    return Summary(str(path), contents, sha256, len(data), len(graph), signatures)


class _Graph:
    """Reads the signatures of a schema.ModelT."""

    def __init__(self, model: Any, schema: Any) -> None:
        self._model = model
        self._types = _names_by_value(schema.TensorType)
        operators = _names_by_value(schema.BuiltinOperator)
        self._codes = [
            _name_of(operators, max(code.builtinCode, code.deprecatedBuiltinCode))
            for code in model.operatorCodes or ()
        ]

    def signatures(self) -> dict[str, SignatureSummary]:
        """Return the signatures by name; a graph without any is one called "graph"."""
        if not self._model.signatureDefs:
            subgraph = self._model.subgraphs[0]
            inputs = [(int(index), None) for index in subgraph.inputs]
            outputs = [(int(index), None) for index in subgraph.outputs]
            return {"graph": self._signature(subgraph, inputs, outputs)}
        return {
            signature.signatureKey.decode(): self._signature(
                self._model.subgraphs[signature.subgraphIndex],
                _named_tensors(signature.inputs),
                _named_tensors(signature.outputs),
            )
            for signature in self._model.signatureDefs
        }

    def _signature(
        self,
        subgraph: Any,
        inputs: Sequence[tuple[int, str | None]],
        outputs: Sequence[tuple[int, str | None]],
    ) -> SignatureSummary:
        """Return a signature whose inputs and outputs are tensors' indices and names."""
        quantized = self._quantized_ends(subgraph)
        constants = {
            tensor.buffer: self._model.buffers[tensor.buffer].data for tensor in subgraph.tensors
        }
        return SignatureSummary(
            [self._tensor(subgraph, *end, quantized.get(end[0])) for end in inputs],
            [self._tensor(subgraph, *end, quantized.get(end[0])) for end in outputs],
            sum(len(data) for data in constants.values() if data is not None),
            [self._operator(subgraph, operator) for operator in subgraph.operators],
        )

    def _quantized_ends(self, subgraph: Any) -> dict[int, int]:
        """Return the quantized tensor of each floating-point one that is quantized inside."""
        quantized = {}
        for operator in subgraph.operators:
            code = self._codes[operator.opcodeIndex]
            if code == "quantize":
                quantized[int(operator.inputs[0])] = int(operator.outputs[0])
            if code == "dequantize":
                quantized[int(operator.outputs[0])] = int(operator.inputs[0])
        return quantized

    def _operator(self, subgraph: Any, operator: Any) -> OperatorSummary:
        return OperatorSummary(
            self._codes[operator.opcodeIndex],
            self._model.operatorCodes[operator.opcodeIndex].version,
            [self._tensor(subgraph, int(index)) for index in operator.inputs if index >= 0],
            [self._tensor(subgraph, int(index)) for index in operator.outputs],
        )

    def _tensor(
        self, subgraph: Any, index: int, name: str | None = None, quantized: int | None = None
    ) -> TensorSummary:
        """Return a tensor by its index, with the scale of the tensor `quantized`."""
        tensor = subgraph.tensors[index]
        name = name or (tensor.name or b"").decode()
        shape = [] if tensor.shape is None else tensor.shape.tolist()
        dtype = _name_of(self._types, tensor.type)
        quantization = subgraph.tensors[index if quantized is None else quantized].quantization
        if not quantization or quantization.scale is None or not len(quantization.scale):
            return TensorSummary(name, shape, dtype)
        return TensorSummary(
            name,
            shape,
            dtype,
            round(float(quantization.scale[0]), 9),
            int(quantization.zeroPoint[0]),
            len(quantization.scale),
        )


def _names_by_value(enumeration: Any) -> dict[int, str]:
    """Return the lower-case names of one of the schema's enumerations."""
    return {value: name.lower() for name, value in vars(enumeration).items() if name[:1] != "_"}


def _name_of(names: dict[int, str], value: int) -> str:
    """Return the name of an enumeration's value; one newer than the schema here has its number."""
    return names.get(value, str(value))


def _named_tensors(tensors: Any) -> list[tuple[int, str | None]]:
    return [(int(tensor.tensorIndex), tensor.name.decode()) for tensor in tensors]


def summary_lines(summary: Summary, operators: bool = False) -> list[str]:
    """Return a Summary as lines of text, with every operator if `operators`."""
    lines = [
        f"{summary.path}: {summary.file_bytes / 1e6:.2f} MB, of which the graph is "
        f"{summary.graph_bytes / 1e6:.2f}"
    ]
    if summary.contents is not None:
        lines += _contents_lines(summary.contents, summary.sha256)
    for name, signature in summary.signatures.items():
        lines += _signature_lines(name, signature, operators)
    return lines


def _contents_lines(contents: Contents, sha256: str) -> list[str]:
    metadata = contents.metadata
    image = metadata.input
    words = _words(contents)
    lines = [
        f"sha256      {sha256}",
        f"name        {metadata.name}, licence {metadata.licence}",
        f"picture     {image.height}x{image.width}, {image.resize}",
        f"classes     {_first(contents.labels)}, {metadata.head}, "
        f"certain from {metadata.label_threshold:.2f}",
    ]
    if metadata.silence != Silence():
        silence = ", ".join(f"{name} {value:g}" for name, value in vars(metadata.silence).items())
        lines.append(f"silent      below {silence}")
    if words:
        beam = ", ".join(f"{name} {value}" for name, value in vars(metadata.beam).items())
        lines += [
            f"words       {_first(words)}; order {metadata.order}",
            f"tags        {_first(metadata.tags)}",
            f"prompts     {_first(metadata.prompts)}",
            f"beam        {beam}",
        ]
        if metadata.confidence is not None:
            weights = ", ".join(
                f"{name} {value:.3g}" for name, value in vars(metadata.confidence).items()
            )
            lines.append(f"confidence  {weights}")
    else:
        lines.append(f"words       {_first(words)}")
    if contents.examples is not None:
        size = len(examples_bytes(contents.examples))
        lines.append(
            f"examples    {len(contents.examples)} that it was taught by, {size / 1e3:.0f} kB"
        )
    lines += _note_lines("provenance", metadata.provenance)
    lines += _note_lines("measured", metadata.measured)
    return lines


def _note_lines(title: str, notes: dict[str, Any]) -> list[str]:
    """Return notes as lines of text, wrapped; those of a note inside another have both names."""
    lines = []
    # Not by recursion: a file may nest them deeply.
    open_notes = [(str(name), value) for name, value in notes.items()]
    while open_notes:
        name, value = open_notes.pop(0)
        text = str(value) if not isinstance(value, (dict, list)) else ""
        if isinstance(value, list):
            items = [_short(item) for item in value]
            text = ", ".join(items) or "none"
        if isinstance(value, dict):
            inner = [key for key, item in value.items() if isinstance(item, dict)]
            open_notes[:0] = [
                (f"{name}.{key}" if name.count(".") < MAX_DEPTH else name, value[key])
                for key in inner
            ]
            items = [
                f"{key}{_JOIN}{_short(item)}" for key, item in value.items() if key not in inner
            ]
            if not items and inner:
                continue
            text = ", ".join(items) or "none"
        wrapped = textwrap.wrap(f"{name}: {text}", LINE_WIDTH - COLUMN, break_on_hyphens=False)
        wrapped = [line.replace(_JOIN, " ") for line in wrapped]
        lines.append(f"{title:{COLUMN}}{wrapped[0]}")
        lines += [" " * COLUMN + line for line in wrapped[1:]]
    return lines


def _short(value: Any) -> str:
    """Return a note's value as text; of one that holds others, that it does."""
    if isinstance(value, (dict, list)):
        return f"({len(value)})"
    return "none" if value == "" else str(value)


def _signature_lines(name: str, signature: SignatureSummary, operators: bool) -> list[str]:
    lines = [
        f"{name}: {len(signature.operators)} operators, "
        f"{signature.constant_bytes / 1e6:.2f} MB of constants"
    ]
    lines += [f"  inputs    {tensor}" for tensor in signature.inputs]
    lines += [f"  outputs    {tensor}" for tensor in signature.outputs]
    if operators:
        lines += [f"  {index:4} {operator}" for index, operator in enumerate(signature.operators)]
    codes = [operator.operator for operator in signature.operators]
    most_first = sorted(set(codes), key=lambda code: (-codes.count(code), code))
    lines.append("  " + ", ".join(f"{codes.count(code)} {code}" for code in most_first))
    return lines


def _words(contents: Contents) -> tuple[str, ...]:
    return contents.vocabulary.words if contents.vocabulary else ()


def _first(names: Sequence[str]) -> str:
    """Return how many names there are, and the first ones."""
    if not names:
        return "none"
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names)}: {', '.join(names[:SHOWN])}{more}"
