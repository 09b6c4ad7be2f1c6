"""What an LSTM decoder of equal size makes of a run's features, in quality and time.

`python -m picaption.convert.benchmarks.lstm_baseline` is the yardstick for the captioner: it trains
picaption.models.training.lstm_baseline on the run's own captions, without those that are
transferred, and quantizes it to int8 with two signatures,

    start  features [1, F]                                    -> context [1, H]
    step   word int32 [beam], h, c [beam, H], context [1, H]  -> logits [beam, V], h, c [beam, H]
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from picaption.device import cli
from picaption.device.bundle.metadata import Beam
from picaption.device.bundle.runtime import make_interpreter
from picaption.device.bundle.vocabulary import Vocabulary, sentence
from picaption.device.errors import PicaptionError
from picaption.device.images import read_image
from picaption.device.log import configure_progress
from picaption.device.recognition.beam_search import beam_search
from picaption.device.recognition.recognizer import Recognizer, best_caption
from picaption.models.data.batches import Examples
from picaption.models.data.dataset import Split, make_examples
from picaption.models.data.readers import Record, read_captions, read_training_captions
from picaption.models.evaluation.metrics import caption_scores
from picaption.models.networks.captioner import mean_over_grid
from picaption.models.run_folder import FloatModel
from picaption.models.settings import Settings, read_saved_settings
from picaption.models.training.lstm_baseline import (
    CaptionBatches,
    Decoder,
    Step,
    keras_step,
    matching_hidden_size,
    next_word_with_states,
    perplexity,
    train_lstm,
)

from ..tflite.export import Example, convert_functions, freeze

#: Training images whose captions give the ranges for int8.
REPRESENTATIVE_IMAGES = 200

#: The word ids of a caption.
WordIds = tuple[int, ...]


@dataclass(frozen=True)
class RunData:
    """What a run was trained on: its own captions, and its cached features.

    Attributes:
        settings: Of the run.
        train: Training images as features [N, F].
        dev: Dev images.
        dev_records: The dev images' files and captions.
    """

    settings: Settings
    train: Examples
    dev: Examples
    dev_records: tuple[Record, ...]


@dataclass(frozen=True)
class CaptionTimes:
    """Median milliseconds of a caption, the search alone, by the LSTM and by the captioner."""

    lstm: float
    ngram: float


def compare_lstm(
    run: Path, data: Path, bundle: str | Path, epochs: int | None, folder: Path
) -> dict[str, Any]:
    """Train an LSTM decoder as large as a run's captioner, and compare the two.

    Args:
        run: The folder of the training run.
        data: The folder that the paths of its settings start from.
        bundle: The bundle whose captioner is timed beside it.
        epochs: The most epochs; None: the run's.
        folder: Gets weights, history and the graph, lstm.tflite.

    Returns:
        Figures for JSON: `weights` are numbers of weights; `float` and `int8` are the scores of
        caption_scores on the dev images, in per cent; `milliseconds` are medians a caption, the
        search alone, on one thread, the two taking turns.

    Raises:
        PicaptionError: Run, data or bundle are unusable.
    """
    model = FloatModel(run, with_classifier=False)
    recognizer = Recognizer(bundle, threads=1)
    if not recognizer.model.vocabulary:
        raise PicaptionError(f"{bundle}: it has no captioner to time: give a bundle that has one")
    captioner = model.captioner
    vocabulary = model.vocabulary
    if captioner is None or vocabulary is None:
        raise PicaptionError(f"{run}: no training run with captions and dev pictures")
    beam = model.metadata.beam
    run_data = read_run(run, data, vocabulary)
    dev = run_data.dev
    folder.mkdir(parents=True, exist_ok=True)
    weights = captioner.context.count_params() + captioner.next_word.count_params()
    decoder = _train(run_data, weights, len(vocabulary), epochs, folder)
    train_features = run_data.train.inputs
    order = np.random.default_rng(run_data.settings.seed).permutation(len(train_features))
    graph = convert_lstm(decoder, beam, train_features[order[:REPRESENTATIVE_IMAGES]])
    (folder / "lstm.tflite").write_bytes(graph)

    contexts = decoder.context.predict_on_batch(dev.inputs)
    float_captions = [
        search_caption(keras_step(decoder), context[None], beam)
        for context in tqdm(contexts, "float", disable=None)
    ]
    records = run_data.dev_records
    int8_captions, times = caption_and_time(graph, dev.inputs, records, beam, recognizer)
    return {
        "pictures": len(records),
        "beam": beam.width,
        "hidden": decoder.context.output_shape[-1],
        "weights": {"lstm": decoder.sequence.count_params(), "ngram": weights},
        "perplexity": round(perplexity(decoder, CaptionBatches(dev, training=False)), 3),
        "float": _scores(float_captions, records, vocabulary),
        "int8": _scores(int8_captions, records, vocabulary),
        "megabytes": round(len(graph) / 1e6, 2),
        "milliseconds": {"lstm": times.lstm, "ngram": times.ngram},
    }


def _train(
    run_data: RunData, weights: int, words: int, epochs: int | None, folder: Path
) -> Decoder:
    """Return a trained Decoder with about so many weights."""
    settings = run_data.settings
    features = run_data.train.inputs.shape[1]
    hidden = matching_hidden_size(weights, features, words, settings.embedding)
    epochs = epochs or settings.epochs
    return train_lstm(settings, run_data.train, run_data.dev, words, hidden, epochs, folder)


def _scores(
    captions: Sequence[WordIds], records: Sequence[Record], vocabulary: Vocabulary
) -> dict[str, Any]:
    references = {record.name: record.captions for record in records}
    sentences = [sentence(vocabulary.decode(caption)) for caption in captions]
    return caption_scores(dict(zip(references, sentences)), references)[0]


def read_run(run: Path, data: Path, vocabulary: Vocabulary) -> RunData:
    """Return the captions and cached features of a run.

    Args:
        run: Its folder.
        data: The folder that the paths of its settings start from.
        vocabulary: Of its captioner.

    Raises:
        PicaptionError: They are not there, or of another run.
    """
    try:
        settings = read_saved_settings(run / "settings.json")
        if settings is None:
            raise ValueError("its settings.json is not of this version")
        train_features, dev_features = (
            mean_over_grid(np.load(run / f"{name}.npy", allow_pickle=False))
            for name in ("captions", "captions_dev")
        )
    except (OSError, ValueError, TypeError) as error:
        raise PicaptionError(
            f"{run}: no training run with captions and dev pictures: {error}"
        ) from None
    captions = data / settings.captions
    images = data / settings.images
    split = data / settings.train if settings.train else None
    dev = read_captions(captions, images, data / settings.dev)
    train = read_training_captions(captions, images, split, dev)
    examples = []
    for dataset, features in ((train, train_features), (dev, dev_features)):
        if len(dataset.records) != len(features):
            raise PicaptionError(
                f"{data}: {len(dataset.records)} pictures with captions where the run has features "
                f"of {len(features)}; give the data that it was trained on"
            )
        no_images = np.empty(0)  # Their features stand in for them.
        examples.append(make_examples(Split(dataset.records, no_images), features, vocabulary, ()))
    return RunData(settings, examples[0], examples[1], dev.records)


def convert_lstm(decoder: Decoder, beam: Beam, features: np.ndarray) -> bytes:
    """Return the int8 TFLite flatbuffer of a Decoder.

    Args:
        decoder: What to convert.
        beam: The search; the captions that it finds give the ranges.
        features: Those of the images to caption, float32 [N, F].
    """
    size = decoder.context.output_shape[-1]
    examples: list[Example] = []
    for row in tqdm(features, "representative dataset", disable=None):
        image_context = decoder.context.predict_on_batch(row[None])
        examples.append(("start", {"features": row[None]}))

        def recorded_step(*inputs: np.ndarray) -> list[np.ndarray]:
            examples.append(("step", dict(zip(("word", "h", "c", "context"), inputs))))
            return keras_step(decoder)(*inputs)

        search_caption(recorded_step, image_context, beam)

    def start(features: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"context": decoder.context(features)}

    def step(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(("logits", "h", "c"), decoder.step(inputs)))

    functions = {
        "start": freeze(start, tf.TensorSpec((1, features.shape[1]), tf.float32, "features")),
        "step": freeze(
            step,
            tf.TensorSpec((beam.width,), tf.int32, "word"),
            tf.TensorSpec((beam.width, size), tf.float32, "h"),
            tf.TensorSpec((beam.width, size), tf.float32, "c"),
            tf.TensorSpec((1, size), tf.float32, "context"),
        ),
    }
    return convert_functions(functions, examples=examples)


def graph_signatures(graph: bytes) -> tuple[Callable[[np.ndarray], np.ndarray], Step]:
    """Return (start, step) of an int8 graph on one thread, as functions of arrays."""
    interpreter = make_interpreter(graph, threads=1)
    start_runner = interpreter.get_signature_runner("start")
    step_runner = interpreter.get_signature_runner("step")

    def start(features: np.ndarray) -> np.ndarray:
        return start_runner(features=features)["context"]

    def step(
        word: np.ndarray, h: np.ndarray, c: np.ndarray, context: np.ndarray
    ) -> list[np.ndarray]:
        outputs = step_runner(word=word, h=h, c=c, context=context)
        return [outputs["logits"], outputs["h"], outputs["c"]]

    return start, step


def search_caption(step: Step, context: np.ndarray, beam: Beam) -> WordIds:
    """Return the word ids of the best caption for an image's context, float32 [1, H]."""
    next_word = next_word_with_states(step, context)
    return beam_search(next_word, beam.max_words + 1, beam)[0].words


