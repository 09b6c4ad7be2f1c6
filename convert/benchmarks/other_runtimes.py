"""How long other runtimes take for the same encoder, in turns with picaption, in one process.

`python -m picaption.convert.benchmarks.other_runtimes` measures what is installed: litert's own
benchmark tool, a plain loop over the interpreter as Ultralytics has it, OpenVINO, and ONNX Runtime
and ncnn on what tf2onnx and pnnx make of the graph (pip install openvino onnxruntime tf2onnx
tensorflow ncnn pnnx).
"""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from picaption.device import cli
from picaption.device.bench.bench import parse_threads
from picaption.device.bench.compare import INTERVAL_PERCENT, Rounds, ratio_of_medians
from picaption.device.bench.steps import ROUNDS, time_calls, warm_up
from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.bundle import default_bundle
from picaption.device.bundle.runtime import make_interpreter, runtime_name
from picaption.device.errors import PicaptionError
from picaption.device.log import say
from picaption.device.recognition.recognizer import open_recognizer
from picaption.device.sources.demo_frames import Demo

#: litert's benchmark tool, a module of the runtime's own package since 2.3.
LITERT_TOOL = "ai_edge_litert.tools.benchmark_litert_model"
#: What others are compared with: the encoder alone, and with the resizing of a frame before it.
ENCODER = "picaption, encoder"
FRAME = "picaption, frame to features"

#: Computes the features, float [1, F], of an image.
Encode = Callable[[np.ndarray], np.ndarray]
#: Loads a .tflite file for a number of threads.
Load = Callable[[Path, int], Encode]


@dataclass(frozen=True)
class Row:
    """What was measured of one runtime.

    Attributes:
        name: What the table calls it.
        rounds: Arrays of milliseconds.
        reference: The rounds to compare with; None for picaption's own.
        cosine: Of its features and picaption's; None if it has none.
    """

    name: str
    rounds: Rounds
    reference: Rounds | None
    cosine: float | None


@dataclass(frozen=True)
class Peer:
    """A runtime to measure: how it loads a graph, and which row to compare it with."""

    load: Load
    reference: str = ENCODER


def encoder_graph(graph: bytes) -> bytes:
    """Return the TFLite flatbuffer of the signature `encode` alone, with the features first.

    Every tensor has a name, which OpenVINO asks for.
    """
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    signature = next(entry for entry in model.signatureDefs if entry.signatureKey == b"encode")
    subgraph = model.subgraphs[signature.subgraphIndex]
    features = next(output for output in signature.outputs if output.name == b"features")
    rest = [index for index in subgraph.outputs if index != features.tensorIndex]
    subgraph.outputs = np.array([features.tensorIndex, *rest], np.int32)
    for index, tensor in enumerate(subgraph.tensors):
        tensor.name = tensor.name or f"tensor{index}"
    signature.subgraphIndex = 0
    model.subgraphs = [subgraph]
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def load_plain_loop(file: Path, threads: int) -> Encode:
    """Return a function of a frame of any size that does what Ultralytics' loop does.

    It scales, makes floats from 0 to 1 with the channels first and back what the graph takes, and
    copies all inputs and outputs.
    """
    interpreter = make_interpreter(file.read_bytes(), threads)
    input_details = interpreter.get_input_details()[0]
    output_details = interpreter.get_output_details()
    height, width = input_details["shape"][1:3].tolist()

    def encode(frame: np.ndarray) -> np.ndarray:
        image = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
        floats = np.ascontiguousarray(image[None].transpose(0, 3, 1, 2)).astype(np.float32) / 255
        interpreter.set_tensor(
            input_details["index"],
            (floats.transpose(0, 2, 3, 1) * 255).astype(input_details["dtype"]),
        )
        interpreter.invoke()
        return [interpreter.get_tensor(details["index"]) for details in output_details][0]

    return encode


def load_openvino(file: Path, threads: int) -> Encode:
    """Return a function of an image, uint8 [H, W, 3] of the graph's size, by OpenVINO."""
    from openvino import Core

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = Core().compile_model(file, "CPU", settings).create_infer_request()

    def encode(image: np.ndarray) -> np.ndarray:
        return request.infer([image[None]])[0]

    return encode


