"""A Keras classifier from elsewhere, .keras, .h5 or SavedModel, as a quantized, checked bundle."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.metadata import Input
from picaption.device.errors import PicaptionError
from picaption.models.data.readers import Dataset
from picaption.models.files import need_folder
from picaption.models.networks.network_file import LOAD_ERRORS, describe_cause, load_network
from picaption.models.settings import PIXELS

from .agreement import compare
from .conversion import Candidate, Conversion, Source, open_contents
from .import_tflite import CutGraph, cut_graph, to_contents
from .options import Agreement, ConversionOptions, ImportOptions
from .qat import finetune_encoder, single_scale_opcodes
from .report.figures import Report
from .representative import choose_images
from .tflite.calibration import CalibratedGraph
from .tflite.export import Example, Functions, convert_with_layer_names, freeze
from .tflite.to_tensorflow import TFLiteFunction


def convert_keras(
    path: Path,
    output: Path,
    representative: Path,
    classifier: ImportOptions,
    options: ConversionOptions | None = None,
    *,
    images: Path | None = None,
    dataset: Dataset | None = None,
    mapping: Mapping[str, Sequence[str]] | None = None,
    on_report: Callable[[Report], None] | None = None,
) -> Agreement:
    """Convert a Keras classifier to a bundle.

    Args:
        path: The .keras or .h5 file, or the folder of a SavedModel.
        output: Where to write the bundle.
        representative: As for convert.convert.
        classifier: What the file does not say; labels and pixels are needed.
        options: How to quantize; None: as ConversionOptions has it.
        images: As for convert.convert.
        dataset: As for convert.convert.
        mapping: {class of the dataset: labels of the classifier}, or None where they are the same.
        on_report: As for convert.convert.

    Returns:
        How far the bundle's scores are from the classifier's.

    Raises:
        PicaptionError: It is no classifier of images, TFLite lacks an operator, or the bundle is
            beyond the bounds; `output` is then as it was.
    """
    options = options or ConversionOptions()
    path = Path(path)
    if not classifier.labels:
        raise PicaptionError(f"{path}: give its class names, one a line, with --names")
    need_folder(output)
    options.check()
    source = KerasSource(path, classifier)
    chosen = choose_images(representative, images, source.input, options)
    conversion = Conversion(source, output, chosen, options, dataset, mapping, on_report)
    return conversion.run()


class KerasSource(Source):
    """A Keras classifier.

    Attributes:
        input: The images that it takes.
    """

    field_names: ClassVar[Mapping[str, str]] = {"classes": "probabilities"}

    def __init__(self, path: Path, classifier: ImportOptions) -> None:
        """Load a classifier and freeze it.

        Args:
            path: The file or folder.
            classifier: What it does not say.

        Raises:
            PicaptionError: It is no classifier of images.
        """
        self.path = path
        self.classifier = classifier
        self._scores, (height, width) = freeze_scores(path, classifier.pixels, classifier.size)
        self.functions = {"serve": self._scores}
        self._cut: CutGraph | None = None
        self.input = Input(height, width, classifier.resize)

    @cached_property
    def reference(self) -> Bundle:
        """The classifier as a bundle that is not quantized."""
        return open_contents(self.float_candidate.contents)

    def build(
        self,
        functions: Functions,
        options: ConversionOptions,
        examples: Sequence[Example] | CalibratedGraph,
    ) -> Candidate:
        """Convert functions, and cut the graph into `encode` and `classify`."""
        try:
            graph = convert_with_layer_names(
                functions, options.precision, examples, options.per_tensor, options.runtime
            )
        except PicaptionError as error:
            raise PicaptionError(f"{self.path}: {error}") from None
        cut = cut_graph(graph, self.path.name, None, self.classifier.head)
        self._cut = cut
        contents = to_contents(cut, graph, self.path.name, self.classifier)
        return Candidate(functions, cut.graph, contents)

    def calibration_examples(self, images: Sequence[np.ndarray]) -> list[Example]:
        """Return the inputs of the classifier for images."""
        return [("serve", {"image": image[None]}) for image in images]

    def layer_examples(self, images: Sequence[np.ndarray]) -> list[Example]:
        """Return the inputs of `encode` and `classify` for images."""
        examples: list[Example] = []
        for image in images:
            features = self.reference.encode(image).features
            examples.append(("encode", {"image": image[None]}))
            examples.append(("classify", {"features": features}))
        return examples

    def finetune(self, images: Sequence[np.ndarray], options: ConversionOptions) -> Functions:
        """Return the classifier with a fine-tuned encoder."""
        graph = self.float_candidate.named
        single_scale = single_scale_opcodes(options.per_tensor, options.runtime)
        encode = finetune_encoder(graph, images, single_scale, options.seed)
        classify = TFLiteFunction(graph, "classify")

        def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return classify({"features": encode(image)["features"]})

        return {"serve": freeze(serve, self._scores.input_signature[0])}

    def compare(self, bundle: Bundle, images: Sequence[np.ndarray]) -> Agreement:
        """Return how far a bundle's scores are from the classifier's."""
        scores = np.stack([self._scores(image[None])["scores"].numpy() for image in images])
        assert self._cut is not None
        expected = self._cut.probabilities(scores)
        actual = np.stack(
            [bundle.classify(bundle.encode(image).features, None) for image in images]
        )
        return Agreement(
            features=0.0,
            words=0.0,
            classes=float(np.abs(expected - actual).mean()),
            caption=1.0,
            top=float((expected.argmax(1) == actual.argmax(1)).mean()),
        )

    def compare_all(
        self, bundle: Bundle, images: Sequence[np.ndarray], agreement: Agreement
    ) -> Agreement:
        """Return how far a bundle is from the one that is not quantized, features and scores."""
        return compare(self.reference, bundle, images)

    def remedy(self, options: ConversionOptions) -> str:
        """Return what may help a bundle that is beyond the bounds."""
        return (
            "give more representative pictures, like those it was trained on, or another "
            "--precision"
        )


def freeze_scores(path: Path, pixels: str | None, size: int | None) -> tuple[Any, tuple[int, int]]:
    """Return a Keras classifier as a frozen function, and the size of its images.

    Args:
        path: The file or folder.
        pixels: The range that it takes, one of PIXELS.
        size: The side of its images, where it takes any.

    Returns:
        The function {"scores": float32 [1, C]} of an image uint8 [1, H, W, 3], and (H, W).

    Raises:
        PicaptionError: It is no classifier of images, or `pixels` is None.
    """
    if not pixels:
        raise PicaptionError(
            f"{path}: tell the range of pixels that it was trained with, with --pixels, one of "
            f"{', '.join(PIXELS)}"
        )
    network = load_network(path, size)
    network.check_pixels(path, pixels)
    call, shape = network.call, network.input_shape
    factor, offset = PIXELS[pixels]

    def scores(image: tf.Tensor) -> dict[str, tf.Tensor]:
        if network.takes_integers:
            return {"scores": call(image)}
        return {"scores": call(tf.cast(image, tf.float32) * factor + offset)}

    try:
        frozen = freeze(scores, tf.TensorSpec((1, *shape), tf.uint8, "image"))
    except LOAD_ERRORS as error:
        raise PicaptionError(
            f"{path}: it does not take pictures of {list(shape)}: {describe_cause(error)}"
        ) from None
    return frozen, (shape[0], shape[1])
