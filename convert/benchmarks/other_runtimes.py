"""`python -m picaption.convert.benchmarks.other_runtimes`: how long others take for the same encoder, in turns with picaption, in one run.

What is installed is measured: litert's own benchmark tool, a plain loop over the interpreter as Ultralytics' has it, OpenVINO,
and ONNX Runtime and ncnn on what tf2onnx and pnnx make of the graph (pip install openvino onnxruntime tf2onnx tensorflow ncnn
pnnx).
"""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import cv2
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from picaption.device import cli
from picaption.device.bench.bench import threads_of
from picaption.device.bench.compare import INTERVAL, ratio_of_medians
from picaption.device.bench.steps import ROUNDS, timed, warm_up
from picaption.device.bundle.bundle import default_bundle, read_bundle
from picaption.device.bundle.runtime import make_interpreter, runtime_name
from picaption.device.errors import PicaptionError
from picaption.device.recognition.recognizer import open_recognizer
from picaption.device.sources.sources import Demo

#: litert's benchmark tool, a module of the runtime's own package since 2.3.
TOOL = "ai_edge_litert.tools.benchmark_litert_model"


def encoder_graph(graph):
    """Return the TFLite flatbuffer of the signature `encode` alone, as bytes, whose first output is the features; every tensor
    has a name, which OpenVINO asks for."""
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    signature = next(each for each in model.signatureDefs if each.signatureKey == b"encode")
    subgraph = model.subgraphs[signature.subgraphIndex]
    features = next(each.tensorIndex for each in signature.outputs if each.name == b"features")
    subgraph.outputs = np.array(
        [features, *(each for each in subgraph.outputs if each != features)], np.int32
    )
    for number, tensor in enumerate(subgraph.tensors):
        tensor.name = tensor.name or f"tensor{number}"
    signature.subgraphIndex, model.subgraphs, model.signatureDefs = 0, [subgraph], [signature]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def plain_loop(file, threads):
    """Return a function of a frame that does what Ultralytics' loop does: scale, floats from 0 to 1 with the channels first, back
    to what the graph takes, set_tensor, invoke, get_tensor of each output."""
    interpreter = make_interpreter(file.read_bytes(), threads)
    given, gives = interpreter.get_input_details()[0], interpreter.get_output_details()
    height, width = given["shape"][1:3].tolist()

    def step(frame):
        picture = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
        floats = np.ascontiguousarray(picture[None].transpose(0, 3, 1, 2)).astype(np.float32) / 255
        interpreter.set_tensor(
            given["index"], (floats.transpose(0, 2, 3, 1) * 255).astype(given["dtype"])
        )
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in gives][0]

    return step


def openvino(file, threads):
    """Return a function of a picture, uint8 [height, width, 3], that gives features [1, F] by OpenVINO."""
    from openvino import Core

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = Core().compile_model(file, "CPU", settings).create_infer_request()
    return lambda picture: request.infer([picture[None]])[0]


def onnxruntime(file, threads):
    """Return such a function by ONNX Runtime, in int8 as tf2onnx says it."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = (
        threads,
        1,
        3,
    )
    session = InferenceSession(onnx(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda picture: session.run(None, {name: picture[None]})[0]


def ncnn(file, threads):
    """Return such a function by ncnn, in floating point: int8 would have to be calibrated anew."""
    from ncnn import Mat, Net

    model, shape = (
        onnx(file, "--dequantize"),
        make_interpreter(file.read_bytes()).get_input_details()[0]["shape"],
    )
    call(
        "-c", "from pnnx import pnnx; pnnx()", model, f"inputshape=[{','.join(map(str, shape))}]u8"
    )
    param = model.with_suffix(".ncnn.param")
    # What goes into ncnn is floating point, so the conversion to it, which pnnx leaves there, is none.
    param.write_text(re.sub(r"^Tensor\.to ", "Noop ", param.read_text(), flags=re.MULTILINE))
    net = Net()
    net.opt.num_threads = threads
    if net.load_param(str(param)) or net.load_model(str(model.with_suffix(".ncnn.bin"))):
        raise PicaptionError("ncnn does not load what pnnx made")

    def step(picture):
        extractor = net.create_extractor()
        extractor.input(
            "in0", Mat(picture.astype(np.float32)).clone()
        )  # A Mat does not keep its array.
        return np.array(extractor.extract("out0")[1])[None]

    return step


def onnx(file, *options):
    """Return the path of the ONNX file that tf2onnx makes of a .tflite file, beside it."""
    target = file.with_name(
        "_".join([file.stem, *(option.strip("-") for option in options)]) + ".onnx"
    )
    call("-m", "tf2onnx.convert", "--tflite", file, "--output", target, "--opset", "17", *options)
    return target


def call(*arguments):
    """Run this Python with `arguments`; raises PicaptionError with the last line that it says where it fails."""
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        raise PicaptionError(f"{arguments[1]} ends with {last}")


def litert_tool(bundle, threads, folder):
    """Return a function of a number of calls that gives their median, in milliseconds, by litert's benchmark tool."""
    if not importlib.util.find_spec("ai_edge_litert.tools") or not importlib.util.find_spec(TOOL):
        raise PicaptionError("this ai-edge-litert has none; pip install 'ai-edge-litert>=2.3'")
    report = folder / "tool.json"

    def step(calls):
        call(
            "-m",
            TOOL,
            "--model",
            bundle,
            "--signature",
            "encode",
            "--num_threads",
            threads,
            "--warmup_runs",
            "20",
            "--num_runs",
            calls,
            "--result_json",
            report,
        )
        return json.loads(report.read_text())["latency"]["median_ms"]

    return step


