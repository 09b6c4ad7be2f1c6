"""The first run of a .tflite file from elsewhere and of its bundle: in a process with little leave.

`python -m picaption.convert.tflite.trial < GRAPHS` prints how far the two are from each other, or
one line that says why the file cannot be run; picaption.device.trial does the same for bundles.
"""

import json
import pickle
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import numpy as np

from picaption.device.bundle.runtime import make_interpreter
from picaption.device.bundle.trust.trust import CHILD_INPUT, run_in_child
from picaption.device.errors import PicaptionError
from picaption.device.trial import end_trial, limit_resources
from picaption.models.pixels import PIXELS, PixelScaling

from .cut import UINT8_OFFSET, CutGraph

TRIAL = "picaption.convert.tflite.trial"
#: Memory and seconds of computing that both graphs may take: on a desktop, for large networks.
MEMORY_BYTES = 4 << 30
CPU_SECONDS = 120
#: Seconds that the process may take in all.
TRIAL_SECONDS = 300.0


@dataclass(frozen=True)
class TrialGraphs:
    """A .tflite file's graph, and what was made of it.

    Attributes:
        file: The flatbuffer as it was in the file.
        bundle: That of the bundle.
        cut: What was cut of the file.
        scaling: As for cut_graph.
        images: What both are run on, uint8 [H, W, 3], beside images without content.
    """

    file: bytes
    bundle: bytes
    cut: CutGraph
    scaling: PixelScaling | None
    images: Sequence[np.ndarray]


@dataclass(frozen=True)
class WrapAgreement:
    """How far a bundle is from the .tflite file that it was made of.

    Attributes:
        largest: The largest difference of a probability on any image; of features, of 1 - cosine.
        top: The share of photographs with the same likeliest class.
        images: How many photographs there were.
    """

    largest: float
    top: float
    images: int


def hold_against_file(graphs: TrialGraphs, name: str) -> WrapAgreement:
    """Compare a file's own scores with those of its bundle, in a child process.

    Args:
        graphs: Both, whose graphs are valid.
        name: What errors call the file.

    Raises:
        PicaptionError: The runtime cannot run the file.
    """
    printed = run_in_child(TRIAL, pickle.dumps(graphs), name, TRIAL_SECONDS)
    return WrapAgreement(**json.loads(printed))


def measure_agreement(graphs: TrialGraphs) -> WrapAgreement:
    """Return what hold_against_file does, by running both graphs in this process."""
    file = make_interpreter(graphs.file, threads=1)
    bundle = make_interpreter(graphs.bundle, threads=1)
    encode = bundle.get_signature_runner("encode")
    cut = graphs.cut
    differences = []
    same = []
    images = [*_test_images(cut.height, cut.width), *(image[None] for image in graphs.images)]
    for image in images:
        own = _run(file, image, graphs.scaling)
        features = encode(image=image)["features"]
        if cut.head is None:
            differences.append(1 - _cosine(own.ravel(), features.ravel()))
            continue
        fault = cut.head_fault(own)
        if fault:
            raise PicaptionError(fault)
        classify = bundle.get_signature_runner("classify")
        actual = classify(features=features)["scores"]
        expected = cut.probabilities(own)
        differences.append(np.abs(expected - actual).max())
        same.append(bool(expected.argmax() == actual.argmax()))
    photographs = same[len(same) - len(graphs.images) :] if graphs.images else []
    top = float(np.mean(photographs)) if photographs else 1.0
    return WrapAgreement(float(np.max(differences)), top, len(graphs.images))


def _run(interpreter: Any, image: np.ndarray, scaling: PixelScaling | None) -> np.ndarray:
    """Return the output of a .tflite file for an image, uint8 [1, H, W, 3], as float32."""
    (input_details,) = interpreter.get_input_details()
    (output_details,) = interpreter.get_output_details()
    dtype = input_details["dtype"]
    if dtype == np.float32:
        values = (scaling or PIXELS["0..255"]).apply(image)
    elif scaling is not None:
        scale, zero_point = input_details["quantization"]
        limits = np.iinfo(dtype)
        values = np.round(scaling.apply(image) / scale + zero_point)
        values = np.clip(values, limits.min, limits.max)
    else:
        values = image.astype(np.int16) - (UINT8_OFFSET if dtype == np.int8 else 0)
    interpreter.set_tensor(input_details["index"], values.astype(dtype))
    interpreter.invoke()
    scores = interpreter.get_tensor(output_details["index"]).astype(np.float32)
    scale, zero_point = output_details["quantization"]
    return (scores - zero_point) * scale if scale else scores


def _cosine(left: np.ndarray, right: np.ndarray) -> float:
    """Return the cosine of two vectors; 1 for two that are zero."""
    norms = np.linalg.norm(left) * np.linalg.norm(right)
    return float(left @ right / norms) if norms else float(np.array_equal(left, right))


def _test_images(height: int, width: int) -> list[np.ndarray]:
    """Return images without content, uint8 [1, height, width, 3]."""
    shape = (1, height, width, 3)
    gradient = np.linspace(0, 255, height * width * 3).reshape(shape).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return [np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), gradient, noise]


def main() -> NoReturn:
    """Measure the graphs on standard input and exit."""
    graphs = pickle.load(sys.stdin.buffer)  # Written by this program, see hold_against_file.
    limit_resources(MEMORY_BYTES, CPU_SECONDS)
    line = None
    try:
        print(json.dumps(asdict(measure_agreement(graphs))), flush=True)
    except PicaptionError as error:
        line = f"{CHILD_INPUT}: {error}"
    except Exception as error:  # Whatever a graph from elsewhere leads to is the graph's fault.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        line = f"{CHILD_INPUT}: the TFLite runtime cannot run it: {reason}"
    end_trial(line)


if __name__ == "__main__":
    main()
