"""`python -m picaption.convert.benchmarks.lstm_baseline`: what an LSTM decoder of equal size makes of a run's features, in quality and time.

The yardstick for the captioner: picaption.models.training.lstm_baseline, trained on the run's own captions, without those that are borrowed, and
quantized to int8 with two signatures,

    start  features [1, F]                                        -> context [1, H]
    step   word int32 [beam], h, c [beam, H], context [1, H]      -> logits [beam, V], h, c [beam, H]
"""

import json
import logging
import sys
import time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import click
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from picaption.device import cli
from picaption.device.bundle.runtime import make_interpreter
from picaption.device.bundle.vocabulary import sentence
from picaption.device.errors import PicaptionError
from picaption.device.images import read_image
from picaption.device.recognition.beam_search import beam_search
from picaption.device.recognition.recognizer import Recognizer, best_caption
from picaption.models.data.dataset import Split, examples
from picaption.models.data.readers import read_captions
from picaption.models.evaluation.evaluate import read_training
from picaption.models.evaluation.metrics import caption_scores
from picaption.models.networks.captioner import mean_over_grid
from picaption.models.run_folder import FloatModel
from picaption.models.settings import read_saved_settings
from picaption.models.training.lstm_baseline import (
    CaptionBatches,
    matching_hidden_size,
    keras_step,
    perplexity,
    next_word_with_states,
    train_lstm,
)

from ..tflite.export import convert_functions, freeze

#: Training pictures whose captions give the ranges for int8.
REPRESENTATIVE = 200


def compare_lstm(run, data, bundle, epochs, folder):
    """Return the figures of an LSTM decoder as large as the captioner of the training run in the folder `run`, a dict.

    data: the folder that the run's settings start from; bundle: the path of a bundle to time beside it. `weights`
    are numbers of weights. Scores are those of picaption.models.evaluation.metrics.caption_scores on the dev pictures, in per cent, for the
    `float` models and `int8`; `milliseconds` are medians a caption, the search alone, on one thread, the two
    taking turns. Leaves weights, history and the graph, lstm.tflite, in `folder`. Raises PicaptionError where run,
    data or bundle are unusable.
    """
    model, recognizer = FloatModel(run, with_classifier=False), Recognizer(bundle, threads=1)
    if not recognizer.model.vocabulary:
        raise PicaptionError(f"{bundle}: it has no captioner to time: give a bundle that has one")
    settings, train, dev, records = read_run(run, data, model.vocabulary)
    folder.mkdir(parents=True, exist_ok=True)
    weights = model.captioner.context.count_params() + model.captioner.next_word.count_params()
    words, beam = len(model.vocabulary), model.metadata.beam
    hidden = matching_hidden_size(weights, train.inputs.shape[1], words, settings.embedding)
    decoder = train_lstm(settings, train, dev, words, hidden, epochs or settings.epochs, folder)
    drawn = np.random.default_rng(settings.seed).permutation(len(train.inputs))[:REPRESENTATIVE]
    graph = convert_lstm(decoder, beam, train.inputs[drawn])
    (folder / "lstm.tflite").write_bytes(graph)

    exact = [
        said(keras_step(decoder), context[None], beam)
        for context in tqdm(decoder.context.predict_on_batch(dev.inputs), "float", disable=None)
    ]
    found, milliseconds = say_and_time(graph, dev.inputs, records, beam, recognizer)
    references = {record.name: record.captions for record in records}

    def scores(captions):
        told = [sentence(model.vocabulary.decode(caption)) for caption in captions]
        return caption_scores(dict(zip(references, told)), references)[0]

    return {
        "pictures": len(records),
        "beam": beam.width,
        "hidden": hidden,
        "weights": {"lstm": decoder.sequence.count_params(), "ngram": weights},
        "perplexity": round(perplexity(decoder, CaptionBatches(dev, training=False)), 3),
        "float": scores(exact),
        "int8": scores(found),
        "megabytes": round(len(graph) / 1e6, 2),
        "milliseconds": milliseconds,
    }


