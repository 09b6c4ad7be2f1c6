"""How good a bundle or a training run is, measured through the very code that runs on the device."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from device import PicaptionError, Recognizer
from device.bundle import read_bundle, write_bundle
from device.pictures import read_picture
from models.metrics import caption_scores, mean_average_precision, style, top_k_accuracy


def load_recognizer(path, threads=None):
    """Return a Recognizer over `path`, a bundle or the folder of a training run."""
    if Path(path).is_dir():
        from models.run import KerasModel  # TensorFlow is for training runs only.
        return Recognizer(KerasModel(path))
    return Recognizer(path, threads)


def pictures_of(dataset, skipped):
    """Yield (record, picture) for each record; a picture that cannot be read is named in the list `skipped`."""
    skipped += dataset.skipped
    for record in tqdm(dataset.records, "pictures", disable=None):
        try:
            yield record, read_picture(record.path)
        except PicaptionError as error:
            skipped.append(f"{record.name}: {error}")


def evaluate_captions(recognizer, dataset, predictions=None):
    """Return the figures of the captions told of `dataset`'s pictures against its own captions, as a dict.

    Scores are those of models.metrics.caption_scores, in per cent; milliseconds are medians a picture. The
    list `predictions`, if given, is filled with {"image", "caption"}. Raises PicaptionError where the model
    has no captioner.
    """
    if recognizer.model.vocabulary is None:
        raise PicaptionError("this model has no captioner: evaluate it on --labels or --folders")
    told, timings, skipped = {}, [], []
    for record, picture in pictures_of(dataset, skipped):
        found = recognizer(picture)
        told[record.name] = found.caption.text
        timings.append(found.timings)
    need_some(told, skipped)
    references = {record.name: record.captions for record in dataset.records if record.name in told}
    if predictions is not None:
        predictions += [{"image": name, "caption": text} for name, text in told.items()]
    return {
        "pictures": len(told), **caption_scores(told, references), **style(list(told.values())),
        "milliseconds": {stage: round(float(np.median([each[stage] for each in timings])), 2) for stage in timings[0]},
        "skipped": skipped,
    }


def evaluate_classes(recognizer, dataset, predictions=None):
    """Return the figures of the classes found in `dataset`'s pictures, as a dict, fused and from the image alone.

    A multi-label model gets its mean average precision and that of each class, a single-label one its top-1
    and top-3 accuracy, all in per cent. Raises PicaptionError where model and data have different classes.
    """
    labels = recognizer.model.labels
    if not labels:
        raise PicaptionError("this model has no classes: evaluate it on --captions")
    if set(dataset.classes) != set(labels):
        only = sorted(set(dataset.classes) - set(labels)), sorted(set(labels) - set(dataset.classes))
        raise PicaptionError(f"the model and the data have different classes: only in the data {only[0][:5]}, "
                             f"only in the model {only[1][:5]}")
    truth, fused, alone, skipped = [], [], [], []
    for record, picture in pictures_of(dataset, skipped):
        truth.append([label in record.labels for label in labels])
        fused.append(recognizer.class_scores(picture))
        alone.append(recognizer.class_scores(picture, fused=False))
        if predictions is not None:
            predictions.append({"image": record.name, "scores": {
                label: round(float(score), 4) for label, score in zip(labels, fused[-1])}})
    need_some(truth, skipped)
    truth, figures = np.array(truth), {"pictures": len(truth), "head": recognizer.model.metadata.head}
    for name, scores in (("fused", np.array(fused)), ("image_only", np.array(alone))):
        if recognizer.model.metadata.head == "multi-label":
            mean, each = mean_average_precision(scores, truth)
            figures[name] = {"mAP": round(100 * mean, 2)}
            if name == "fused":
                figures["classes"] = {label: None if np.isnan(value) else round(100 * float(value), 1)
                                      for label, value in zip(labels, each)}
        else:
            figures[name] = {f"top_{k}": round(100 * top_k_accuracy(scores, truth.argmax(1), k), 2) for k in (1, 3)}
    return figures | {"skipped": skipped}


def need_some(found, skipped):
    """Raise PicaptionError where no picture could be evaluated."""
    if not found:
        raise PicaptionError(f"no picture could be evaluated; the first: {skipped[0]}")


def record(path, name, figures):
    """Store `figures` in the metadata of the bundle at `path`, as measured on the data called `name`."""
    contents = read_bundle(path)
    kept = {key: value for key, value in figures.items() if key not in ("model", "milliseconds", "classes", "skipped")}
    metadata = replace(contents.metadata, measured=contents.metadata.measured | {name: kept})
    write_bundle(path, replace(contents, metadata=metadata))


def table(figures):
    """Return `figures` as lines of text for people: nested names joined, one figure a line."""
    lines = []
    for name, value in figures.items():
        if name in ("classes", "skipped"):
            continue
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for part, number in inner:
            shown = f"{number:.2f}" if isinstance(number, float) else number
            lines.append(f"{(name + ' ' + part).replace('_', ' ').strip():28} {shown:>10}")
    return lines
