"""The TFLite runtime: ai-edge-litert if it is installed, else tflite-runtime."""

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from typing import Any

from ..errors import PicaptionError
from ..images import quiet_stderr

#: Interpreter modules and the distributions they come in, best first.
RUNTIMES = (
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ("tflite_runtime.interpreter", "tflite-runtime"),
)
#: The most threads that an interpreter gets by default.
MAX_DEFAULT_THREADS = 4

#: The only distribution that `load_runtime` tries, if `use_runtime` named one.
_chosen: str | None = None


def use_runtime(distribution: str) -> None:
    """Use the runtime of this distribution, and no other, from now on in this process."""
    global _chosen
    _chosen = distribution


def load_runtime() -> tuple[Any, str]:
    """Return the best runtime's Interpreter class, and its name and version.

    Raises:
        PicaptionError: No runtime is installed, or none loads.
    """
    failures = []
    for module, distribution in RUNTIMES:
        if _chosen not in (None, distribution):
            continue
        try:
            interpreter = importlib.import_module(module).Interpreter
        except (ImportError, AttributeError) as error:
            if importlib.util.find_spec(module.partition(".")[0]):
                reason = str(error).partition("\n")[0]
                failures.append(f"{distribution} does not load: {reason}")
            continue
        return interpreter, f"{distribution} {importlib.metadata.version(distribution)}"
    if sys.maxsize <= 2**32:
        raise PicaptionError(
            "this is a 32-bit Python, for which there is no TFLite runtime: use a 64-bit system"
        )
    raise PicaptionError(
        "; ".join(failures) or "no TFLite runtime is installed: pip install ai-edge-litert"
    )


def runtime_name() -> str:
    """Return the name and version of the runtime in use, such as "ai-edge-litert 2.3.0"."""
    return load_runtime()[1]


def make_interpreter(graph: bytes, threads: int | None = None) -> Any:
    """Return an interpreter, ready to run.

    Args:
        graph: The bytes of a TFLite flatbuffer.
        threads: How many threads it computes with; up to MAX_DEFAULT_THREADS by default.

    Raises:
        ValueError: The bytes are not a TFLite graph.
    """
    interpreter_class = load_runtime()[0]
    threads = threads or min(MAX_DEFAULT_THREADS, os.cpu_count() or 1)
    interpreter = interpreter_class(model_content=graph, num_threads=threads)
    with quiet_stderr():  # LiteRT announces its delegate there.
        interpreter.allocate_tensors()
    return interpreter
