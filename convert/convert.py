"""From a training run's folder to a checked bundle."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from picaption.device.bundle.archive import Contents
from picaption.device.bundle.bundle import Bundle
from picaption.device.errors import PicaptionError
from picaption.device.recognition.beam_search import beam_search
from picaption.models.data.batches import windows
from picaption.models.data.readers import Dataset
from picaption.models.files import need_folder
from picaption.models.run_folder import FloatModel

from .agreement import compare
from .conversion import Candidate, Conversion, Source
from .options import Agreement, ConversionOptions
from .qat import finetune_encoder, single_scale_opcodes
from .report.figures import Report
from .representative import choose_images
from .tflite.calibration import CalibratedGraph
from .tflite.export import (
    Example,
    Functions,
    convert_with_layer_names,
    history_type,
    signature_functions,
    to_bundle_graph,
)


def convert(
    run: Path,
    output: Path,
    representative: Path,
    options: ConversionOptions | None = None,
    *,
    images: Path | None = None,
    dataset: Dataset | None = None,
    on_report: Callable[[Report], None] | None = None,
) -> Agreement:
    """Convert a training run to a bundle.

    Args:
        run: The run's folder.
        output: Where to write the bundle.
        representative: A folder of images like those that the device will see, or a captions file
            of images in the folder `images`. Some give ranges, others check the result.
        options: How to quantize; None: as ConversionOptions has it.
        images: The folder of a captions file's images.
        dataset: What max_loss is measured on, and a report measures; without the images that give
            ranges. None: max_loss is in per cent of images with another likeliest class.
        on_report: Takes the report of the conversion before the bundle is written or refused.

    Returns:
        How far the bundle is from the float model.

    Raises:
        PicaptionError: The run or the images are unusable, or the bundle is beyond the bounds;
            `output` is then as it was.
    """
    options = options or ConversionOptions()
    need_folder(output)
    options.check()
    model = FloatModel(run)
    if options.needs_loss and not model.labels and dataset is None:
        option = "--mixed" if options.mixed else "--max-loss"
        raise PicaptionError(
            f"{option} takes something to lose of a run without classes: give --captions"
        )
    chosen = choose_images(representative, images, model.metadata.input, options)
    source = RunSource(model, options.precision)
    conversion = Conversion(source, output, chosen, options, dataset, None, on_report)
    return conversion.run()


class RunSource(Source):
    """A training run."""

    field_names: ClassVar[Mapping[str, str]] = {
        "features": "features",
        "words": "words",
        "classes": "classes",
        "largest": "classes of one picture",
    }

    def __init__(self, model: FloatModel, precision: str) -> None:
        """Freeze a run's signatures.

        Args:
            model: The run.
            precision: One of convert.PRECISIONS, which word ids depend on.
        """
        self.model = model
        self._history_dtype = history_type(precision)
        beam_width = model.metadata.beam.width
        self.functions = signature_functions(model, beam_width, self._history_dtype)

    @property
    def reference(self) -> FloatModel:
        """The run."""
        return self.model

    def build(
        self,
        functions: Functions,
        options: ConversionOptions,
        examples: Sequence[Example] | CalibratedGraph,
    ) -> Candidate:
        """Convert functions, and add the run's classifier."""
        named = convert_with_layer_names(
            functions, options.precision, examples, options.per_tensor, options.runtime
        )
        graph = to_bundle_graph(named, self.model, options.precision)
        model = self.model
        contents = Contents(graph, model.metadata, model.labels, model.vocabulary, model.names)
        return Candidate(functions, named, contents)

    def calibration_examples(self, images: Sequence[np.ndarray]) -> list[Example]:
        """Return the inputs of the signatures for images."""
        return representative_examples(self.model, images, self._history_dtype.as_numpy_dtype)

    def layer_examples(self, images: Sequence[np.ndarray]) -> list[Example]:
        """Return the inputs of the signatures for images."""
        return self.calibration_examples(images)

    def finetune(self, images: Sequence[np.ndarray], options: ConversionOptions) -> Functions:
        """Return the signatures with a fine-tuned `encode`."""
        single_scale = single_scale_opcodes(options.per_tensor, options.runtime)
        graph = self.float_candidate.named
        encode = finetune_encoder(graph, images, single_scale, options.seed)
        return {**self.functions, "encode": encode}

    def compare(self, bundle: Bundle, images: Sequence[np.ndarray]) -> Agreement:
        """Return how far a bundle is from the run."""
        return compare(self.model, bundle, images)

    def remedy(self, options: ConversionOptions) -> str:
        """Return what may help a bundle that is beyond the bounds."""
        if options.per_tensor:
            return "leave out --per-tensor"
        return "give more representative pictures, like those it was trained on"


def best_captions(model: FloatModel, context: np.ndarray) -> list[tuple[int, ...]]:
    """Return the captions that the beam search ends with for one image, best first.

    Args:
        model: The run.
        context: The image's context, from `encode`.

    Returns:
        The word ids of each.
    """

    def next_word(history: np.ndarray) -> np.ndarray:
        return model.next_word(history, context)

    hypotheses = beam_search(next_word, model.metadata.order, model.metadata.beam)
    return [hypothesis.words for hypothesis in hypotheses]


def representative_examples(
    model: FloatModel, images: Sequence[np.ndarray], history_dtype: type = np.int32
) -> list[Example]:
    """Return the inputs of the signatures for images, to calibrate with.

    Args:
        model: The run.
        images: uint8 RGB [H, W, 3], of the size that it takes.
        history_dtype: The dtype of word ids.
    """
    width = model.metadata.beam.width
    examples: list[Example] = []
    for image in tqdm(images, "representative dataset", disable=None):
        encoded = model.encode(image)
        examples.append(("encode", {"image": image[None]}))
        if encoded.context is None:
            continue
        captions = best_captions(model, encoded.context)
        histories = [windows(words, model.metadata.order)[0] for words in captions]
        history: np.ndarray = np.concatenate(histories).astype(history_dtype)
        for start in range(0, len(history) - width + 1, width):
            rows = history[start : start + width]
            examples.append(("next_word", {"history": rows, "context": encoded.context}))
    return examples
