"""How good a bundle or a training run is, measured through the code that runs on the device."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from picaption.device import PicaptionError, Recognizer
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.bundle.bundle import Bundle, Encoded
from picaption.device.images import read_image
from picaption.device.recognition.model import Model
from picaption.device.recognition.result import Recognition
from picaption.device.recognition.stopwatch import Stopwatch

from ..backend import load_keras
from ..data.readers import Dataset, Record, read_identifiers
from ..data.tokenizer import tokenize
from ..language.arpa import is_arpa, read_arpa
from ..language.shallow_fusion import CountedModel, ShallowFusion
from .confidence_report import RatedCaptions, confidence_figures
from .metrics import (
    caption_scores,
    expected_calibration_error,
    mean_average_precision,
    mean_words,
    nearest_neighbours,
    percent,
    precision_and_recall,
    style_figures,
    top_k_accuracy,
)
from .name_figures import mention_figures, name_figures
from .object_hallucination import absent_objects, chair_figures, hallucination_figures

#: How many of an image's tags are compared with its captions.
TAGS = 5
#: What captions may listen to, and the weights of it (picaption.device.bundle.metadata.Guidance);
#: naming has none.
LISTENING: dict[str, tuple[str, ...]] = {
    "classes": ("class_weight", "choice_weight"),
    "tags": ("tag_weight",),
    "names": ("name_weight",),
    "naming": (),
}
#: Figures that are not stored in a bundle.
NOT_RECORDED = ("model", "milliseconds", "classes", "skipped")
#: Figures that are too long for a table.
NOT_IN_TABLES = ("classes", "skipped")

#: Figures by name, in the order in which they are shown and written as JSON.
Figures = dict[str, Any]
#: What the model made of an image, as it is written as a line of JSON.
Prediction = dict[str, Any]
#: The labels of a model that each class of the data is.
LabelMapping = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Evaluation:
    """What was measured on a data set.

    figures: the figures, with `skipped`, a line for each image that was left out
    predictions: one for each image
    rated: the captions with their confidence, None where they have none or nothing is known of them
    """

    figures: Figures
    predictions: list[Prediction]
    rated: RatedCaptions | None = None


def load_recognizer(
    path: str | Path,
    threads: int | None = None,
    prior: str | Path | None = None,
    prior_weight: float = 0.0,
) -> Recognizer:
    """Return a Recognizer over a model.

    Args:
        path: A bundle, the folder of a training run, or an ARPA file of n-grams that do not see the
            image.
        threads: Of a bundle's runtime; None leaves the choice to it.
        prior: An ARPA file; its n-grams weigh the captioner's words
            (picaption.models.language.shallow_fusion.ShallowFusion).
        prior_weight: How much.
    """
    model: Model
    if not Path(path).is_dir() and is_arpa(path):
        counted, vocabulary = read_arpa(path)
        model = CountedModel(counted, vocabulary)
    elif Path(path).is_dir():
        load_keras()  # Only training runs need it.
        from ..run_folder import FloatModel

        model = FloatModel(path)
    else:
        model = Bundle(path, threads)
    if prior:
        counted, vocabulary = read_arpa(prior)
        model = ShallowFusion(model, counted, vocabulary, prior_weight)
    return Recognizer(model)


def without_listening(recognizer: Recognizer, parts: Sequence[str]) -> Recognizer:
    """Return a Recognizer of the same model whose captions leave out some of what they listen to.

    Args:
        recognizer: Over any model.
        parts: Of LISTENING.
    """
    model = recognizer.model
    metadata = model.metadata
    changes = {field: 0.0 for part in parts for field in LISTENING[part]}
    metadata = replace(metadata, guidance=replace(metadata.guidance, **changes))
    if "naming" in parts:
        metadata = replace(metadata, naming=None)
    model.metadata = metadata
    return Recognizer(model)


def read_images(
    dataset: Dataset, skipped: list[str], description: str = "pictures"
) -> Iterator[tuple[Record, np.ndarray]]:
    """Yield the records of a Dataset with their images, uint8 RGB [H, W, 3].

    Args:
        dataset: The records.
        skipped: Gets the lines of what the Dataset left out, and a line for each image that cannot
            be read.
        description: What the progress bar calls the images.
    """
    skipped += dataset.skipped
    for record in tqdm(dataset.records, description, disable=None):
        try:
            yield record, read_image(record.path)
        except PicaptionError as error:
            skipped.append(f"{record.name}: {error}")


def require_images(images: Sequence[Any], skipped: Sequence[str]) -> None:
    """Raise PicaptionError if no image could be evaluated."""
    if not images:
        raise PicaptionError(f"no picture could be evaluated; the first: {skipped[0]}")


def evaluate_captions(
    recognizer: Recognizer, dataset: Dataset, training: Dataset | None = None
) -> Evaluation:
    """Caption the images of a Dataset and compare with its own captions.

    Args:
        recognizer: With a captioner.
        dataset: Images with captions. Labels, too, add those of
            picaption.models.evaluation.object_hallucination and, where captions have confidence, of
            picaption.models.evaluation.confidence_report.
        training: The images that the captioner was trained on. They add the share of captions that
            are `new`, and the scores of `nearest_neighbour`: of copying the first caption of the
            training image with the most similar features.

    Returns:
        Scores of picaption.models.evaluation.metrics.caption_scores, in per cent; `tags` with
        precision and recall of the best five, in per cent; `milliseconds`, medians of an image. A
        prediction has image, caption, confidence, CIDEr, tags, classes and names, and, with labels,
        absent_objects: those that the caption names and that are not there.

    Raises:
        PicaptionError: The model has no captioner, or no image can be read.
    """
    if recognizer.model.vocabulary is None:
        raise PicaptionError("this model has no captioner: evaluate it on --labels or --folders")
    skipped: list[str] = []
    rated: RatedCaptions | None = None
    records: list[Record] = []
    encoded: list[Encoded] = []
    recognitions: list[Recognition] = []
    for record, image in read_images(dataset, skipped):
        stopwatch = Stopwatch()
        records.append(record)
        encoded.append(recognizer.encode(image, stopwatch))
        recognitions.append(recognizer.recognize(encoded[-1], stopwatch))
    require_images(records, skipped)

    captions = {
        record.name: _caption_text(recognition)
        for record, recognition in zip(records, recognitions)
    }
    references = {record.name: record.captions for record in records}
    scores, cider = caption_scores(captions, references)
    human = [caption for image_captions in references.values() for caption in image_captions]
    figures: Figures = {"pictures": len(captions), **scores, "human_mean_words": mean_words(human)}
    texts = list(captions.values())
    if training:
        known = {caption for record in training.records for caption in record.captions}
        figures |= style_figures(texts, known)
    else:
        figures |= style_figures(texts)
    figures |= tag_figures(
        recognizer.model.metadata.tags, [image.tags for image in encoded], records
    )
    absent: list[list[str]] = []
    if any(record.labels for record in records):
        labels = [record.labels for record in records]
        figures |= hallucination_figures(texts, labels, dataset.classes)
        human_captions = list(references.values())
        figures |= chair_figures(texts, labels, dataset.classes, human_captions)
        absent = absent_objects(texts, labels, dataset.classes, human_captions)
        is_clean = [not objects for objects in absent]
        rated = _rated_captions(recognizer, recognitions, is_clean)
        if rated:
            figures["confidence"] = confidence_figures(rated)
    if training:
        features = [image.features[0] for image in encoded]
        copied = copy_captions(recognizer, features, training, skipped)
        figures["nearest_neighbour"], _ = caption_scores(dict(zip(captions, copied)), references)
        del figures["nearest_neighbour"]["tokenizer"]
    figures["milliseconds"] = _median_timings(recognitions)
    figures["skipped"] = list(dict.fromkeys(skipped))
    predictions = [
        _caption_prediction(record, recognition, cider[record.name])
        for record, recognition in zip(records, recognitions)
    ]
    for prediction, objects in zip(predictions, absent):
        prediction["absent_objects"] = objects
    return Evaluation(figures, predictions, rated)


def _rated_captions(
    recognizer: Recognizer, recognitions: Sequence[Recognition], is_clean: Sequence[bool]
) -> RatedCaptions | None:
    """Return the captions with their confidence; None for a model whose captions have none."""
    weights = recognizer.model.metadata.confidence
    captions = [recognition.caption for recognition in recognitions if recognition.caption]
    confidences = [caption.confidence for caption in captions]
    if weights is None or None in confidences:
        return None
    return RatedCaptions(np.array(confidences, float), np.array(is_clean), weights.threshold)


def _caption_text(recognition: Recognition) -> str:
    assert recognition.caption is not None
    return recognition.caption.text


def _median_timings(recognitions: Sequence[Recognition]) -> dict[str, float]:
    """Return the median milliseconds of each stage."""
    return {
        stage: round(float(np.median([image.timings[stage] for image in recognitions])), 2)
        for stage in recognitions[0].timings
    }


def _caption_prediction(record: Record, recognition: Recognition, cider: float) -> Prediction:
    values = recognition.to_json()
    return {
        "image": record.name,
        "caption": _caption_text(recognition),
        "confidence": values["caption"]["confidence"],
        "CIDEr": cider,
        "tags": values["tags"],
        "classes": values["classes"],
        "names": values["names"],
    }


def tag_figures(
    tags: Sequence[str], scores: Sequence[np.ndarray | None], records: Sequence[Record]
) -> Figures:
    """Return {"tags": precision and recall of the TAGS best, in per cent}.

    A tag is right if one of the image's captions has the word. The dict is empty if the captions
    have none of the tags.

    Args:
        tags: Words.
        scores: Those of each image's tags, [tags].
        records: The images with their captions.
    """
    words = [
        {word for caption in record.captions for word in tokenize(caption)} for record in records
    ]
    truth = np.array([[tag in image_words for tag in tags] for image_words in words], bool)
    if not truth.any():
        return {}
    precision, recall = precision_and_recall(np.array(scores), truth, TAGS)
    return {
        "tags": {f"precision_at_{TAGS}": percent(precision), f"recall_at_{TAGS}": percent(recall)}
    }


def copy_captions(
    recognizer: Recognizer,
    features: Sequence[np.ndarray],
    training: Dataset,
    skipped: list[str],
) -> list[str]:
    """Return the first caption of the most similar training image for each row of features.

    Args:
        recognizer: Computes the features of the training images.
        features: float32 [F] of each image.
        training: The training images with their captions.
        skipped: Gets a line for each training image that cannot be read.
    """
    captions = []
    training_features = []
    training_skipped: list[str] = []
    for record, image in read_images(training, training_skipped, "training pictures"):
        captions.append(record.captions[0])
        training_features.append(recognizer.encode(image).features[0])
    require_images(captions, training_skipped)
    skipped += training_skipped
    indices = nearest_neighbours(np.array(features), np.array(training_features))
    return [captions[index] for index in indices]


def evaluate_classes(
    recognizer: Recognizer, dataset: Dataset, mapping: LabelMapping | None = None
) -> Evaluation:
    """Classify the images of a Dataset and compare with its labels.

    Args:
        recognizer: With classes.
        dataset: Images with labels.
        mapping: The model's labels by class, for a model with other names or with more classes.
            Only its labels count then: a class has the sum of their scores, divided by that of all
            if the model is a single-label one.

    Returns:
        In per cent: of a multi-label model the mean average precision and that of each class, of a
        single-label one the top-1 and top-3 accuracy and the share of images of which it is unsure;
        of both the expected calibration error. A prediction has image and scores.

    Raises:
        PicaptionError: Model and data have different classes, or no image can be read.
    """
    metadata = recognizer.model.metadata
    labels = recognizer.model.labels
    if not labels:
        raise PicaptionError("this model has no classes: evaluate it on --captions")
    label_classes = None
    if mapping:
        label_classes = map_labels(labels, dataset.classes, mapping)
        labels = dataset.classes
    elif set(dataset.classes) != set(labels):
        only_data = sorted(set(dataset.classes) - set(labels))
        only_model = sorted(set(labels) - set(dataset.classes))
        raise PicaptionError(
            f"the model and the data have different classes: only in the data {only_data[:5]}, "
            f"only in the model {only_model[:5]}; --mapping tells which are the same"
        )
    skipped: list[str] = []
    image_truth = []
    image_scores = []
    predictions = []
    for record, image in read_images(dataset, skipped):
        scores = recognizer.class_scores(image)
        if label_classes is not None:
            scores = scores @ label_classes
            if metadata.head == "single-label":
                scores /= max(scores.sum(), 1e-9)
        image_truth.append([label in record.labels for label in labels])
        image_scores.append(scores)
        rounded = {label: round(float(score), 4) for label, score in zip(labels, scores)}
        predictions.append({"image": record.name, "scores": rounded})
    require_images(image_truth, skipped)
    truth = np.array(image_truth)
    scores = np.array(image_scores)
    figures: Figures = {"pictures": len(truth), "head": metadata.head}
    if metadata.head == "multi-label":
        figures |= _multi_label_figures(labels, scores, truth)
    else:
        figures |= _single_label_figures(scores, truth, metadata.label_threshold)
    figures["skipped"] = skipped
    return Evaluation(figures, predictions)


def _multi_label_figures(labels: Sequence[str], scores: np.ndarray, truth: np.ndarray) -> Figures:
    mean, by_class = mean_average_precision(scores, truth)
    classes = {
        label: None if np.isnan(precision) else round(100 * float(precision), 1)
        for label, precision in zip(labels, by_class)
    }
    error = expected_calibration_error(scores, truth)
    return {"mAP": percent(mean), "classes": classes, "calibration_error": percent(error)}


def _single_label_figures(scores: np.ndarray, truth: np.ndarray, threshold: float) -> Figures:
    figures: Figures = {
        f"top_{k}": percent(top_k_accuracy(scores, truth.argmax(1), k)) for k in (1, 3)
    }
    best = scores.argmax(1)
    rows = np.arange(len(best))
    error = expected_calibration_error(scores[rows, best], truth[rows, best])
    figures["calibration_error"] = percent(error)
    figures["unsure"] = percent((scores[rows, best] < threshold).mean())
    return figures


def map_labels(labels: Sequence[str], classes: Sequence[str], mapping: LabelMapping) -> np.ndarray:
    """Return which of a model's labels is which class, float32 [labels, classes] of 0 and 1.

    Args:
        labels: Of the model.
        classes: Of the data.
        mapping: The labels by class.

    Raises:
        PicaptionError: A class has no label, or a label is not the model's or that of two classes.
    """
    missing = [name for name in classes if name not in mapping]
    if missing:
        raise PicaptionError(
            f"the mapping has no line for {missing[:5]}, which the data has: add one for each"
        )
    map_labels = [label for name in classes for label in mapping[name]]
    wrong = [
        label for label in map_labels if labels.count(label) != 1 or map_labels.count(label) != 1
    ]
    if wrong:
        raise PicaptionError(
            f"the mapping names {wrong[:5]}, of which the model has none or two, or which two "
            "lines name: give its labels as they are, each once"
        )
    return np.array([[label in mapping[name] for name in classes] for label in labels], np.float32)


def read_named_photographs(
    recognizer: Recognizer, labels: Path, images: Path, limit: int | None = None
) -> Dataset:
    """Return the photographs of a list `picture<TAB>identifier`.

    Args:
        recognizer: Its model's names have the identifiers.
        labels: The list.
        images: The folder of the photographs.
        limit: Only the first ones; None for all.

    Raises:
        PicaptionError: The model has no names, or the list is malformed.
    """
    identifiers = [item.identifier for item in recognizer.model.names]
    if not identifiers:
        raise PicaptionError("this model has no names: evaluate it on --captions or --labels")
    dataset = read_identifiers(labels, images, identifiers)
    return replace(dataset, records=dataset.records[:limit])


def evaluate_names(recognizer: Recognizer, dataset: Dataset) -> Evaluation:
    """Name and caption photographs and compare with what they show.

    Args:
        recognizer: With names.
        dataset: As `read_named_photographs` returns it.

    Returns:
        Figures of picaption.models.evaluation.name_figures. A prediction has image, identifier,
        names and, with a captioner, caption.

    Raises:
        PicaptionError: No image can be read.
    """
    names = recognizer.model.names
    skipped: list[str] = []
    image_scores = []
    truth = []
    captions = []
    predictions = []
    for record, image in read_images(dataset, skipped):
        encoded = recognizer.encode(image)
        scores = recognizer.name_scores(encoded)
        assert scores is not None
        image_scores.append(scores)
        class_scores = recognizer.classify(encoded, recognizer.class_evidence(encoded))
        caption = recognizer.caption(encoded, class_scores, scores)
        truth.append(dataset.classes.index(record.labels[0]))
        certain = [
            {"name": name.name, "score": round(name.score, 4)}
            for name in recognizer.best_names(scores)
        ]
        prediction = {"image": record.name, "identifier": record.labels[0], "names": certain}
        if caption is not None:
            captions.append(caption)
            prediction["caption"] = caption.text
        predictions.append(prediction)
    require_images(truth, skipped)
    threshold = recognizer.model.metadata.name_threshold
    figures: Figures = {"pictures": len(truth), "name_threshold": threshold}
    figures |= name_figures(names, np.array(image_scores), np.array(truth), threshold)
    if captions:
        figures |= mention_figures(captions, [names[index] for index in truth])
    figures["skipped"] = skipped
    return Evaluation(figures, predictions)


def record_figures(path: str | Path, name: str, figures: Figures) -> None:
    """Store figures in the metadata of the bundle at `path`, as measured on the data `name`."""
    contents = read_bundle(path)
    recorded = {key: value for key, value in figures.items() if key not in NOT_RECORDED}
    measured = contents.metadata.measured | {name: recorded}
    metadata = replace(contents.metadata, measured=measured)
    write_bundle(path, replace(contents, metadata=metadata))


def figure_rows(figures: Figures) -> list[tuple[str, str]]:
    """Return figures as names and values for people, nested names joined."""
    rows = []
    for name, value in figures.items():
        if name in NOT_IN_TABLES:
            continue
        parts = value if isinstance(value, dict) else {"": value}
        for part, number in parts.items():
            rows.append((f"{name} {part}".replace("_", " ").strip(), _format_figure(number)))
    return rows


def _format_figure(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    return str(value)


def figure_lines(figures: Figures) -> list[str]:
    """Return figures as lines of text, one figure a line."""
    return [f"{name:32} {value:>10}" for name, value in figure_rows(figures)]
