"""Measure what a conversion did to a model."""

import hashlib
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.runtime import make_interpreter, runtime_name
from picaption.device.errors import PicaptionError
from picaption.device.recognition.model import Model
from picaption.device.recognition.recognizer import Recognizer, best_caption
from picaption.models.data.readers import Dataset
from picaption.models.evaluation.evaluate import LabelMapping, evaluate_captions, evaluate_classes
from picaption.models.evaluation.metrics import style_figures

from ..options import Agreement, ConversionOptions
from ..tflite.export import Example
from ..tflite.operators import Operator, constant_bytes, read_operators
from .diagnostics import diagnose
from .figures import (
    CaptionVariety,
    EvaluationFigures,
    Latency,
    LayerOperator,
    MixedFigures,
    MixedOutcome,
    OperatorCount,
    OutsideOperator,
    PartSize,
    Percentiles,
    Report,
    Representative,
    SignatureLatency,
)
from .layer_snr import CASTS, compare_layers

#: What a bundle's signatures are parts of.
PART_NAMES = {"encode": "encoder", "next_word": "captioner", "classify": "classifier"}
#: How long each signature is timed, in float32 and in the bundle, and how often at most.
MAX_TIMING_SECONDS = 1.0
MAX_TIMING_ROUNDS = 200
MIN_TIMING_ROUNDS = 10
#: The scores that a bundle may lose points of: the first that a dataset measures.
LOSS_SCORES = ("CIDEr", "mAP", "top_1")
#: What evaluate measures that says nothing of a model's quality.
NOT_SCORES = ("milliseconds", "tokenizer", "classes")


@dataclass(frozen=True)
class EvaluationData:
    """What both models are measured on.

    Attributes:
        dataset: Images that gave no ranges.
        left_out: How many images did.
        mapping: As picaption.models.evaluation.evaluate.evaluate_classes takes it.
    """

    dataset: Dataset
    left_out: int
    mapping: LabelMapping | None = None


@dataclass(frozen=True)
class Graphs:
    """The flatbuffers of a conversion, in float32 and quantized.

    `named_float` and `named` are those whose tensors name their layers, `float32` and `bundle`
    those that bundles hold.
    """

    named_float: bytes
    named: bytes
    float32: bytes
    bundle: bytes


def measure_report(
    model: Model,
    bundle: Bundle,
    graphs: Graphs,
    examples: Sequence[Example],
    options: ConversionOptions,
    representative: Representative,
    agreement: Agreement,
    beyond: Sequence[str],
    data: EvaluationData | None = None,
    mixed: MixedFigures | None = None,
) -> Report:
    """Measure a conversion, and diagnose it.

    Args:
        model: The float model.
        bundle: What it became.
        graphs: Their graphs.
        examples: Inputs of the signatures for images that gave no ranges.
        options: What was asked for.
        representative: The images of the conversion.
        agreement: How far the bundle is from the model.
        beyond: What of that is beyond the bounds.
        data: What to measure both on; None: nothing but the above.
        mixed: What layers in floating point win and cost, from measure_mixed.
    """
    operators = read_operators(graphs.bundle, graphs.named)
    report = Report(
        precision=options.precision,
        weights=options.weight_scales,
        runtime=options.runtime,
        bounds=options.bounds,
        representative=representative,
        agreement=agreement,
        beyond=tuple(beyond),
        name=bundle.metadata.name,
        sha256=hashlib.sha256(bundle.path.read_bytes()).hexdigest(),
        versions={name: version(name) for name in ("tensorflow", "keras", "ai-edge-litert")},
        sizes=part_sizes(bundle.path, graphs),
        layers=tuple(compare_layers(graphs.named_float, graphs.named, examples)),
        operators={name: count_operators(entries) for name, entries in operators.items()},
        outside_xnnpack=_outside_xnnpack(operators),
        float_operators=_float_operators(operators),
        multiply_adds={
            name: sum(operator.multiply_adds for operator in entries)
            for name, entries in operators.items()
        },
        evaluation=_evaluate_both(model, bundle, data),
        captions=_caption_variety(bundle, examples),
        latency=measure_latency(graphs),
        mixed=mixed,
    )
    return replace(report, advice=tuple(diagnose(report)))


def measure_mixed(outcome: MixedOutcome, all_int8: bytes, graph: bytes) -> MixedFigures:
    """Return what layers in floating point win and cost, by the encoders of two bundles' graphs."""
    runners = [
        make_interpreter(flatbuffer, threads=1).get_signature_runner("encode")
        for flatbuffer in (all_int8, graph)
    ]
    milliseconds = time_in_turns(*runners)
    return MixedFigures(outcome, milliseconds.float32, milliseconds.bundle)


def count_operators(operators: Sequence[Operator]) -> dict[str, OperatorCount]:
    """Return how many operators there are by opcode, the most frequent first."""
    counts = Counter(operator.opcode for operator in operators)
    delegated = Counter(operator.opcode for operator in operators if operator.xnnpack)
    return {
        opcode: OperatorCount(count, delegated[opcode]) for opcode, count in counts.most_common()
    }


def _outside_xnnpack(operators: Mapping[str, Sequence[Operator]]) -> tuple[OutsideOperator, ...]:
    return tuple(
        OutsideOperator(name, operator.layer, operator.opcode, operator.multiply_adds)
        for name, entries in operators.items()
        for operator in entries
        if not operator.xnnpack
    )


def _float_operators(operators: Mapping[str, Sequence[Operator]]) -> tuple[LayerOperator, ...]:
    return tuple(
        LayerOperator(name, operator.layer, operator.opcode)
        for name in ("encode", "next_word")
        for operator in operators.get(name, ())
        if operator.dtype == "FLOAT32" and operator.opcode not in CASTS
    )


