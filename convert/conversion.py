"""A float model becomes a checked bundle: the stages that every source of models shares.

Convert, train the weights to their quantization where it loses too much, compare the bundle with
the float model on images held out, report, and write it if it keeps the bounds.
"""

import logging
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from picaption.device.bundle.archive import Contents, write_bundle
from picaption.device.bundle.bundle import Bundle, write_checked
from picaption.device.errors import PicaptionError
from picaption.device.recognition.model import Model
from picaption.models.data.readers import Dataset

from .agreement import compare
from .mixed import MAX_LOSS, Loss, fewest, rank_groups, union
from .options import Agreement, ConversionOptions
from .report.figures import MixedOutcome, Report, Representative
from .report.measure import (
    EvaluationData,
    Graphs,
    data_without,
    loss_measure,
    measure_mixed,
    measure_report,
)
from .representative import RepresentativeImages
from .tflite.calibration import CalibratedGraph
from .tflite.export import ACTIVATIONS, Example, Functions, calibrate

logger = logging.getLogger(__name__)

FLOAT32 = ConversionOptions(precision="float32")


@dataclass(frozen=True)
class Candidate:
    """A conversion.

    Attributes:
        functions: What it was made of.
        named: Its graph, whose tensors name their layers, with the signatures of the bundle but
            `classify` where the bundle's is written without TensorFlow.
        contents: The bundle's contents.
    """

    functions: Functions
    named: bytes
    contents: Contents


@dataclass(frozen=True)
class FinetuneOutcome:
    """What training a bundle to its quantization changed.

    Attributes:
        bound: The points that it may lose.
        lost: The points that it lost before.
        lost_tuned: The points that it lost afterwards.
    """

    bound: float
    lost: float
    lost_tuned: float


class Source(ABC):
    """A float model, from wherever it comes, that can become a bundle.

    Attributes:
        functions: Its signatures, as tflite.export.freeze returns them.
    """

    #: What messages call the fields of Agreement that its bundle is compared by.
    field_names: ClassVar[Mapping[str, str]]

    functions: Functions

    @abstractmethod
    def build(
        self,
        functions: Functions,
        options: ConversionOptions,
        examples: Sequence[Example] | CalibratedGraph,
    ) -> Candidate:
        """Convert functions like its own to a Candidate.

        Args:
            functions: The signatures to convert.
            options: How to quantize.
            examples: The representative dataset, from calibration_examples, or what
                tflite.export.calibrate made of it; as convert_with_layer_names takes it.
        """

    @cached_property
    def float_candidate(self) -> Candidate:
        """Its functions as a Candidate that is not quantized."""
        return self.build(self.functions, FLOAT32, ())

    @property
    @abstractmethod
    def reference(self) -> Model:
        """The model to compare a bundle with."""

    @abstractmethod
    def calibration_examples(self, images: Sequence[np.ndarray]) -> list[Example]:
        """Return the inputs of its functions for images, uint8 [H, W, 3]."""

    @abstractmethod
    def layer_examples(self, images: Sequence[np.ndarray]) -> list[Example]:
        """Return the inputs of a bundle's signatures for images, to compare layers with."""

    @abstractmethod
    def finetune(self, images: Sequence[np.ndarray], options: ConversionOptions) -> Functions:
        """Return its functions, the encoder's weights trained to their quantization on images."""

    @abstractmethod
    def compare(self, bundle: Bundle, images: Sequence[np.ndarray]) -> Agreement:
        """Return how far a bundle is from the float model, by its field_names."""

    def compare_all(
        self, bundle: Bundle, images: Sequence[np.ndarray], agreement: Agreement
    ) -> Agreement:
        """Return the Agreement for a report, from what `compare` returned."""
        return agreement

    @abstractmethod
    def remedy(self, options: ConversionOptions) -> str:
        """Return what may help a bundle that is beyond the bounds."""


