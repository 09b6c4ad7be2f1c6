"""From a training run's folder to a checked bundle."""

import logging
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from picaption.device.bundle.bundle import Bundle, Contents, write_bundle, write_checked
from picaption.device.bundle.word_evidence import compute_word_evidence
from picaption.device.errors import PicaptionError
from picaption.device.images import list_images, read_image, resize
from picaption.device.recognition.beam_search import beam_search
from picaption.device.recognition.recognizer import best_caption
from picaption.models.data.batches import windows
from picaption.models.data.readers import read_captions
from picaption.models.files import need_folder
from picaption.models.run_folder import FloatModel

from . import INTEGERS, RUNTIMES
from .qat import Candidate, finetune_encoder, keep_better, one_scale
from .report.diagnostics import diagnose
from .report.figures import figures_of, loss_measure, without
from .tflite.export import (
    ACTIVATIONS,
    convert_with_layer_names,
    history_type,
    signature_functions,
    to_bundle_graph,
)

log = logging.getLogger("picaption")


@dataclass(frozen=True)
class Agreement:
    """How far a bundle is from its float models on the same pictures; means over pictures.

    features: 1 - cosine; words: Kullback-Leibler divergence of the next word's distribution, in nats a word
    of the float model's own captions; classes: absolute difference of the probabilities. caption, top: share of
    pictures whose caption is the very same, and whose likeliest class is.
    """

    features: float
    words: float
    classes: float
    caption: float
    top: float


#: A bundle beyond these is not written. Captions and classes are reported only: one flipped word makes another sentence.
BOUNDS = Agreement(features=0.05, words=0.08, classes=0.02, caption=0.0, top=0.0)
#: The fewest pictures that are a representative dataset and some to check on.
FEWEST = 10


