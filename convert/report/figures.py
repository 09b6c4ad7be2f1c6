"""The figures of a conversion: how large its parts are, how accurate it is, and what it costs.

`Report.to_json` is the only place that knows the names in a report.json.
"""

from dataclasses import dataclass
from typing import Any

from picaption.device.json_form import to_json_form

from ..options import Agreement
from .layer_snr import LayerFigures

#: Version of the JSON form.
REPORT_FORMAT = 1

#: Fields that have another name in JSON.
_JSON_NAMES = {
    "images": "pictures",
    "opcode": "kind",
    "sizes": "bytes",
    "outside_xnnpack": "elsewhere",
    "float_operators": "floating",
}


@dataclass(frozen=True)
class Representative:
    """How many images gave ranges, the seed that drew them, and how many were compared on."""

    images: int
    seed: int
    held_out: int


@dataclass(frozen=True)
class PartSize:
    """The bytes of a part, in float32 and in the bundle."""

    float32: int
    bundle: int


@dataclass(frozen=True)
class OperatorCount:
    """How many operators of a kind there are, and how many of them XNNPACK runs."""

    all: int
    xnnpack: int


@dataclass(frozen=True)
class LayerOperator:
    """An operator such as CONV_2D, with its signature and the layer that it came from."""

    signature: str
    layer: str
    opcode: str


@dataclass(frozen=True)
class OutsideOperator(LayerOperator):
    """An operator that XNNPACK does not run, with its multiply-adds."""

    multiply_adds: int


@dataclass(frozen=True)
class EvaluationFigures:
    """The figures that picaption evaluate measures of both models.

    `left_out`: how many images were not measured on, since they gave ranges.
    """

    float32: dict[str, Any]
    bundle: dict[str, Any]
    left_out: int


@dataclass(frozen=True)
class CaptionVariety:
    """What the bundle says of the held-out images.

    Attributes:
        images: How many there are.
        distinct: How many different captions they get.
        unfinished: Per cent of captions that end in an article, preposition or conjunction.
        repeating: Per cent of captions with a pair of neighbouring words twice.
    """

    images: int
    distinct: int
    unfinished: float
    repeating: float


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds of a signature: the median and the 90th percentile."""

    median: float
    p90: float


@dataclass(frozen=True)
class SignatureLatency:
    """What a signature takes, in float32 and in the bundle."""

    float32: Percentiles
    bundle: Percentiles


@dataclass(frozen=True)
class Latency:
    """What each signature takes, by its name, with that runtime and number of threads."""

    runtime: str
    threads: int
    milliseconds: dict[str, SignatureLatency]


@dataclass(frozen=True)
class MixedOutcome:
    """What keeping layers in floating point changed.

    Attributes:
        bound: The points that the bundle may lose.
        lost: The points that it lost with all layers in 8 bits.
        lost_mixed: The points that it loses.
        layers: The layers whose outputs stay in floating point, the one that wins most first.
        operators: How many operators those are.
        all_operators: Of how many.
        bytes_int8: The graph's bytes with all layers in 8 bits.
        bytes: Its bytes.
    """

    bound: float
    lost: float
    lost_mixed: float
    layers: tuple[str, ...]
    operators: int
    all_operators: int
    bytes_int8: int
    bytes: int


@dataclass(frozen=True)
class MixedFigures:
    """What layers in floating point win and cost.

    `milliseconds_int8` and `milliseconds` are those of the encoder, with all layers in 8 bits and
    with some in floating point.
    """

    outcome: MixedOutcome
    milliseconds_int8: Percentiles
    milliseconds: Percentiles


@dataclass(frozen=True)
class Advice:
    """A symptom that the figures show, and its fix."""

    symptom: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """All figures of a conversion.

    Attributes:
        precision: One of convert.PRECISIONS.
        weights: What the weights' scales stand for.
        runtime: What the bundle is to run on.
        bounds: The bundle is not written where it is further from the float model.
        representative: The images of the conversion.
        agreement: How far the bundle is from the float model.
        beyond: The names of the figures of `agreement` that are beyond `bounds`.
        format: Version of the JSON form.
        name: The bundle's.
        sha256: Of the bundle's file.
        versions: Versions of the packages that converted it.
        sizes: All parts of the file, by name.
        layers: Signal to noise of the layers, in order.
        operators: How many operators each signature has, by opcode.
        outside_xnnpack: The operators that XNNPACK does not run.
        float_operators: The operators of `encode` and `next_word` in floating point, without casts.
        multiply_adds: Those of each signature.
        evaluation: What was measured on a dataset, None without one.
        captions: How the bundle's captions vary, None without a captioner.
        latency: What each signature takes here, the only figures that differ from time to time.
        mixed: What layers in floating point win and cost, None where none were to be kept there.
        advice: What is wrong with the conversion.
    """

    precision: str
    weights: str
    runtime: str
    bounds: Agreement
    representative: Representative
    agreement: Agreement
    beyond: tuple[str, ...]
    format: int = REPORT_FORMAT
    name: str
    sha256: str
    versions: dict[str, str]
    sizes: dict[str, PartSize]
    layers: tuple[LayerFigures, ...]
    operators: dict[str, dict[str, OperatorCount]]
    outside_xnnpack: tuple[OutsideOperator, ...]
    float_operators: tuple[LayerOperator, ...]
    multiply_adds: dict[str, int]
    evaluation: EvaluationFigures | None = None
    captions: CaptionVariety | None = None
    latency: Latency
    mixed: MixedFigures | None = None
    advice: tuple[Advice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, a dict of plain values."""
        values = to_json_form(self, _JSON_NAMES)
        for name in ("evaluation", "captions", "mixed"):
            if values[name] is None:
                del values[name]
        return values