@dataclass
class Conversion:
    """The way from a Source to a bundle.

    Attributes:
        source: The float model.
        output: Where to write the bundle.
        images: The representative dataset.
        options: How to quantize.
        dataset: What to measure both models on; images that give ranges are left out. None:
            nothing but agreement.
        mapping: {class of the dataset: labels of the model}, or None where they are the same.
        on_report: Takes the report of the conversion before it is written or refused.
    """

    source: Source
    output: Path
    images: RepresentativeImages
    options: ConversionOptions
    dataset: Dataset | None = None
    mapping: Mapping[str, Sequence[str]] | None = None
    on_report: Callable[[Report], None] | None = None

    def __post_init__(self) -> None:
        self._data: EvaluationData | None = None
        self._all_int8: Candidate | None = None
        self._mixed_outcome: MixedOutcome | None = None
        if self.dataset is not None:
            calibration_paths = self.images.calibration_paths
            self._data = data_without(self.dataset, calibration_paths, self.mapping)

    def run(self) -> Agreement:
        """Convert the model and write the bundle.

        Raises:
            PicaptionError: TFLite has no operator for a layer, or the bundle is beyond the bounds;
                the output is then as it was.
        """
        candidate = self._best_candidate()
        agreement: Agreement

        def check(bundle: Bundle) -> None:
            nonlocal agreement
            agreement = self._check(candidate, bundle)

        write_checked(self.output, candidate.contents, check)
        return agreement

    def _best_candidate(self) -> Candidate:
        """Return the conversion, fine-tuned or with layers in float if it loses too much."""
        examples: list[Example] = []
        if self.options.precision in ACTIVATIONS:
            examples = self.source.calibration_examples(self.images.calibration)
        if self.options.mixed:
            return self._mixed(examples)
        first = self.source.build(self.source.functions, self.options, examples)
        if self.options.max_loss is None:
            return first

        def finetune() -> Candidate:
            functions = self.source.finetune(self.images.calibration, self.options)
            return self.source.build(functions, self.options, examples)

        return keep_better(first, finetune, self._loss_measure(), self.options.max_loss)

    def _mixed(self, examples: Sequence[Example]) -> Candidate:
        """Return the conversion with as few layers in floating point as its bound takes.

        What they change is in its provenance.
        """
        calibrated = calibrate(self.source.functions, examples)
        bound = MAX_LOSS if self.options.max_loss is None else self.options.max_loss
        points_lost = self._points_lost_measure()

        def measure(candidate: Candidate) -> Loss:
            bundle = open_contents(candidate.contents)
            points = points_lost(bundle)
            beyond = self.source.compare(bundle, self.images.held_out).beyond(self.options.bounds)
            return Loss(points, points <= bound and not beyond)

        def build(nodes: frozenset[str]) -> Candidate:
            plan = calibrated.keep_float(nodes)
            return self.source.build(self.source.functions, self.options, plan)

        self._all_int8 = build(frozenset())
        all_int8 = measure(self._all_int8)
        if all_int8.is_enough:
            return self._all_int8
        groups = rank_groups(calibrated, examples, self.options)

        def build_mixed(count: int) -> Candidate:
            return build(union(groups[:count]))

        count, best, mixed = fewest(len(groups), build_mixed, measure)
        outcome = MixedOutcome(
            bound=bound,
            lost=round(all_int8.points, 2),
            lost_mixed=round(mixed.points, 2),
            layers=tuple(dict.fromkeys(group.layer for group in groups[:count])),
            operators=len(union(groups[:count])),
            all_operators=len(calibrated.nodes),
            bytes_int8=len(self._all_int8.contents.graph),
            bytes=len(best.contents.graph),
        )
        self._mixed_outcome = outcome
        return with_provenance(best, "mixed", asdict(outcome))

    def _loss_measure(self) -> Callable[[Candidate], float]:
        """Return a function of a Candidate that returns the points that it loses."""
        points_lost = self._points_lost_measure()

        def measure(candidate: Candidate) -> float:
            return points_lost(open_contents(candidate.contents))

        return measure

    def _points_lost_measure(self) -> Callable[[Bundle], float]:
        """Return a function of a Bundle that returns the points that it loses."""
        if self._data is not None:
            return loss_measure(self.source.reference, self._data)
        return self._share_of_other_classes

    def _share_of_other_classes(self, bundle: Bundle) -> float:
        """Return the percentage of held-out images with another likeliest class."""
        return 100 * (1 - compare(self.source.reference, bundle, self.images.held_out).top)

    def _check(self, candidate: Candidate, bundle: Bundle) -> Agreement:
        """Compare a bundle with the float model, report, and raise if it is beyond the bounds."""
        agreement = self.source.compare(bundle, self.images.held_out)
        logger.info(
            "%s: %.2f MB; float against %s on %d other pictures: %s",
            self.output,
            bundle.path.stat().st_size / 1e6,
            self.options.precision,
            len(self.images.held_out),
            agreement,
        )
        beyond = agreement.beyond(self.options.bounds)
        if self.on_report is not None:
            self.on_report(self._report(candidate, bundle, agreement, beyond))
        if beyond:
            name = beyond[0]
            raise PicaptionError(
                f"{self.output} is not written: its {self.source.field_names[name]} differ from "
                f"the float model by {getattr(agreement, name):.4f}, more than "
                f"{getattr(self.options.bounds, name)}; {self.source.remedy(self.options)}"
            )
        return agreement

    def _report(
        self, candidate: Candidate, bundle: Bundle, agreement: Agreement, beyond: list[str]
    ) -> Report:
        """Return the report of a conversion."""
        exact = self.source.float_candidate
        if candidate.functions is not self.source.functions:  # It is fine-tuned.
            exact = self.source.build(candidate.functions, FLOAT32, ())
        held_out = self.images.held_out
        mixed = None
        if self._mixed_outcome is not None and self._all_int8 is not None:
            mixed = measure_mixed(
                self._mixed_outcome, self._all_int8.contents.graph, candidate.contents.graph
            )
        return measure_report(
            self.source.reference,
            bundle,
            Graphs(exact.named, candidate.named, exact.contents.graph, candidate.contents.graph),
            self.source.layer_examples(held_out),
            self.options,
            Representative(len(self.images.calibration), self.options.seed, len(held_out)),
            self.source.compare_all(bundle, held_out, agreement),
            beyond,
            self._data,
            mixed,
        )