def caption_and_time(
    graph: bytes,
    features: np.ndarray,
    records: Sequence[Record],
    beam: Beam,
    recognizer: Recognizer,
) -> tuple[list[WordIds], CaptionTimes]:
    """Caption images by an int8 graph, and time it beside a bundle's captioner.

    The first image warms up, and counts only where it is the only one.

    Args:
        graph: From convert_lstm.
        features: Those of the images, float32 [N, F].
        records: The images.
        beam: The search.
        recognizer: Of the bundle.
    """
    start, step = graph_signatures(graph)
    captions = []
    seconds = []
    for row, record in zip(tqdm(features, "int8", disable=None), records):
        context = start(row[None])
        encoded = recognizer.model.encode(recognizer.prepare(read_image(record.path)))
        began = time.perf_counter()
        captions.append(search_caption(step, context, beam))
        between = time.perf_counter()
        best_caption(recognizer.model, encoded)
        seconds.append((between - began, time.perf_counter() - between))
    medians = np.median(seconds[1:] or seconds, axis=0) * 1e3
    return captions, CaptionTimes(*medians.round(3).tolist())


@click.command("lstm_baseline")
@click.argument("run", type=cli.PathType(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--data",
    required=True,
    type=cli.PathType(file_okay=False, path_type=Path),
    help="Folder that the run's paths start from.",
)
@click.option(
    "--bundle",
    required=True,
    type=cli.PathType(dir_okay=False),
    help="Bundle whose captioner is timed too.",
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs at most.  [default: the run's]")
@click.option(
    "--out",
    type=cli.PathType(file_okay=False, path_type=Path),
    help="Folder to leave the LSTM in; an interrupted training in it goes on.  [default: RUN/lstm]",
)
def lstm_baseline_command(
    run: Path, data: Path, bundle: str, epochs: int | None, out: Path | None
) -> None:
    """Compare an LSTM with a run's captioner.

    Train and measure an LSTM decoder as large as the captioner of the training run RUN, and print
    JSON.
    """
    configure_progress()
    with redirect_stdout(sys.stderr):  # Keras prints the training's progress there.
        figures = compare_lstm(run, data, bundle, epochs, out or run / "lstm")
    click.echo(json.dumps(figures, indent=1))


main = partial(
    cli.main,
    command=lstm_baseline_command,
    name="python -m picaption.convert.benchmarks.lstm_baseline",
)

if __name__ == "__main__":
    main()