def measure(bundle, threads, seconds):
    """Return (rows, left out): for each peer its name, rounds of milliseconds, the name that it is compared to, and the cosine of
    its features to picaption's (None: it tells none); and why others are missing, a line each. Each is measured for `seconds`."""
    recognizer, frame, kept = open_recognizer(bundle, threads), Demo().frame(0), {}
    picture = recognizer.prepare(frame)
    right = recognizer.model.encode(picture).features.ravel()
    steps = {
        "picaption, encoder": (lambda: recognizer.model.encode(picture).features, None),
        "picaption, frame to features": (
            lambda: recognizer.model.encode(recognizer.prepare(frame, kept)).features,
            None,
        ),
    }
    left_out = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "encoder.tflite")
        file.write_bytes(encoder_graph(read_bundle(bundle).graph))
        for name, peer, given, beside in (
            ("plain loop, frame to features", plain_loop, frame, "picaption, frame to features"),
            ("OpenVINO", openvino, picture, "picaption, encoder"),
            ("ONNX Runtime", onnxruntime, picture, "picaption, encoder"),
            ("ncnn, float", ncnn, picture, "picaption, encoder"),
        ):
            try:
                steps[name] = (lambda step=peer(file, threads), given=given: step(given)), beside
            except (ImportError, PicaptionError) as error:
                left_out.append(f"{name}: {error}")
        tool = None
        try:
            tool = litert_tool(bundle, threads, Path(folder))
        except PicaptionError as error:
            left_out.append(f"litert's benchmark tool: {error}")
        found = {name: [] for name in steps} | ({"litert's benchmark tool": []} if tool else {})
        for step, _ in steps.values():
            warm_up(step)
        for _ in range(ROUNDS):
            for name, (step, _) in steps.items():
                found[name].append(np.array(timed(step, seconds / ROUNDS, 0)))
            if tool:
                found["litert's benchmark tool"].append(
                    np.array([tool(len(found["picaption, encoder"][-1]))])
                )
    rows = []
    for name, rounds in found.items():
        step, beside = steps.get(name, (None, "picaption, encoder"))
        told = step and np.asarray(step(), float).ravel()
        cosine = (
            None
            if told is None
            else float(told @ right / np.linalg.norm(told) / np.linalg.norm(right))
        )
        rows.append((name, rounds, beside and found[beside], cosine))
    return rows, left_out


def table(rows):
    """Return the rows of `measure` as lines of text."""
    lines = [
        f"{'':32} {'ms, median':>10} {'by picaption':>12}  {f'{INTERVAL} % of ratios':16} {'cosine':>7}"
    ]
    for name, rounds, beside, cosine in rows:
        ratio, low, high = ratio_of_medians(beside or rounds, rounds)
        lines.append(
            f"{name:32} {np.median(np.concatenate(rounds)):10.3f} {ratio:12.3f}  {f'{low:.3f} to {high:.3f}':16} "
            f"{'-' if cosine is None else format(cosine, '.4f'):>7}"
        )
    return lines


@click.command()
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
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
def main(bundle, threads, seconds):
    """Time BUNDLE's encoder here and in other runtimes."""
    bundle = bundle or default_bundle()
    for number in threads_of(threads):
        rows, left_out = measure(bundle, number, seconds)
        click.echo(
            "\n".join(
                [
                    f"{runtime_name()}, threads: {number}",
                    *table(rows),
                    *(f"left out: {line}" for line in left_out),
                ]
            )
        )


if __name__ == "__main__":
    cli.main(command=main, name="picaption.convert.benchmarks.other_runtimes")
