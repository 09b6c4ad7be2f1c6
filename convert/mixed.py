"""Which few layers to keep in floating point, where 8 bits for all of them lose too much.

A tensor keeps all of its digits where the operator that computes it and all that take it are in
floating point, so these stay there together. How much such a group wins is measured: the graph is
quantized without it, and its outputs are compared with those of the float graph.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from .options import ConversionOptions
from .report.layer_snr import CASTS, compare_layers
from .tflite.calibration import CalibratedGraph, signature_outputs
from .tflite.export import Example
from .tflite.layer_names import layer_name

logger = logging.getLogger(__name__)

#: The points that a bundle may lose before layers stay in floating point, unless options name them.
MAX_LOSS = 1.0
#: Examples of each signature that groups are measured on.
MEASURED_EXAMPLES = 24
#: Groups that are measured: those whose outputs lose the most decibels.
MEASURED_GROUPS = 24

Result = TypeVar("Result")


@dataclass(frozen=True)
class FloatGroup:
    """Operators that stay in floating point together.

    Attributes:
        layer: The layer whose output they keep.
        nodes: Their names in the calibrated graph.
        gain: The share of the outputs' power that is not off any more without them in 8 bits; None
            where that is not measured.
    """

    layer: str
    nodes: frozenset[str]
    gain: float | None = None


def rank_groups(
    calibrated: CalibratedGraph, examples: Sequence[Example], options: ConversionOptions
) -> list[FloatGroup]:
    """Return a group for each operator, those first that win the most.

    Args:
        calibrated: The graph.
        examples: Inputs of its signatures.
        options: How to quantize.
    """
    examples = limit_examples(examples, MEASURED_EXAMPLES)
    expected = signature_outputs(calibrated.graph, examples)

    def quantize(nodes: frozenset[str]) -> bytes:
        return calibrated.keep_float(nodes).quantize(options.per_tensor, options.runtime)

    all_int8 = quantize(frozenset())
    before = relative_error(expected, signature_outputs(all_int8, examples))
    layers = compare_layers(calibrated.graph, all_int8, examples)
    lost = {layer.tensor: layer.lost for layer in layers}
    nodes = [node for node in calibrated.nodes if node.opcode not in CASTS]
    nodes.sort(key=lambda node: lost.get(node.name, 0.0), reverse=True)
    measured = []
    for node in tqdm(nodes[:MEASURED_GROUPS], "layers in floating point", disable=None):
        group = float_group(calibrated, node.name)
        after = relative_error(expected, signature_outputs(quantize(group.nodes), examples))
        measured.append(FloatGroup(group.layer, group.nodes, before - after))
    measured.sort(key=_gain, reverse=True)
    return measured + [float_group(calibrated, node.name) for node in nodes[MEASURED_GROUPS:]]


def _gain(group: FloatGroup) -> float:
    return group.gain or 0.0


def float_group(calibrated: CalibratedGraph, name: str) -> FloatGroup:
    """Return the group that keeps the output of a node in floating point."""
    takers = [node.name for node in calibrated.takers(name)]
    return FloatGroup(layer_name(name), frozenset((name, *takers)))


def union(groups: Iterable[FloatGroup]) -> frozenset[str]:
    """Return the nodes of several groups."""
    return frozenset(node for group in groups for node in group.nodes)


def limit_examples(examples: Iterable[Example], count: int) -> list[Example]:
    """Return the first `count` examples of each signature, in their order."""
    counts: dict[str, int] = {}
    first = []
    for signature, inputs in examples:
        counts[signature] = counts.get(signature, 0) + 1
        if counts[signature] <= count:
            first.append((signature, inputs))
    return first


def relative_error(
    expected: Sequence[dict[str, np.ndarray]], actual: Sequence[dict[str, np.ndarray]]
) -> float:
    """Return the share of outputs' power that is off, the mean over all outputs of all examples."""
    shares = []
    for expected_outputs, actual_outputs in zip(expected, actual):
        for name, output in expected_outputs.items():
            noise = float(((output - actual_outputs[name]) ** 2).sum())
            shares.append(noise / max(float((output**2).sum()), 1e-30))
    return float(np.mean(shares))


@dataclass(frozen=True)
class Loss:
    """What a candidate loses: points, and whether it is close enough to the float model."""

    points: float
    is_enough: bool


def fewest(
    count: int, make: Callable[[int], Result], measure: Callable[[Result], Loss]
) -> tuple[int, Result, Loss]:
    """Return the least number of groups that is enough, what it makes and what that loses.

    It doubles the number until that is enough, and then halves the distance to the last that was
    not. Where none is enough, the number that loses the least is returned.

    Args:
        count: The largest number.
        make: Makes a candidate with a number of groups in floating point.
        measure: Returns what a candidate loses.
    """
    tried: dict[int, tuple[Result, Loss]] = {}

    def is_enough(number: int) -> bool:
        candidate = make(number)
        loss = measure(candidate)
        logger.info("with %d groups in floating point, it loses %.2f points", number, loss.points)
        tried[number] = (candidate, loss)
        return loss.is_enough

    too_few = 0
    enough = 1
    while not is_enough(enough):
        if enough == count:
            best = min(tried, key=lambda number: tried[number][1].points)
            return best, *tried[best]
        too_few = enough
        enough = min(2 * enough, count)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if is_enough(middle):
            enough = middle
        else:
            too_few = middle
    return enough, *tried[enough]
