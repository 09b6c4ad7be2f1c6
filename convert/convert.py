"""From a training run's folder to a checked bundle."""

import logging
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from convert.graph import ACTIVATIONS, convert_graph, history_type
from device.bundle import Contents, write_checked
from device.decode import beam_search
from device.errors import PicaptionError
from device.pictures import list_pictures, read_picture, resize
from device.recognizer import describe
from models.batches import windows
from models.run import KerasModel

log = logging.getLogger("picaption")


@dataclass(frozen=True)
class Agreement:
    """How far a bundle is from its float models on the same pictures; means over pictures.

    features: 1 - cosine; words: Kullback-Leibler divergence of the next word's distribution, in nats a word
    of the float model's own captions; classes: absolute difference of the probabilities. caption: share of
    pictures whose caption is the very same.
    """

    features: float
    words: float
    classes: float
    caption: float


#: A bundle beyond these is not written. Captions are reported only: one flipped word makes another sentence.
BOUNDS = Agreement(features=0.05, words=0.08, classes=0.02, caption=0.0)


def convert(run, output, representative, count=200, held_out=50, seed=1, precision="int8"):
    """Convert the training run in the folder `run` to a bundle at `output`; returns its Agreement.

    representative: a folder of pictures like those that the device will see; `count` of them, drawn with
    `seed`, give the ranges for int8 and int16, and `held_out` others check the result.
    precision: of convert.PRECISIONS. Raises PicaptionError where the run or the pictures are unusable, or float
    model and bundle disagree beyond BOUNDS; `output` is then as it was.
    """
    model = KerasModel(run)
    paths = list_pictures(representative)
    if len(paths) < 10:
        raise PicaptionError(f"{representative}: {len(paths)} pictures are too few for a representative dataset; "
                             "give 10 or more, better 200")
    order = np.random.default_rng(seed).permutation(len(paths))
    held_out = min(held_out, len(paths) // 5)
    pictures = load([paths[index] for index in order[:count + held_out]], model)
    checked, pictures = pictures[:held_out], pictures[held_out:]
    numbers = history_type(precision).as_numpy_dtype
    examples = representative_examples(model, pictures, numbers) if precision in ACTIVATIONS else ()
    graph = convert_graph(model, model.metadata.beam.width, precision, examples)
    contents = Contents(graph, model.metadata, model.labels, model.vocabulary)
    found = []

    def check(bundle):
        agreement = compare(model, bundle, checked)
        log.info("%s: %.2f MB; float against %s on %d other pictures: %s", output, bundle.path.stat().st_size / 1e6,
                 precision, len(checked), agreement)
        for name in ("features", "words", "classes"):
            if not getattr(agreement, name) <= getattr(BOUNDS, name):
                raise PicaptionError(f"{output} is not written: its {name} differ from the float model by "
                                     f"{getattr(agreement, name):.4f}, more than {getattr(BOUNDS, name)}; give more "
                                     "representative pictures, like those it was trained on")
        found.append(agreement)
    write_checked(output, contents, check)
    return found[0]


def load(paths, model):
    """Return the pictures at `paths` as uint8 [H, W, 3] in the model's shape; broken ones are logged and left out."""
    size, pictures = model.metadata.input, []
    for path in paths:
        try:
            pictures.append(resize(read_picture(path), size.height, size.width, size.resize))
        except PicaptionError as error:
            log.warning("left out %s", error)
    return pictures


def captions_of(model, context):
    """Return the beam search's captions for one picture's context, best first, as lists of word numbers."""
    found = beam_search(lambda history: model.next_word(history, context), model.metadata.order, model.metadata.beam)
    return [hypothesis.words for hypothesis in found]


def representative_examples(model, pictures, numbers=np.int32):
    """Return what the signatures will be given for `pictures`, as (signature, {input: array}) for calibration; `numbers` is
    the dtype of the words before."""
    width, examples = model.metadata.beam.width, []
    for picture in tqdm(pictures, "representative dataset", disable=None):
        encoded = model.encode(picture)
        examples.append(("encode", {"image": picture[None]}))
        if model.captioner:
            captions = captions_of(model, encoded.context)
            histories = np.concatenate([windows(words, model.metadata.order)[0] for words in captions]).astype(numbers)
            for start in range(0, len(histories) - width + 1, width):
                examples.append(("next_word", {"history": histories[start:start + width], "context": encoded.context}))
    return examples


def compare(model, bundle, pictures):
    """Return the Agreement of a Keras model and a bundle on `pictures`."""
    rows = [compare_picture(model, bundle, picture) for picture in pictures]
    return Agreement(*(round(float(np.mean(column)), 5) for column in zip(*rows)))


def compare_picture(model, bundle, picture):
    """Return (features, words, classes, caption) as in Agreement, for one picture."""
    exact, found = model.encode(picture), bundle.encode(picture)
    cosine = (exact.features @ found.features.T).item() / (
        np.linalg.norm(exact.features) * np.linalg.norm(found.features) + 1e-9)
    divergence, same, evidence = 0.0, 1.0, (None, None)
    if model.captioner:
        told, evidence = zip(*(describe(each, encoded) for each, encoded in ((model, exact), (bundle, found))))
        same = float(told[0].words == told[1].words)
        history = windows(told[0].words, model.metadata.order)[0]
        expected, given = model.next_word(history, exact.context), bundle.next_word(history, found.context)
        divergence = float((np.exp(expected) * (expected - given)).sum(1).mean())
    difference = 0.0
    if model.labels:
        scores = [each.classify(encoded.features, words) for each, encoded, words in zip(
            (model, bundle), (exact, found), evidence)]
        difference = np.abs(scores[0] - scores[1]).mean()
    return 1 - cosine, divergence, difference, same