def part_sizes(path: Path, graphs: Graphs) -> dict[str, PartSize]:
    """Return the sizes of all parts of the bundle at `path`; they add up to the file."""
    float_sizes = _graph_sizes(graphs.float32)
    bundle_sizes = _graph_sizes(graphs.bundle)
    with zipfile.ZipFile(path) as archive:
        members = {
            info.filename.partition(".")[0]: info.compress_size for info in archive.infolist()
        }
    del members["sha256"]  # It is the archive's own, as its directory is.
    members["archive"] = path.stat().st_size - len(graphs.bundle) - sum(members.values())
    return {
        name: PartSize((float_sizes | members)[name], size)
        for name, size in (bundle_sizes | members).items()
    }


def _graph_sizes(graph: bytes) -> dict[str, int]:
    return {PART_NAMES.get(name, name): size for name, size in constant_bytes(graph).items()}


def _evaluate_both(
    model: Model, bundle: Bundle, data: EvaluationData | None
) -> EvaluationFigures | None:
    if data is None:
        return None
    return EvaluationFigures(
        float32=evaluate_model(model, data),
        bundle=evaluate_model(bundle, data),
        left_out=data.left_out,
    )


def evaluate_model(model: Model, data: EvaluationData) -> dict[str, Any]:
    """Return what picaption evaluate measures of captions and of classes.

    It is what both the model and the dataset have.
    """
    recognizer = Recognizer(model)
    figures: dict[str, Any] = {}
    if model.vocabulary and any(record.captions for record in data.dataset.records):
        figures |= evaluate_captions(recognizer, data.dataset).figures
    if data.dataset.classes:
        figures |= evaluate_classes(recognizer, data.dataset, data.mapping).figures
    return {name: value for name, value in figures.items() if name not in NOT_SCORES}


def _caption_variety(bundle: Bundle, examples: Sequence[Example]) -> CaptionVariety | None:
    """Return how a bundle's captions of the images among the examples vary."""
    vocabulary = bundle.vocabulary
    if not vocabulary:
        return None
    images = [inputs["image"][0] for signature, inputs in examples if signature == "encode"]
    captions = [
        " ".join(vocabulary.decode(best_caption(bundle, bundle.encode(image)).words))
        for image in images
    ]
    style = style_figures(captions)
    return CaptionVariety(
        images=len(images),
        distinct=int(style["distinct"]),
        unfinished=style["unfinished"],
        repeating=style["repeating"],
    )


def loss_measure(model: Model, data: EvaluationData) -> Callable[[Bundle], float]:
    """Return a function that returns the points that a bundle loses on the float model.

    They are points of the first of LOSS_SCORES that the data measures.
    """
    scores = evaluate_model(model, data)
    name = next(name for name in LOSS_SCORES if name in scores)

    def points_lost(bundle: Bundle) -> float:
        return scores[name] - evaluate_model(bundle, data)[name]

    return points_lost


def data_without(
    dataset: Dataset,
    paths: Sequence[Path],
    mapping: LabelMapping | None = None,
) -> EvaluationData:
    """Return a dataset without the images at `paths`.

    Raises:
        PicaptionError: There are no others.
    """
    left_out = {Path(path).resolve() for path in paths}
    records = tuple(record for record in dataset.records if record.path.resolve() not in left_out)
    if not records:
        raise PicaptionError(
            "the pictures to measure on are those that give the ranges: name others with --split, "
            "or give others with --representative"
        )
    left_out_count = len(dataset.records) - len(records)
    return EvaluationData(replace(dataset, records=records), left_out_count, mapping)


def measure_latency(graphs: Graphs) -> Latency:
    """Return what each signature takes on one thread here, in float32 and in the bundle."""
    float_interpreter = make_interpreter(graphs.float32, threads=1)
    bundle_interpreter = make_interpreter(graphs.bundle, threads=1)
    return Latency(
        runtime=runtime_name(),
        threads=1,
        milliseconds={
            signature: time_in_turns(
                float_interpreter.get_signature_runner(signature),
                bundle_interpreter.get_signature_runner(signature),
            )
            for signature in float_interpreter.get_signature_list()
        },
    )


def time_in_turns(float_runner: Any, bundle_runner: Any) -> SignatureLatency:
    """Return what two signature runners take when they take turns; the first tenth warms up."""
    runners = (float_runner, bundle_runner)
    inputs = [_ones(runner) for runner in runners]
    seconds = MAX_TIMING_SECONDS * len(runners)
    rounds: list[list[float]] = []
    start = time.perf_counter()
    while len(rounds) < MIN_TIMING_ROUNDS or (
        len(rounds) < MAX_TIMING_ROUNDS and time.perf_counter() - start < seconds
    ):
        milliseconds = []
        for runner, arrays in zip(runners, inputs):
            began = time.perf_counter()
            runner(**arrays)
            milliseconds.append((time.perf_counter() - began) * 1e3)
        rounds.append(milliseconds)
    percentiles = np.percentile(rounds[len(rounds) // 10 :], (50, 90), axis=0)
    float_column, bundle_column = percentiles.T.round(3).tolist()
    return SignatureLatency(Percentiles(*float_column), Percentiles(*bundle_column))


def _ones(runner: Any) -> dict[str, np.ndarray]:
    """Return inputs for a signature runner."""
    return {
        name: np.ones(details["shape"], details["dtype"])
        for name, details in runner.get_input_details().items()
    }