def convert(
    run,
    output,
    representative,
    count=200,
    held_out=50,
    seed=1,
    precision="int8",
    per_tensor=False,
    runtime=RUNTIMES[0],
    images=None,
    report=None,
    dataset=None,
    max_loss=None,
):
    """Convert the training run in the folder `run` to a bundle at `output`; returns its Agreement.

    representative: a folder of pictures like those that the device will see, or a captions file of pictures in the folder
    `images`; `count` of them, drawn with `seed`, give the ranges for int8 and int16, and `held_out` others check the result.
    precision: of convert.PRECISIONS; per_tensor, runtime: as for picaption.convert.tflite.export.convert_with_layer_names. report: a function that is
    given the figures of picaption.convert.report.figures.figures_of and more of this conversion, a dict; dataset: a Dataset to measure float
    model and bundle on for it, without the pictures that gave ranges. max_loss: the points that the bundle may lose on it, or,
    without one, per cent of the other pictures that it may tell another class of first; beyond, its encoder is tuned to int8.
    Raises PicaptionError where the run or the pictures are unusable, or float model and bundle disagree beyond BOUNDS, which the
    report is given before; `output` is then as it was.
    """
    need_folder(output)
    if per_tensor and precision not in INTEGERS:
        raise PicaptionError(
            f"{precision} gives weights no scale: convert to int8, int16 or dynamic, or without --per-tensor"
        )
    model = FloatModel(run)
    need_tunable(max_loss, precision)
    if max_loss is not None and not (model.labels or dataset):
        raise PicaptionError(
            "--max-loss takes something to lose of a run without classes: give --captions"
        )
    checked, pictures, drawn = draw(
        representative_paths(representative, images),
        count,
        held_out,
        seed,
        model.metadata.input,
        representative,
    )
    given = what_is_given(precision, per_tensor, runtime, pictures, seed, checked)
    measured = dataset and without(dataset, drawn)
    numbers = history_type(precision)
    functions = signature_functions(model, model.metadata.beam.width, numbers)
    examples = (
        representative_examples(model, pictures, numbers.as_numpy_dtype)
        if precision in ACTIVATIONS
        else ()
    )

    def build(functions):
        named = convert_with_layer_names(functions, precision, examples, per_tensor, runtime)
        graph = to_bundle_graph(named, model, precision)
        return Candidate(
            functions, named, Contents(graph, model.metadata, model.labels, model.vocabulary)
        )

    def tuned():
        exact = convert_with_layer_names(functions, "float32")
        return functions | {
            "encode": finetune_encoder(exact, pictures, one_scale(per_tensor, runtime), seed)
        }

    best = build(functions)
    if max_loss is not None:
        lost = (
            loss_measure(model, measured)
            if measured
            else lambda bundle: 100 * (1 - compare(model, bundle, checked).top)
        )
        best = keep_better(best, build, tuned, lambda each: lost(opened(each.contents)), max_loss)
    found = []

    def check(bundle):
        agreement = compare(model, bundle, checked)
        found.append(agreement)
        log.info(
            "%s: %.2f MB; float against %s on %d other pictures: %s",
            output,
            bundle.path.stat().st_size / 1e6,
            precision,
            len(checked),
            agreement,
        )
        beyond = [
            name
            for name in ("features", "words", "classes")
            if not getattr(agreement, name) <= getattr(BOUNDS, name)
        ]
        if report:
            exact = convert_with_layer_names(best.functions, "float32")
            figures = (
                given
                | {"agreement": asdict(agreement), "beyond": beyond}
                | figures_of(
                    model,
                    bundle,
                    (
                        exact,
                        best.named,
                        to_bundle_graph(exact, model, "float32"),
                        best.contents.graph,
                    ),
                    representative_examples(model, checked, numbers.as_numpy_dtype),
                    measured,
                )
            )
            report(figures | {"advice": diagnose(figures)})
        if beyond:
            mend = (
                "leave out --per-tensor"
                if per_tensor
                else "give more representative pictures, like those it was trained on"
            )
            raise PicaptionError(
                f"{output} is not written: its {beyond[0]} differ from the float model by "
                f"{getattr(agreement, beyond[0]):.4f}, more than {getattr(BOUNDS, beyond[0])}; {mend}"
            )

    write_checked(output, best.contents, check)
    return found[0]


def need_tunable(max_loss, precision):
    """Raise PicaptionError where a bundle that may lose `max_loss` points, or any for None, cannot be tuned to its precision."""
    if max_loss is not None and precision != "int8":
        raise PicaptionError(
            f"--max-loss tunes to activations and weights of 8 bits, and {precision} has others: leave out one of "
            "the two"
        )


def what_is_given(precision, per_tensor, runtime, pictures, seed, checked):
    """Return the part of a report's figures that says what was asked for, and by which pictures."""
    return {
        "precision": precision,
        "weights": weights_of(precision, per_tensor, runtime),
        "runtime": runtime,
        "bounds": asdict(BOUNDS),
        "representative": {"pictures": len(pictures), "seed": seed, "held_out": len(checked)},
    }


def opened(contents):
    """Return the Bundle of Contents that are in no file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bundle.tflite")
        write_bundle(path, contents)
        return Bundle(path)


def weights_of(precision, per_tensor, runtime):
    """Return what the weights' scales stand for, as text."""
    if precision not in INTEGERS:
        return f"{precision}, no scales"
    if per_tensor:
        return "a scale a tensor"
    return "a scale a channel" + ", dense layers one a tensor" * (runtime == "tflite-runtime")


def representative_paths(representative, images):
    """Return the paths of the pictures in the folder `representative`, or of those that a captions file of that path names, in
    the folder `images`; sorted."""
    if not Path(representative).is_file():
        return list_images(representative)
    if not images:
        raise PicaptionError(
            f"{representative} is no folder: if it is a captions file, give the folder of its pictures with --images"
        )
    return sorted(record.path for record in read_captions(representative, images).records)


