"""The module that reads and writes a classifier in a graph, or one line that says what it needs."""

from types import ModuleType

from ..errors import PicaptionError


def classifier_graph() -> ModuleType:
    """Return picaption.device.bundle.classifier_graph, which needs the schema of TFLite's files."""
    try:
        from ..bundle import classifier_graph as module
    except ImportError:
        raise PicaptionError(
            "teaching writes a graph, for which tflite-runtime has no means: "
            "pip install ai-edge-litert"
        ) from None
    return module
