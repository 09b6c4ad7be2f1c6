"""How good a bundle or a training run is, measured through the very code that runs on the device."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from picaption.device import PicaptionError, Recognizer
from picaption.device.bundle.bundle import Bundle, read_bundle, write_bundle
from picaption.device.images import read_image
from picaption.device.recognition.stopwatch import Stopwatch

from ..backend import load_keras
from ..data.readers import read_captions
from ..data.tokenizer import tokenize
from ..language.arpa import read_arpa
from ..language.shallow_fusion import CountedModel, ShallowFusion
from .metrics import (
    caption_scores,
    expected_calibration_error,
    mean_average_precision,
    mean_words,
    nearest,
    percent,
    precision_and_recall,
    style,
    top_k_accuracy,
)
from .object_hallucination import share_that_names_an_object

#: How many of a picture's tags are held against what people said.
TAGS = 5


def load_recognizer(path, threads=None, prior=None, prior_weight=0.0):
    """Return a Recognizer over `path`, a bundle, the folder of a training run, or an ARPA file of n-grams that do not
    see the picture; with the ARPA file `prior`, its captioner has these for a prior (picaption.models.language.shallow_fusion.ShallowFusion)."""
    if Path(path).suffix == ".arpa":
        model = CountedModel(*read_arpa(path))
    elif Path(path).is_dir():
        load_keras()  # It is for training runs only.
        from ..run_folder import FloatModel

        model = FloatModel(path)
    else:
        model = Bundle(path, threads)
    return Recognizer(ShallowFusion(model, *read_arpa(prior), prior_weight) if prior else model)


def pictures_of(dataset, skipped, what="pictures"):
    """Yield (record, picture) for each record; a picture that cannot be read is named in the list `skipped`."""
    skipped += dataset.skipped
    for record in tqdm(dataset.records, what, disable=None):
        try:
            yield record, read_image(record.path)
        except PicaptionError as error:
            skipped.append(f"{record.name}: {error}")


def read_training(captions, images, split, dataset):
    """Return the Dataset of the pictures that a model was trained on, for evaluate_captions on `dataset`.

    captions, images, split: as for picaption.models.data.readers.read_captions; without a split, all pictures that `dataset`
    does not have. Raises PicaptionError where nothing is left and where the split shares a picture with `dataset`.
    """
    training = read_captions(captions, images, split)
    evaluated = {record.name for record in dataset.records}
    kept = tuple(record for record in training.records if record.name not in evaluated)
    if split and len(kept) < len(training.records):
        raise PicaptionError(
            f"{split}: {len(training.records) - len(kept)} of its pictures are among those to "
            "evaluate; list only pictures that are not"
        )
    if not kept:
        raise PicaptionError(
            f"{captions}: it has no pictures but those to evaluate; give these with --split"
        )
    return replace(training, records=kept)


def evaluate_captions(recognizer, dataset, predictions=None, training=None):
    """Return the figures of the captions told of `dataset`'s pictures against its own captions, as a dict.

    Scores are those of picaption.models.evaluation.metrics.caption_scores, in per cent; `tags` holds precision and recall of the best
    five against the words of a picture's own captions, in per cent; milliseconds are medians a picture. Where
    pictures have labels, the figures of picaption.models.evaluation.object_hallucination are there too. With `training`, a Dataset, so are the share
    of captions that are `new` and the scores of `nearest_neighbour`: of copying the first caption of the training
    picture whose features are most alike. The list `predictions`, if given, is filled with a dict a picture:
    image, caption, CIDEr, tags and classes. Raises PicaptionError where the model has no captioner.
    """
    if recognizer.model.vocabulary is None:
        raise PicaptionError("this model has no captioner: evaluate it on --labels or --folders")
    records, found, encoded, skipped = [], [], [], []
    for record, picture in pictures_of(dataset, skipped):
        records.append(record)
        stopwatch = Stopwatch()
        encoded.append(recognizer.encode(picture, stopwatch))
        found.append(recognizer.recognize(encoded[-1], stopwatch))
    need_some(found, skipped)
    told = {record.name: each.caption.text for record, each in zip(records, found)}
    references = {record.name: record.captions for record in records}
    scores, cider = caption_scores(told, references)
    known = training and {caption for record in training.records for caption in record.captions}
    figures = {
        "pictures": len(told),
        **scores,
        "human_mean_words": mean_words(
            [caption for each in references.values() for caption in each]
        ),
        **style(list(told.values()), known),
    }
    figures |= tag_figures(recognizer.model.metadata.tags, [each.tags for each in encoded], records)
    if any(record.labels for record in records):
        figures |= share_that_names_an_object(
            list(told.values()), [record.labels for record in records], dataset.classes
        )
    if training:
        copied = copied_captions(
            recognizer, [each.features[0] for each in encoded], training, skipped
        )
        figures["nearest_neighbour"] = caption_scores(dict(zip(told, copied)), references)[0]
        del figures["nearest_neighbour"]["tokenizer"]
    if predictions is not None:
        for record, each in zip(records, found):
            said = each.to_json()
            predictions.append(
                {
                    "image": record.name,
                    "caption": each.caption.text,
                    "CIDEr": cider[record.name],
                    "tags": said["tags"],
                    "classes": said["classes"],
                }
            )
    timings = {
        stage: round(float(np.median([each.timings[stage] for each in found])), 2)
        for stage in found[0].timings
    }
    return figures | {"milliseconds": timings, "skipped": list(dict.fromkeys(skipped))}


def tag_figures(tags, scores, records):
    """Return {"tags": precision and recall of the TAGS best, in per cent}, or {} where people used none of the `tags`.

    tags: words; scores: their scores, [N, tags]; records: the pictures' Records. A tag is right where one of the
    picture's captions has the word.
    """
    words = [
        {word for caption in record.captions for word in tokenize(caption)} for record in records
    ]
    truth = np.array([[tag in said for tag in tags] for said in words], bool)
    if not truth.any():
        return {}
    precision, recall = precision_and_recall(np.array(scores), truth, TAGS)
    return {
        "tags": {f"precision_at_{TAGS}": percent(precision), f"recall_at_{TAGS}": percent(recall)}
    }


def copied_captions(recognizer, features, training, skipped):
    """Return for each of `features`, float32 [N, F], the first caption of the picture of `training` that is most alike.

    A training picture that cannot be read is named in the list `skipped`.
    """
    captions, others, left_out = [], [], []
    for record, picture in pictures_of(training, left_out, "training pictures"):
        captions.append(record.captions[0])
        others.append(recognizer.model.encode(recognizer.prepare(picture)).features[0])
    need_some(captions, left_out)
    skipped += left_out
    return [captions[index] for index in nearest(features, others)]


def evaluate_classes(recognizer, dataset, predictions=None, mapping=None):
    """Return the figures of the classes found in `dataset`'s pictures, as a dict.

    mapping: {class: labels}, for a model that calls the data's classes otherwise or has others too. Of its labels those alone
    count then: a class has the sum of their scores, of a single-label model divided by that of all.

    A multi-label model gets its mean average precision and that of each class, a single-label one its top-1
    and top-3 accuracy and the share of pictures of which it is unsure, and both the expected calibration error, all in
    per cent. The list `predictions`, if given, is filled with a dict a picture. Raises PicaptionError where model and
    data have different classes.
    """
    labels, metadata = recognizer.model.labels, recognizer.model.metadata
    if not labels:
        raise PicaptionError("this model has no classes: evaluate it on --captions")
    shares = None
    if mapping:
        shares, labels = mapped(labels, dataset.classes, mapping), dataset.classes
    elif set(dataset.classes) != set(labels):
        only = (
            sorted(set(dataset.classes) - set(labels)),
            sorted(set(labels) - set(dataset.classes)),
        )
        raise PicaptionError(
            f"the model and the data have different classes: only in the data {only[0][:5]}, "
            f"only in the model {only[1][:5]}; --mapping tells which are the same"
        )
    truth, scores, skipped = [], [], []
    for record, picture in pictures_of(dataset, skipped):
        truth.append([label in record.labels for label in labels])
        found = recognizer.class_scores(picture)
        if mapping:
            found = found @ shares
            if metadata.head == "single-label":
                found /= max(found.sum(), 1e-9)
        scores.append(found)
        if predictions is not None:
            predictions.append(
                {
                    "image": record.name,
                    "scores": {
                        label: round(float(score), 4) for label, score in zip(labels, scores[-1])
                    },
                }
            )
    need_some(truth, skipped)
    truth, scores = np.array(truth), np.array(scores)
    figures = {"pictures": len(truth), "head": metadata.head}
    if metadata.head == "multi-label":
        mean, each = mean_average_precision(scores, truth)
        figures |= {
            "mAP": percent(mean),
            "classes": {
                label: None if np.isnan(value) else round(100 * float(value), 1)
                for label, value in zip(labels, each)
            },
        }
        figures["calibration_error"] = percent(expected_calibration_error(scores, truth))
    else:
        figures |= {f"top_{k}": percent(top_k_accuracy(scores, truth.argmax(1), k)) for k in (1, 3)}
        best = scores.argmax(1)
        rows = np.arange(len(best))
        figures["calibration_error"] = percent(
            expected_calibration_error(scores[rows, best], truth[rows, best])
        )
        figures["unsure"] = percent((scores[rows, best] < metadata.label_threshold).mean())
    return figures | {"skipped": skipped}


def mapped(labels, classes, mapping):
    """Return which of a model's `labels` is which of `classes` by `mapping`, {class: labels}: float32 [labels, classes] of 0 and
    1. Raises PicaptionError where a class has none, or a label is not the model's, or that of two classes."""
    missing = [name for name in classes if name not in mapping]
    if missing:
        raise PicaptionError(
            f"the mapping has no line for {missing[:5]}, which the data has: add one for each"
        )
    named = [label for name in classes for label in mapping[name]]
    wrong = [label for label in named if labels.count(label) != 1 or named.count(label) != 1]
    if wrong:
        raise PicaptionError(
            f"the mapping names {wrong[:5]}, of which the model has none or two, or which two lines name: give "
            "its labels as they are, each once"
        )
    return np.array([[label in mapping[name] for name in classes] for label in labels], np.float32)


def need_some(found, skipped):
    """Raise PicaptionError where no picture could be evaluated."""
    if not found:
        raise PicaptionError(f"no picture could be evaluated; the first: {skipped[0]}")


def record(path, name, figures):
    """Store `figures` in the metadata of the bundle at `path`, as measured on the data called `name`."""
    contents = read_bundle(path)
    kept = {
        key: value
        for key, value in figures.items()
        if key not in ("model", "milliseconds", "classes", "skipped")
    }
    metadata = replace(contents.metadata, measured=contents.metadata.measured | {name: kept})
    write_bundle(path, replace(contents, metadata=metadata))


def rows(figures):
    """Return `figures` as (name, value) texts for people: nested names joined, one figure a row."""
    found = []
    for name, value in figures.items():
        if name in ("classes", "skipped"):
            continue
        for part, number in value.items() if isinstance(value, dict) else [("", value)]:
            shown = (
                "-"
                if number is None
                else f"{number:.2f}"
                if isinstance(number, float)
                else str(number)
            )
            found.append((f"{name} {part}".replace("_", " ").strip(), shown))
    return found


def table(figures):
    """Return `figures` as lines of text, one figure a line."""
    return [f"{name:28} {value:>10}" for name, value in rows(figures)]
