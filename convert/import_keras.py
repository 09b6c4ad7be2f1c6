"""A Keras classifier that was not trained here, .keras, .h5 or SavedModel, as a bundle: quantized, checked and wrapped."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from picaption.device.bundle.bundle import write_checked
from picaption.device.bundle.flatbuffer import compact_graph
from picaption.device.bundle.metadata import Input
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import probabilities
from picaption.models.networks.external import load
from picaption.models.settings import PIXELS

from . import RUNTIMES
from .convert import (
    BOUNDS,
    compare,
    draw,
    need_tunable,
    opened,
    representative_paths,
    what_is_given,
)
from .import_tflite import cut_graph, wrap_graph
from .qat import Candidate, finetune_encoder, keep_better, one_scale
from .report.diagnostics import diagnose
from .report.figures import figures_of, loss_measure, without
from .tflite.export import ACTIVATIONS, convert_with_layer_names, freeze
from .tflite.to_tensorflow import TFLiteFunction

#: How many pictures at most check the result, beside those that give ranges.
CHECKED = 50


def convert_keras(
    path,
    output,
    labels,
    pixels,
    representative,
    count=200,
    seed=1,
    precision="int8",
    resize_rule="squash",
    head=None,
    size=None,
    per_tensor=False,
    runtime=RUNTIMES[0],
    report=None,
    dataset=None,
    mapping=None,
    images=None,
    max_loss=None,
):
    """Convert the classifier at `path` to a bundle at `output`; returns (the share of other pictures of which float model and
    bundle say the same first, the mean absolute difference of the probabilities).

    labels: the class names, or None; pixels: of picaption.models.settings.PIXELS, the range that it takes; size: of its pictures, where it
    takes any; mapping: as picaption.models.evaluation.evaluate.evaluate_classes takes it, for `dataset`; the others as for picaption.convert.convert.convert
    and picaption.convert.import_tflite.wrap. Raises PicaptionError where it is no classifier of pictures, where TFLite lacks an operator, and where
    the two disagree; `output` is then as it was.
    """
    path = Path(path)
    if not labels:
        raise PicaptionError(f"{path}: give its class names, one a line, with --names")
    need_tunable(max_loss, precision)
    function, shape = freeze_scores(path, pixels, size)
    checked, pictures, drawn = draw(
        representative_paths(representative, images),
        count,
        CHECKED,
        seed,
        Input(*shape[:2], resize_rule),
        representative,
    )
    measured = dataset and without(dataset, drawn)
    examples = (
        [("serve", {"image": picture[None]}) for picture in pictures]
        if precision in ACTIVATIONS
        else ()
    )

    def cut(graph):
        return cut_graph(graph, path.name, None, head)[0]

    def build(functions):
        try:
            graph = convert_with_layer_names(functions, precision, examples, per_tensor, runtime)
        except PicaptionError as error:
            raise PicaptionError(f"{path}: {error}") from None
        return Candidate(
            functions, cut(graph), wrap_graph(graph, path.name, labels, None, resize_rule, head)
        )

    functions = {"serve": function}
    best = build(functions)
    if report or max_loss is not None:
        exact = cut(convert_with_layer_names(functions, "float32"))
        model = opened(replace(best.contents, graph=compact_graph(exact)))
    if max_loss is not None:

        def tuned():
            encode, classify = (
                finetune_encoder(exact, pictures, one_scale(per_tensor, runtime), seed),
                TFLiteFunction(exact, "classify"),
            )
            return {
                "serve": freeze(
                    lambda image: classify({"features": encode(image)["features"]}),
                    function.input_signature[0],
                )
            }

        lost = (
            loss_measure(model, measured, mapping)
            if measured
            else lambda bundle: 100 * (1 - compare(model, bundle, checked).top)
        )
        best = keep_better(best, build, tuned, lambda each: lost(opened(each.contents)), max_loss)
    found = []

    def check(bundle):
        wanted = np.stack(
            [function(picture[None])["scores"].numpy().reshape(-1) for picture in checked]
        )
        if wanted.min() < 0 or wanted.max() > 1:  # Logits.
            wanted = probabilities(wanted, bundle.metadata.head == "multi-label")
        told = np.stack(
            [bundle.classify(bundle.encode(picture).features, None) for picture in checked]
        )
        difference = float(np.abs(wanted - told).mean())
        beyond = [] if difference <= BOUNDS.classes else ["classes"]
        if report:
            whole = (
                exact
                if best.functions is functions
                else cut(convert_with_layer_names(best.functions, "float32"))
            )
            inputs = [
                example
                for picture in checked
                for example in (
                    ("encode", {"image": picture[None]}),
                    ("classify", {"features": model.encode(picture).features}),
                )
            ]
            given = what_is_given(precision, per_tensor, runtime, pictures, seed, checked)
            figures = (
                given
                | {"agreement": asdict(compare(model, bundle, checked)), "beyond": beyond}
                | figures_of(
                    model,
                    bundle,
                    (whole, best.named, compact_graph(whole), best.contents.graph),
                    inputs,
                    measured,
                    mapping,
                )
            )
            report(figures | {"advice": diagnose(figures)})
        if beyond:
            raise PicaptionError(
                f"{output} is not written: its probabilities differ from the float model by {difference:.4f}, more "
                f"than {BOUNDS.classes}; give more representative pictures, like those it was trained on, or "
                "another --precision"
            )
        found.append((float((wanted.argmax(1) == told.argmax(1)).mean()), difference))

    write_checked(output, best.contents, check)
    return found[0]


def freeze_scores(path, pixels, size):
    """Return (the function from a picture, uint8 [1, H, W, 3], to its scores as picaption.convert.tflite.export.freeze gives it, (H, W, 3)) of a Keras
    model, for what convert_keras takes."""
    if not pixels:
        raise PicaptionError(
            f"{path}: tell the range of pixels that it was trained with, with --pixels, one of "
            f"{', '.join(PIXELS)}"
        )
    call, shape, _ = load(path, size)
    factor, added = PIXELS[pixels]

    def scores(image):
        return {"scores": call(tf.cast(image, tf.float32) * factor + added)}

    try:
        return freeze(scores, tf.TensorSpec((1, *shape), tf.uint8, "image")), shape
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise PicaptionError(
            f"{path}: it does not take pictures of {list(shape)}: {str(error).splitlines()[0]}"
        ) from None
