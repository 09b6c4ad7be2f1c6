"""The first run of a .tflite file from elsewhere and of its bundle: in a process with little leave.

`python -m picaption.convert.tflite.trial < GRAPHS` prints how far the two are from each other, or
one line that says why the file cannot be run; picaption.device.trial does the same for bundles.
"""

import pickle
import sys
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from picaption.device.bundle.runtime import make_interpreter
from picaption.device.bundle.trust.trust import CHILD_INPUT, run_in_child
from picaption.device.trial import end_trial, limit_resources
from picaption.models.settings import PIXELS

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
        pixels: As for ImportOptions.
    """

    file: bytes
    bundle: bytes
    cut: CutGraph
    pixels: str | None


def score_difference(
    data: bytes, bundle_graph: bytes, cut: CutGraph, pixels: str | None, name: str
) -> float:
    """Return the largest difference between a file's own probabilities and those of its bundle.

    It is measured in a child process, on a few images without content: black, white, a gradient
    and noise.

    Args:
        data: The .tflite file's bytes, whose graph is valid.
        bundle_graph: The graph of its bundle, valid too.
        cut: What was cut of the file.
        pixels: As for ImportOptions.
        name: What errors call the file.

    Raises:
        PicaptionError: The runtime cannot run the file.
    """
    graphs = pickle.dumps(TrialGraphs(data, bundle_graph, cut, pixels))
    return float(run_in_child(TRIAL, graphs, name, TRIAL_SECONDS))


def measure_difference(graphs: TrialGraphs) -> float:
    """Return what score_difference does, by running both graphs in this process."""
    interpreter = make_interpreter(graphs.file, threads=1)
    (input_details,) = interpreter.get_input_details()
    (output_details,) = interpreter.get_output_details()
    bundle = make_interpreter(graphs.bundle, threads=1)
    encode = bundle.get_signature_runner("encode")
    classify = bundle.get_signature_runner("classify")
    scale, zero_point = output_details["quantization"]
    cut = graphs.cut
    differences = []
    for image in _test_images(cut.height, cut.width):
        values = image
        if input_details["dtype"] == np.float32:
            factor, offset = PIXELS[graphs.pixels or "0..255"]
            values = image * np.float32(factor) + np.float32(offset)
        elif input_details["dtype"] == np.int8:
            values = image.astype(np.int16) - UINT8_OFFSET
        interpreter.set_tensor(input_details["index"], values.astype(input_details["dtype"]))
        interpreter.invoke()
        scores = interpreter.get_tensor(output_details["index"])
        if scale:
            scores = (scores.astype(np.float32) - zero_point) * scale
        features = encode(image=image)["features"]
        actual = classify(features=features)["scores"]
        differences.append(np.abs(cut.probabilities(scores) - actual).max())
    return float(np.max(differences))


def _test_images(height: int, width: int) -> list[np.ndarray]:
    """Return images without content, uint8 [1, height, width, 3]."""
    shape = (1, height, width, 3)
    gradient = np.linspace(0, 255, height * width * 3).reshape(shape).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return [np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), gradient, noise]


def main() -> NoReturn:
    """Measure the graphs on standard input and exit."""
    graphs = pickle.load(sys.stdin.buffer)  # Written by this program, see score_difference.
    limit_resources(MEMORY_BYTES, CPU_SECONDS)
    line = None
    try:
        print(measure_difference(graphs), flush=True)
    except Exception as error:  # Whatever a graph from elsewhere leads to is the graph's fault.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        line = f"{CHILD_INPUT}: the TFLite runtime cannot run it: {reason}"
    end_trial(line)


if __name__ == "__main__":
    main()
