"""Choosing how captions listen to classes, names and tags, on dev images.

Every setting of a few small grids captions the dev images, one grid after the other, and the one
with the highest score is taken: how the search listens to the classes, then to the tags, then to
the names, and when captions say what is certain and the captioner did not. The score is CIDEr of
the labelled and of the captioned dev images, plus twice the share of objects that are named, less
CHAIR's two shares, of captions with an absent object and of absent objects (Rohrbach et al.,
"Object hallucination in image captioning", EMNLP 2018), plus the share of named photographs whose
captions mention what they show, all in points of 100.
"""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from picaption.device.bundle.bundle import Encoded
from picaption.device.bundle.metadata import Guidance, Metadata, Naming
from picaption.device.bundle.names import NamedClass
from picaption.device.recognition.recognizer import Recognizer

from ..data.dataset import Split
from ..data.readers import Record
from ..data.tokenizer import tokenize
from ..evaluation.name_figures import mentions
from ..evaluation.object_hallucination import chair_figures
from ..run_folder import FloatModel
from .classifier import class_scores
from .rewards import CiderD
from .training_run import NamedPhotographs, TrainingRun

logger = logging.getLogger(__name__)

#: The settings that are tried; the first does not listen.
SETTINGS = (
    Guidance(),
    *(
        Guidance(weight, pivot, -6.0, 1.0, choice)
        for weight, pivot in ((1.0, 0.3), (2.0, 0.3), (4.0, 0.3), (4.0, 0.5), (8.0, 0.5))
        for choice in (0.5, 1.0)
    ),
)
#: How a search that listens to the classes may listen to names as well: not, or with a weight.
NAME_SETTINGS: tuple[dict[str, float], ...] = (
    {"name_weight": 0.0},
    {"name_weight": 1.0, "name_pivot": 0.3, "name_ceiling": 2.0},
    {"name_weight": 4.0, "name_pivot": 0.5, "name_ceiling": 4.0},
)
#: How it may listen to tags as well.
TAG_SETTINGS: tuple[dict[str, float], ...] = (
    {"tag_weight": 0.0},
    {"tag_weight": 1.0, "tag_pivot": 0.5},
    {"tag_weight": 2.0, "tag_pivot": 0.5},
    {"tag_weight": 2.0, "tag_pivot": 0.6},
    {"tag_weight": 3.0, "tag_pivot": 0.5},
)
#: When captions say what is certain and the captioner did not. In all, tags that are rather wrong
#: than right make a person of a man: it costs half a point of CIDEr, which pays for guesses.
NAMINGS = (
    None,
    Naming(0.8, 0.7, 1.0, 0.5),
    Naming(0.9, 0.7, 0.95, 0.5),
    Naming(0.8, 0.7, 0.95, 0.5),
)
#: How many captioned dev images without labels are captioned with every setting.
MAX_CAPTIONED = 300


@dataclass(frozen=True)
class DevImages:
    """Dev images with captions, encoded and classified once for all settings.

    Attributes:
        records: with their labels, if any, and captions.
        classes: names of the classes that the labels are of; empty without labels.
        encoded: of each image.
        class_scores: float32 [N, C].
        shown: what named photographs show; empty for other images, which have captions that people
            wrote.
    """

    records: Sequence[Record]
    classes: tuple[str, ...]
    encoded: Sequence[Encoded]
    class_scores: np.ndarray
    shown: Sequence[NamedClass] = ()


def choose_guidance(run: TrainingRun) -> None:
    """Choose the guidance and the naming on dev images with labels and captions, if any."""
    labels_dev = run.data.labels_dev
    features = run.features.labels_dev
    if labels_dev is None or features is None or not run.metadata.object_words:
        return
    if not any(record.captions for record in labels_dev.records):
        return
    model = FloatModel(run.folder)
    groups = [_dev_images(run, model, labels_dev, features, len(features), "labels_dev")]
    if run.data.captions_dev and run.features.captions_dev is not None:
        group = _dev_images(
            run, model, run.data.captions_dev, run.features.captions_dev, MAX_CAPTIONED, "guidance"
        )
        groups.append(group)
    if run.named is not None:
        groups.append(_named_images(run, model, run.named))
    best = _best(model, groups, [_with_guidance(run.metadata, setting) for setting in SETTINGS])
    grids = [TAG_SETTINGS] if run.metadata.tags else []
    if model.names:
        grids.append(NAME_SETTINGS)
    for grid in grids:
        settings = [dataclasses.replace(best.guidance, **changes) for changes in grid]
        best = _best(model, groups, [_with_guidance(best, setting) for setting in settings])
    run.metadata = _best(
        model, groups, [dataclasses.replace(best, naming=naming) for naming in NAMINGS]
    )