def load_onnxruntime(file: Path, threads: int) -> Encode:
    """Return such a function by ONNX Runtime, in int8 as tf2onnx converts it."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = InferenceSession(to_onnx(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def encode(image: np.ndarray) -> np.ndarray:
        return session.run(None, {name: image[None]})[0]

    return encode


def load_ncnn(file: Path, threads: int) -> Encode:
    """Return such a function by ncnn, in floating point: int8 would take another calibration."""
    from ncnn import Mat, Net

    model = to_onnx(file, "--dequantize")
    shape = make_interpreter(file.read_bytes()).get_input_details()[0]["shape"]
    input_shape = f"inputshape=[{','.join(map(str, shape))}]u8"
    run_python("-c", "from pnnx import pnnx; pnnx()", model, input_shape)
    param = model.with_suffix(".ncnn.param")
    # The input of ncnn is floating point, so the conversion to it, which pnnx leaves, is none.
    param.write_text(re.sub(r"^Tensor\.to ", "Noop ", param.read_text(), flags=re.MULTILINE))
    net = Net()
    net.opt.num_threads = threads
    if net.load_param(str(param)) or net.load_model(str(model.with_suffix(".ncnn.bin"))):
        raise PicaptionError("ncnn does not load what pnnx made")

    def encode(image: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        # A Mat does not keep its array alive.
        extractor.input("in0", Mat(image.astype(np.float32)).clone())
        return np.array(extractor.extract("out0")[1])[None]

    return encode


#: The runtimes that are measured beside picaption, by their names in the table.
PEERS: Mapping[str, Peer] = {
    "plain loop, frame to features": Peer(load_plain_loop, FRAME),
    "OpenVINO": Peer(load_openvino),
    "ONNX Runtime": Peer(load_onnxruntime),
    "ncnn, float": Peer(load_ncnn),
}


def to_onnx(file: Path, *options: str) -> Path:
    """Return the path of the ONNX file that tf2onnx makes of a .tflite file, beside it."""
    stem = "_".join([file.stem, *(option.strip("-") for option in options)])
    target = file.with_name(f"{stem}.onnx")
    tf2onnx = ["-m", "tf2onnx.convert", "--tflite", file, "--output", target, "--opset", "17"]
    run_python(*tf2onnx, *options)
    return target


def run_python(*arguments: object) -> None:
    """Run this Python; raises PicaptionError with the last line that it prints if it fails."""
    command = [sys.executable, *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        output = process.stderr.strip() or process.stdout.strip()
        raise PicaptionError(f"{arguments[1]} ends with {output.rpartition(chr(10))[2]}")


def load_litert_tool(bundle: Path, threads: int, folder: Path) -> Callable[[int], float]:
    """Return a function of a number of calls, by litert's benchmark tool.

    It returns their median, in milliseconds. The tool's report is left in `folder`.

    Raises:
        PicaptionError: The tool is not installed.
    """
    if not importlib.util.find_spec("ai_edge_litert.tools") or not importlib.util.find_spec(
        LITERT_TOOL
    ):
        raise PicaptionError("this ai-edge-litert has none; pip install 'ai-edge-litert>=2.3'")
    report = folder / "tool.json"
    tool = ["-m", LITERT_TOOL, "--model", bundle, "--signature", "encode"]
    settings = ["--num_threads", threads, "--warmup_runs", "20", "--result_json", report]

    def median(calls: int) -> float:
        run_python(*tool, *settings, "--num_runs", calls)
        return json.loads(report.read_text())["latency"]["median_ms"]

    return median


def measure(
    bundle: Path,
    threads: int,
    seconds: float,
    peers: Mapping[str, Peer] = PEERS,
    load_tool: Callable[[Path, int, Path], Callable[[int], float]] = load_litert_tool,
) -> tuple[list[Row], list[str]]:
    """Measure picaption's encoder and those of other runtimes.

    Args:
        bundle: The encoder's bundle.
        threads: How many each computes with.
        seconds: How long each is measured.
        peers: The other runtimes by name.
        load_tool: Loads litert's benchmark tool.

    Returns:
        The rows of the table, and why other runtimes are missing, a line each.
    """
    recognizer = open_recognizer(bundle, threads)
    frame = Demo().frame(0)
    image = recognizer.prepare(frame)
    buffers: dict[str, np.ndarray] = {}

    def encode() -> np.ndarray:
        return recognizer.model.encode(image).features

    def encode_frame() -> np.ndarray:
        return recognizer.model.encode(recognizer.prepare(frame, buffers)).features

    steps: dict[str, Callable[[], np.ndarray]] = {ENCODER: encode, FRAME: encode_frame}
    left_out = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "encoder.tflite")
        file.write_bytes(encoder_graph(read_bundle(bundle).graph))
        for name, peer in peers.items():
            try:
                peer_encode = peer.load(file, threads)
            except (ImportError, PicaptionError) as error:
                left_out.append(f"{name}: {error}")
            else:
                steps[name] = _step(peer_encode, frame if peer.reference == FRAME else image)
        tool = None
        try:
            tool = load_tool(bundle, threads, Path(folder))
        except PicaptionError as error:
            left_out.append(f"litert's benchmark tool: {error}")
        rounds, tool_rounds = _time_in_turns(steps, tool, seconds)
    features = encode().ravel()
    rows = []
    for name, step in steps.items():
        reference = rounds[peers[name].reference] if name in peers else None
        cosine = _cosine(np.asarray(step(), float).ravel(), features)
        rows.append(Row(name, rounds[name], reference, cosine))
    if tool_rounds:
        rows.append(Row("litert's benchmark tool", tool_rounds, rounds[ENCODER], None))
    return rows, left_out


def _step(encode: Encode, image: np.ndarray) -> Callable[[], np.ndarray]:
    def step() -> np.ndarray:
        return encode(image)

    return step


def _time_in_turns(
    steps: Mapping[str, Callable[[], np.ndarray]],
    tool: Callable[[int], float] | None,
    seconds: float,
) -> tuple[dict[str, Rounds], Rounds]:
    """Return the rounds of each step, and of the tool, which calls as often as the encoder."""
    rounds: dict[str, Rounds] = {name: [] for name in steps}
    tool_rounds: Rounds = []
    for step in steps.values():
        warm_up(step)
    for _ in range(ROUNDS):
        for name, step in steps.items():
            rounds[name].append(np.array(time_calls(step, seconds / ROUNDS, 0)))
        if tool:
            tool_rounds.append(np.array([tool(len(rounds[ENCODER][-1]))]))
    return rounds, tool_rounds


def _cosine(left: np.ndarray, right: np.ndarray) -> float:
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows of `measure` as lines of text."""
    interval = f"{INTERVAL_PERCENT} % of ratios"
    lines = [f"{'':32} {'ms, median':>10} {'by picaption':>12}  {interval:16} {'cosine':>7}"]
    for row in rows:
        ratio, low, high = ratio_of_medians(row.reference or row.rounds, row.rounds)
        median = np.median(np.concatenate(row.rounds))
        cosine = "-" if row.cosine is None else f"{row.cosine:.4f}"
        lines.append(
            f"{row.name:32} {median:10.3f} {ratio:12.3f}  {f'{low:.3f} to {high:.3f}':16} "
            f"{cosine:>7}"
        )
    return lines


@click.command("other_runtimes")
@click.argument("bundle", required=False, type=cli.PathType(path_type=Path))
@click.option(
    "--threads",
    default="1",
    show_default=True,
    metavar="LIST",
    help="Numbers of threads, such as 1,2.",
)
@click.option(
    "--seconds",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="How long to measure each.",
)
def other_runtimes_command(bundle: Path | None, threads: str, seconds: float) -> None:
    """Time BUNDLE's encoder in other runtimes."""
    bundle = bundle or default_bundle()
    for thread_count in parse_threads(threads):
        rows, left_out = measure(bundle, thread_count, seconds)
        say(f"{runtime_name()}, threads: {thread_count}")
        say(*table(rows), *(f"left out: {line}" for line in left_out))


if __name__ == "__main__":
    cli.main(command=other_runtimes_command, name="picaption.convert.benchmarks.other_runtimes")
