"""The layers' figures as Model Explorer shows them: its node data format.

`model-explorer BUNDLE --node_data_paths=FILE` opens a bundle and colours its operators by it. Model
Explorer calls each graph of a .tflite file by its subgraph's name, here that of the signature, and
each node by the operator's index. https://github.com/google-ai-edge/model-explorer/wiki
"""

from collections.abc import Sequence
from typing import Any

from .layer_snr import LayerFigures

#: What Model Explorer calls the figures.
NAME = "signal to noise, dB"
#: Colours of layers up to so many decibels: an error of a tenth of the power, of a hundredth, of a
#: thousandth; beyond, a layer stays white.
THRESHOLDS = ((10, "#e57373"), (20, "#ffb74d"), (30, "#fff176"))


def node_data(layers: Sequence[LayerFigures]) -> dict[str, Any]:
    """Return the decibels of layers by signature and operator, as plain values for JSON."""
    graphs: dict[str, Any] = {}
    for layer in layers:
        if layer.signature not in graphs:
            graphs[layer.signature] = {
                "name": NAME,
                "results": {},
                "thresholds": [
                    {"value": decibels, "bgColor": colour} for decibels, colour in THRESHOLDS
                ],
            }
        graphs[layer.signature]["results"][str(layer.operator)] = {"value": layer.decibels}
    return graphs
