"""A Keras classifier that was not trained here, .keras, .h5 or SavedModel, as a bundle: quantized, checked and wrapped."""

import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from convert import RUNTIMES
from convert.advice import advice
from convert.convert import BOUNDS, compare, draw, representative_paths, what_is_given
from convert.graph import ACTIVATIONS, freeze, name_graph
from convert.report import figures_of, without
from convert.wrap import cut_graph, wrap_graph
from device.bundle import Bundle, write_bundle, write_checked
from device.compact import compact
from device.errors import PicaptionError
from device.head import squash
from device.metadata import Input
from models.foreign import load
from models.settings import PIXELS

#: How many pictures at most check the result, beside those that give ranges.
CHECKED = 50


def convert_foreign(path, output, labels, pixels, representative, count=200, seed=1, precision="int8", resize_rule="squash",
                    head=None, size=None, per_tensor=False, runtime=RUNTIMES[0], report=None, dataset=None, mapping=None, images=None):
    """Convert the classifier at `path` to a bundle at `output`; returns (the share of other pictures of which float model and
    bundle say the same first, the mean absolute difference of the probabilities).

    labels: the class names, or None; pixels: of models.settings.PIXELS, the range that it takes; size: of its pictures, where it
    takes any; mapping: as models.evaluate.evaluate_classes takes it, for `dataset`; the others as for convert.convert.convert
    and convert.wrap.wrap. Raises PicaptionError where it is no classifier of pictures, where TFLite lacks an operator, and where
    the two disagree; `output` is then as it was.
    """
    path = Path(path)
    if not labels:
        raise PicaptionError(f"{path}: give its class names, one a line, with --names")
    if not pixels:
        raise PicaptionError(f"{path}: tell the range of pixels that it was trained with, with --pixels, one of "
                             f"{', '.join(PIXELS)}")
    call, shape, _ = load(path, size)
    factor, added = PIXELS[pixels]

    def scores(image):
        return {"scores": call(tf.cast(image, tf.float32) * factor + added)}

    try:
        function = freeze(scores, tf.TensorSpec((1, *shape), tf.uint8, "image"))
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise PicaptionError(f"{path}: it does not take pictures of {list(shape)}: {str(error).splitlines()[0]}") from None
    checked, pictures, drawn = draw(representative_paths(representative, images), count, CHECKED, seed, Input(*shape[:2], resize_rule),
                                    representative)
    measured = dataset and without(dataset, drawn)
    examples = [("serve", {"image": picture[None]}) for picture in pictures] if precision in ACTIVATIONS else ()
    try:
        graph = name_graph({"serve": function}, precision, examples, per_tensor, runtime)
    except PicaptionError as error:
        raise PicaptionError(f"{path}: {error}") from None
    contents = wrap_graph(graph, path.name, labels, None, resize_rule, head)
    found = []

    def check(bundle):
        exact = np.stack([function(picture[None])["scores"].numpy().reshape(-1) for picture in checked])
        if exact.min() < 0 or exact.max() > 1:  # Logits.
            exact = squash(exact, bundle.metadata.head == "multi-label")
        told = np.stack([bundle.classify(bundle.encode(picture).features, None) for picture in checked])
        difference = float(np.abs(exact - told).mean())
        beyond = [] if difference <= BOUNDS.classes else ["classes"]
        if report:
            named = [cut_graph(each, path.name, None, head)[0] for each in (name_graph({"serve": function}, "float32"), graph)]
            whole = compact(named[0])
            model = opened(replace(contents, graph=whole))
            inputs = [example for picture in checked for example in (
                ("encode", {"image": picture[None]}), ("classify", {"features": model.encode(picture).features}))]
            given = what_is_given(precision, per_tensor, runtime, pictures, seed, checked)
            figures = given | {"agreement": asdict(compare(model, bundle, checked)), "beyond": beyond} | figures_of(
                model, bundle, (*named, whole, contents.graph), inputs, measured, mapping)
            report(figures | {"advice": advice(figures)})
        if beyond:
            raise PicaptionError(f"{output} is not written: its probabilities differ from the float model by {difference:.4f}, more "
                                 f"than {BOUNDS.classes}; give more representative pictures, like those it was trained on, or "
                                 "another --precision")
        found.append((float((exact.argmax(1) == told.argmax(1)).mean()), difference))
    write_checked(output, contents, check)
    return found[0]


def opened(contents):
    """Return the Bundle of Contents that are in no file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bundle.tflite")
        write_bundle(path, contents)
        return Bundle(path)