def keep_better(
    first: Candidate,
    finetune: Callable[[], Candidate],
    points_lost: Callable[[Candidate], float],
    max_loss: float,
) -> Candidate:
    """Return a Candidate, or the better of it and its fine-tuning if it loses too much.

    Args:
        first: The candidate.
        finetune: Returns the fine-tuned one.
        points_lost: Returns the points that a candidate loses.
        max_loss: The points that it may lose.

    Returns:
        The candidate that loses less, with the FinetuneOutcome in its provenance.
    """
    lost = points_lost(first)
    if lost <= max_loss:
        return first
    tuned = finetune()
    outcome = FinetuneOutcome(max_loss, round(lost, 2), round(points_lost(tuned), 2))
    best = tuned if outcome.lost_tuned < outcome.lost else first
    return with_provenance(best, "tuned", asdict(outcome))


def with_provenance(candidate: Candidate, name: str, value: Any) -> Candidate:
    """Return a candidate with another entry in its bundle's provenance."""
    metadata = candidate.contents.metadata
    metadata = replace(metadata, provenance=metadata.provenance | {name: value})
    return replace(candidate, contents=replace(candidate.contents, metadata=metadata))


def open_contents(contents: Contents) -> Bundle:
    """Return the Bundle of contents that are in no file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bundle.tflite")
        write_bundle(path, contents)
        return Bundle(path)