def draw(paths, count, held_out, seed, size, where):
    """Return (pictures to check on, representative pictures, the paths that the latter are of), uint8 of the `size`, a
    picaption.device.bundle.metadata.Input.

    Of `paths`, `count` and `held_out` more, but no more than a fifth, are drawn with `seed`. Raises PicaptionError, which
    names `where`, if fewer than FEWEST can be had.
    """
    order = np.random.default_rng(seed).permutation(len(paths))
    held_out = min(held_out, len(paths) // 5)
    pictures = load([paths[index] for index in order[: count + held_out]], size)
    if len(pictures) < FEWEST:
        raise PicaptionError(
            f"{where}: {len(pictures)} pictures are too few for a representative dataset; "
            f"give {FEWEST} or more, better 200"
        )
    return (
        [picture for _, picture in pictures[:held_out]],
        [picture for _, picture in pictures[held_out:]],
        [path for path, _ in pictures[held_out:]],
    )


def load(paths, size):
    """Return (path, picture) for `paths`, uint8 [H, W, 3] as the picaption.device.bundle.metadata.Input `size` asks for; broken ones are logged and
    left out."""
    pictures = []
    for path in paths:
        try:
            pictures.append((path, resize(read_image(path), size.height, size.width, size.resize)))
        except PicaptionError as error:
            log.warning("left out %s", error)
    return pictures


def captions_of(model, context):
    """Return the beam search's captions for one picture's context, best first, as lists of word numbers."""
    found = beam_search(
        lambda history: model.next_word(history, context), model.metadata.order, model.metadata.beam
    )
    return [hypothesis.words for hypothesis in found]


def representative_examples(model, pictures, history_dtype=np.int32):
    """Return what the signatures will be given for `pictures`, as (signature, {input: array}) for calibration; `numbers` is
    the dtype of the words before."""
    width, examples = model.metadata.beam.width, []
    for picture in tqdm(pictures, "representative dataset", disable=None):
        encoded = model.encode(picture)
        examples.append(("encode", {"image": picture[None]}))
        if model.captioner:
            captions = captions_of(model, encoded.context)
            histories = np.concatenate(
                [windows(words, model.metadata.order)[0] for words in captions]
            ).astype(history_dtype)
            for start in range(0, len(histories) - width + 1, width):
                examples.append(
                    (
                        "next_word",
                        {"history": histories[start : start + width], "context": encoded.context},
                    )
                )
    return examples


def compare(model, bundle, pictures):
    """Return the Agreement of a float model, a KerasModel or a Bundle, and a bundle on `pictures`."""
    rows = [compare_picture(model, bundle, picture) for picture in pictures]
    return Agreement(*(round(float(np.mean(column)), 5) for column in zip(*rows)))


def compare_picture(model, bundle, picture):
    """Return (features, words, classes, caption, top) as in Agreement, for one picture."""
    exact, found = model.encode(picture), bundle.encode(picture)
    both = (model, exact), (bundle, found)
    cosine = (exact.features @ found.features.T).item() / (
        np.linalg.norm(exact.features) * np.linalg.norm(found.features) + 1e-9
    )
    divergence, same = 0.0, 1.0
    if model.vocabulary:
        told = [best_caption(each, encoded) for each, encoded in both]
        same = float(told[0].words == told[1].words)
        history = windows(told[0].words, model.metadata.order)[0]
        expected, given = (
            model.next_word(history, exact.context),
            bundle.next_word(history, found.context),
        )
        divergence = float((np.exp(expected) * (expected - given)).sum(1).mean())
    difference, top = 0.0, 1.0
    if model.labels:
        scores = [
            each.classify(
                encoded.features,
                compute_word_evidence(each, encoded.context) if each.vocabulary else None,
            )
            for each, encoded in both
        ]
        difference, top = (
            np.abs(scores[0] - scores[1]).mean(),
            float(scores[0].argmax() == scores[1].argmax()),
        )
    return 1 - cosine, divergence, difference, same, top