def read_run(run, data, vocabulary):
    """Return (Settings, training Examples, dev Examples, dev Records) of a run: its own captions and kept features."""
    try:
        settings = read_saved_settings(run / "settings.json")
        if settings is None:
            raise ValueError("its settings.json is not of this version")
        features = [
            mean_over_grid(np.load(run / f"{name}.npy", allow_pickle=False))
            for name in ("captions", "captions_dev")
        ]
    except (OSError, ValueError, TypeError) as error:
        raise PicaptionError(
            f"{run}: no training run with captions and dev pictures: {error}"
        ) from None
    sources = data / settings.captions, data / settings.images
    dev = read_captions(*sources, data / settings.dev)
    train = read_training(*sources, data / settings.train if settings.train else None, dev)
    for split, rows in zip((train, dev), features):
        if len(split.records) != len(rows):
            raise PicaptionError(
                f"{data}: {len(split.records)} pictures with captions where the run has features of "
                f"{len(rows)}; give the data that it was trained on"
            )
    learnt, held_out = (
        examples(Split(split.records, None), rows, vocabulary, ())
        for split, rows in zip((train, dev), features)
    )
    return settings, learnt, held_out, dev.records


def convert_lstm(decoder, beam, features):
    """Return a Decoder's int8 TFLite flatbuffer; captions of `features` [N, F] by `beam`'s search give the ranges."""
    size, spec, seen = decoder.context.output_shape[-1], tf.TensorSpec, []
    for row in tqdm(features, "representative dataset", disable=None):
        context = decoder.context.predict_on_batch(row[None])
        seen.append(("start", {"features": row[None]}))

        def step(*inputs):
            seen.append(("step", dict(zip(("word", "h", "c", "context"), inputs))))
            return keras_step(decoder)(*inputs)

        said(step, context, beam)
    state = [spec((beam.width, size), tf.float32, name) for name in ("h", "c")]
    context = spec((1, size), tf.float32, "context")
    return convert_functions(
        {
            "start": freeze(
                lambda features: {"context": decoder.context(features)},
                spec((1, features.shape[1]), tf.float32, "features"),
            ),
            "step": freeze(
                lambda *inputs: dict(zip(("logits", "h", "c"), decoder.step(inputs))),
                spec((beam.width,), tf.int32, "word"),
                *state,
                context,
            ),
        },
        examples=seen,
    )


def graph_signatures(graph):
    """Return (start, step) of an int8 graph on one thread, as functions of arrays."""
    interpreter = make_interpreter(graph, threads=1)
    start, step = (interpreter.get_signature_runner(name) for name in ("start", "step"))

    def run_step(word, h, c, context):
        outputs = step(word=word, h=h, c=c, context=context)
        return outputs["logits"], outputs["h"], outputs["c"]

    return lambda features: start(features=features)["context"], run_step


def said(step, context, beam):
    """Return the word numbers of the best caption for a picture's context, float32 [1, H]."""
    return beam_search(next_word_with_states(step, context), beam.max_words + 1, beam)[0].words


def say_and_time(graph, features, records, beam, recognizer):
    """Return (captions, milliseconds) of an int8 graph for features [N, F] of the pictures of `records`.

    captions: word numbers; milliseconds: medians a caption of `lstm` and, for the pictures themselves, of `ngram`, the
    captioner of `recognizer`. The first picture warms up and counts only where it is the only one.
    """
    start, step = graph_signatures(graph)
    captions, spent = [], []
    for row, record in zip(tqdm(features, "int8", disable=None), records):
        context, encoded = (
            start(row[None]),
            recognizer.model.encode(recognizer.prepare(read_image(record.path))),
        )
        began = time.perf_counter()
        captions.append(said(step, context, beam))
        between = time.perf_counter()
        best_caption(recognizer.model, encoded)
        spent.append((between - began, time.perf_counter() - between))
    medians = np.median(spent[1:] or spent, axis=0) * 1e3
    return captions, dict(zip(("lstm", "ngram"), medians.round(3).tolist()))


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that the run's paths start from.",
)
@click.option(
    "--bundle",
    required=True,
    type=click.Path(dir_okay=False),
    help="Bundle whose captioner is timed too.",
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs at most.  [default: the run's]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to leave the LSTM in; an interrupted training in it goes on.  [default: RUN/lstm]",
)
def lstm(run, data, bundle, epochs, out):
    """Train and measure an LSTM decoder as large as the captioner of the training run RUN, and print JSON."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with redirect_stdout(sys.stderr):  # Keras tells there how the training goes.
        figures = compare_lstm(run, data, bundle, epochs, out or run / "lstm")
    click.echo(json.dumps(figures, indent=1))


main = partial(cli.main, command=lstm, name="python -m picaption.convert.benchmarks.lstm_baseline")

if __name__ == "__main__":
    main()
