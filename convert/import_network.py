"""A float network from elsewhere, of Keras, ONNX or PyTorch, as a quantized, checked bundle."""

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
from picaption.models.networks.network_file import (
    BLUE_FIRST,
    LoadedNetwork,
    calling_errors,
    load_network,
)
from picaption.models.pixels import PixelScaling

from .agreement import compare, compare_features, compare_scores
from .conversion import Candidate, Conversion, Source, open_contents
from .import_tflite import CutGraph, cut_graph, to_contents
from .options import Agreement, ConversionOptions, ImportOptions
from .qat import finetune_encoder, single_scale_opcodes
from .report.figures import Report
from .representative import RepresentativeImages, choose_images
from .tflite.calibration import CalibratedGraph
from .tflite.export import Example, Functions, convert_with_layer_names, freeze
from .tflite.pooled import pooled_scores
from .tflite.to_tensorflow import TFLiteFunction

#: How many images a network's own scores are compared on before it is quantized.
CHECKED_IMAGES = 8


def convert_network(
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
    """Convert a classifier's file to a bundle.

    Args:
        path: A .keras, .h5, .onnx or .pt2 file, or the folder of a SavedModel.
        output: Where to write the bundle.
        representative: As for convert.convert.
        classifier: What the file does not say.
        options: How to quantize; None: as ConversionOptions has it.
        images: As for convert.convert.
        dataset: As for convert.convert.
        mapping: {class of the dataset: labels of the classifier}, or None where they are the same.
        on_report: As for convert.convert.

    Returns:
        How far the bundle's scores are from the classifier's own.

    Raises:
        PicaptionError: It is no classifier of images, TFLite lacks an operator, or the bundle is
            beyond the bounds; `output` is then as it was.
    """
    options = options or ConversionOptions()
    path = Path(path)
    need_folder(output)
    options.check()
    network = load_network(path, classifier.size, classifier.output_name)
    source = NetworkSource(path, network, classifier)
    chosen = choose_images(representative, images, source.input, options)
    source.check_exact(chosen)
    conversion = Conversion(source, output, chosen, options, dataset, mapping, on_report)
    return conversion.run()


class NetworkSource(Source):
    """A classifier of Keras, ONNX or PyTorch, or a network of features.

    Attributes:
        input: The images that it takes.
    """

    field_names: ClassVar[Mapping[str, str]] = {
        "classes": "probabilities",
        "largest": "probabilities of one picture",
        "features": "features",
    }

    def __init__(self, path: Path, network: LoadedNetwork, classifier: ImportOptions) -> None:
        """Freeze a network.

        Args:
            path: Its file, or what to call it.
            network: What was loaded.
            classifier: What it does not say.

        Raises:
            PicaptionError: It is no classifier of images, or a label or the range is missing.
        """
        self.path = path
        self.classifier = with_labels(path, network, classifier)
        self._network = network
        self._scaling = network.scaling(path, classifier.pixels)
        self._scores = freeze_network(path, network, self._scaling)
        self.functions = {"serve": self._scores}
        self._cut: CutGraph | None = None
        height, width = network.input_shape[:2]
        self.input = Input(height, width, classifier.resize)

    @cached_property
    def reference(self) -> Bundle:
        """The network as a bundle that is not quantized."""
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
        classifier = self.classifier
        cut = cut_graph(graph, self.path.name, None, classifier.head, classifier.is_embedding)
        self._cut = cut
        contents = to_contents(cut, graph, self.path.name, classifier)
        return Candidate(functions, cut.graph, contents)

    def calibration_examples(self, images: Sequence[np.ndarray]) -> list[Example]:
        """Return the inputs of the network for images."""
        return [("serve", {"image": image[None]}) for image in images]

    def layer_examples(self, images: Sequence[np.ndarray]) -> list[Example]:
        """Return the inputs of `encode` and `classify` for images."""
        examples: list[Example] = []
        for image in images:
            examples.append(("encode", {"image": image[None]}))
            if not self.classifier.is_embedding:
                features = self.reference.encode(image).features
                examples.append(("classify", {"features": features}))
        return examples

    def finetune(self, images: Sequence[np.ndarray], options: ConversionOptions) -> Functions:
        """Return the network with a fine-tuned encoder."""
        graph = self.float_candidate.named
        single_scale = single_scale_opcodes(options.per_tensor, options.runtime)
        encode = finetune_encoder(graph, images, single_scale, options.seed)
        if self.classifier.is_embedding:
            return {"serve": encode}
        classify = TFLiteFunction(graph, "classify")

        def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return classify({"features": encode(image)["features"]})

        return {"serve": freeze(serve, self._scores.input_signature[0])}

    def check_exact(self, images: RepresentativeImages) -> None:
        """Hold the network before it is quantized against its own program.

        Raises:
            PicaptionError: A probability, or the direction of features, is further off than
                ImportOptions.allowed_difference.
        """
        if self._network.own_scores is None:
            return
        agreement = self.compare(self.reference, images.held_out[:CHECKED_IMAGES])
        difference = max(agreement.largest, agreement.features)
        if not difference <= self.classifier.allowed_difference:
            raise PicaptionError(
                f"{self.path}: before anything is quantized, its scores already differ from its "
                f"own by {difference:.3f}: an operator computes otherwise in TensorFlow; export it "
                "from other operators, or allow more with --allow-difference"
            )

    def compare(self, bundle: Bundle, images: Sequence[np.ndarray]) -> Agreement:
        """Return how far a bundle's scores are from those of the network's own program."""
        assert self._cut is not None
        own = np.concatenate([self._own_scores(image) for image in images])
        if self.classifier.is_embedding:
            features = np.concatenate([bundle.encode(image).features for image in images])
            return compare_features(own.reshape(len(own), -1), features)
        fault = self._cut.head_fault(own)
        if fault:
            raise PicaptionError(f"{self.path}: {fault}")
        actual = np.stack(
            [bundle.classify(bundle.encode(image).features, None) for image in images]
        )
        return compare_scores(self._cut.probabilities(own), actual)

    def _own_scores(self, image: np.ndarray) -> np.ndarray:
        """Return what the network itself computes for an image, uint8 [H, W, 3]."""
        own_scores = self._network.own_scores
        if own_scores is None:
            return self._scores(image[None])["scores"].numpy()
        return own_scores(self._scaling.apply(image)[None])

    def compare_all(
        self, bundle: Bundle, images: Sequence[np.ndarray], agreement: Agreement
    ) -> Agreement:
        """Return how far a bundle is from the one that is not quantized, features and scores."""
        return compare(self.reference, bundle, images)

    def remedy(self, options: ConversionOptions) -> str:
        """Return what may help a bundle that is beyond the bounds."""
        advice = "give more representative pictures, like those it was trained on, or "
        if options.precision == "int8" and not options.mixed:
            advice += "keep layers in floating point with --mixed, or "
        return f"{advice}another --precision, or allow more with --allow-difference"


def with_labels(path: Path, network: LoadedNetwork, classifier: ImportOptions) -> ImportOptions:
    """Return what is known of a classifier, with the labels that its file holds.

    Raises:
        PicaptionError: Neither names the classes.
    """
    if classifier.is_embedding:
        if classifier.labels or classifier.head:
            raise PicaptionError(
                f"{path}: features have no classes and no head: leave out --embedding, or --names "
                "and --head"
            )
        return classifier
    labels = classifier.labels or network.labels
    if not labels:
        raise PicaptionError(
            f"{path}: give its class names, one a line, with --names; or, where it has no classes "
            "and gives features, --embedding"
        )
    return ImportOptions(**{**vars(classifier), "labels": labels})


def freeze_network(path: Path, network: LoadedNetwork, scaling: PixelScaling) -> Any:
    """Return a network as a frozen function {"scores": float32 [1, C]} of uint8 [1, H, W, 3].

    Args:
        path: Its file, for errors.
        network: The network; the scores of its places are pooled, where it gives a map of them.
        scaling: How pixels are brought to its range.

    Raises:
        PicaptionError: It does not take images of its own shape.
    """

    def scores(image: tf.Tensor) -> dict[str, tf.Tensor]:
        if scaling.is_bgr:
            image = tf.gather(image, BLUE_FIRST, axis=3)
        if not network.takes_integers:
            factor = np.squeeze(np.array(scaling.factor, np.float32))
            offset = np.squeeze(np.array(scaling.offset, np.float32))
            image = tf.cast(image, tf.float32) * factor + offset
        return {"scores": pooled_scores(network.call(image))}

    if network.model is None:  # Autograph is for Keras layers, and wraps the lines of errors.
        scores = tf.autograph.experimental.do_not_convert(scores)
    shape = network.input_shape
    with calling_errors(path, shape):
        return freeze(scores, tf.TensorSpec((1, *shape), tf.uint8, "image"))