def _with_guidance(metadata: Metadata, guidance: Guidance) -> Metadata:
    return dataclasses.replace(metadata, guidance=guidance)


def _best(
    model: FloatModel, groups: Sequence[DevImages], candidates: Sequence[Metadata]
) -> Metadata:
    """Return the Metadata by which the captions of the dev images have the highest score."""
    scores = []
    for metadata in tqdm(candidates, "guidance", disable=None):
        model.metadata = metadata
        recognizer = Recognizer(model)
        figures = [_figures(group, _captions(recognizer, group)) for group in groups]
        scores.append(sum(map(_score, figures)))
        logger.info(
            "%s, %s: score %.1f, %s", metadata.guidance, metadata.naming, scores[-1], figures
        )
    return candidates[int(np.argmax(scores))]


def _named_images(run: TrainingRun, model: FloatModel, named: NamedPhotographs) -> DevImages:
    """Return named photographs as DevImages."""
    return DevImages(
        records=(),
        classes=(),
        encoded=[model.encode_features(row[None]) for row in named.features],
        class_scores=class_scores(run, model, named.features, "named_photographs"),
        shown=named.classes,
    )


def _dev_images(
    run: TrainingRun, model: FloatModel, split: Split, features: np.ndarray, count: int, name: str
) -> DevImages:
    """Return those of the first `count` images of a Split that have captions."""
    scores = class_scores(run, model, features[:count], name)
    rows = [row for row in range(len(scores)) if split.records[row].captions]
    return DevImages(
        [split.records[row] for row in rows],
        split.classes,
        [model.encode_features(features[row][None]) for row in rows],
        scores[rows],
    )


def _captions(recognizer: Recognizer, images: DevImages) -> list[str]:
    """Return the captions of dev images."""
    captions = []
    for encoded, scores in zip(images.encoded, images.class_scores):
        caption = recognizer.caption(encoded, scores, recognizer.name_scores(encoded))
        assert caption is not None
        captions.append(caption.text)
    return captions


def _figures(images: DevImages, captions: Sequence[str]) -> dict[str, float]:
    """Return the figures of captions, in points of 100.

    Returns:
        `CIDEr`, that of a match being 1,000; with labels also `CHAIRs`, `CHAIRi` and
        `object_recall`; of named photographs only `named`, the captions that mention what is there.
    """
    if images.shown:
        right = [mentions(caption, item) for caption, item in zip(captions, images.shown)]
        return {"named": round(100 * float(np.mean(right)), 2)}
    references = [[tokenize(text) for text in record.captions] for record in images.records]
    cider = CiderD(references)
    scores = [cider.score(index, tokenize(caption)) for index, caption in enumerate(captions)]
    figures = {"CIDEr": round(100 * float(np.mean(scores)), 2)}
    if images.classes:
        chair = chair_figures(
            captions,
            [record.labels for record in images.records],
            images.classes,
            [record.captions for record in images.records],
        )
        for name in ("CHAIRs", "CHAIRi", "object_recall"):
            figures[name] = chair.get(name) or chair[f"{name}_own_words"] or 0.0
    return figures


def _score(figures: dict[str, float]) -> float:
    """Return what a setting is chosen by."""
    absent = figures.get("CHAIRs", 0.0) + figures.get("CHAIRi", 0.0)
    recall = figures.get("object_recall", 0.0)
    return figures.get("CIDEr", 0.0) + 2 * recall + figures.get("named", 0.0) - absent
