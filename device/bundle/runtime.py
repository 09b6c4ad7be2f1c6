"""The TFLite runtime: ai-edge-litert where it is installed, else tflite-runtime."""

import importlib
import importlib.metadata
import importlib.util
import os
import sys

from ..errors import PicaptionError
from ..images import quiet_stderr

#: Interpreter modules and the distributions they come in, best first.
RUNTIMES = (
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ("tflite_runtime.interpreter", "tflite-runtime"),
)


def load_runtime():
    """Return (Interpreter class, its name and version); raises PicaptionError where there is no runtime."""
    failures = []
    for module, distribution in RUNTIMES:
        try:
            interpreter = importlib.import_module(module).Interpreter
        except (ImportError, AttributeError) as error:
            if importlib.util.find_spec(module.partition(".")[0]):
                failures.append(f"{distribution} does not load: {str(error).partition(chr(10))[0]}")
            continue
        return interpreter, f"{distribution} {importlib.metadata.version(distribution)}"
    if sys.maxsize <= 2**32:
        raise PicaptionError(
            "this is a 32-bit Python, for which there is no TFLite runtime: use a 64-bit system"
        )
    raise PicaptionError(
        "; ".join(failures) or "no TFLite runtime is installed: pip install ai-edge-litert"
    )


def runtime_name():
    """Return the name and version of the runtime in use, such as "ai-edge-litert 2.3.0"."""
    return load_runtime()[1]


def make_interpreter(graph, threads=None):
    """Return an interpreter over `graph`, a TFLite flatbuffer's bytes, with `threads` threads (default: up to 4).

    Raises ValueError where the bytes are no TFLite graph.
    """
    interpreter = load_runtime()[0](
        model_content=graph, num_threads=threads or min(4, os.cpu_count() or 1)
    )
    with quiet_stderr():  # LiteRT tells there of its delegate.
        interpreter.allocate_tensors()
    return interpreter
