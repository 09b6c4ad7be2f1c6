"""The names: the classifier that came with the network's weights, adapted to the tuned encoder.

Before tuning, the network's last layer tells ImageNet's classes apart: t = u W0 + b0 for its
features u. Tuning changes the features to f. The names' weights are those that say of f what t was,
by ridge regression towards W0 (Hoerl and Kennard, 1970):

    minimise  sum |f W + b - t|^2 + penalty |W - W0|^2

over all training images, so no label is needed; the penalty is the best one on held-out images. A
temperature and a threshold are chosen on labelled photographs, the setting `name_labels`.
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from picaption.device.bundle.names import NamedClass
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import Classifier, fit_temperature, probabilities

from ..data import readers
from ..data.dataset import Split
from ..evaluation.name_figures import name_figures
from ..networks.captioner import mean_over_grid
from ..run_folder import load_classifier, read_named_classes, save_names
from .encoder import build_network, cached_features, compute_features, read_network_classifier
from .training_run import NamedPhotographs, TrainingRun

logger = logging.getLogger(__name__)

#: ImageNet's classes by everyday names.
IMAGENET_NAMES = Path(__file__).parents[1] / "mappings" / "imagenet_names.tsv"
#: The penalties that are tried, as multiples of the features' mean variance times their number.
PENALTIES = np.geomspace(1e-4, 1e2, 13)
#: The share of named photographs whose most specific certain name is to be right.
PRECISION = 0.95
#: The thresholds that are tried.
THRESHOLDS = np.arange(0.5, 0.96, 0.01)
#: The part of the images that is held out where there are no dev images: one in so many.
HELD_OUT = 5

#: Features float32 [N, F] and what the network said before tuning, float32 [N, names].
Pairs = tuple[np.ndarray, np.ndarray]


def fit_names(run: TrainingRun) -> None:
    """Fit the names' classifier, calibrate it, and choose its threshold.

    It stays as it is where names.npz is in the run's folder. Half of the labelled photographs
    choose, the other half measures; the figures are in the bundle's provenance.
    """
    settings = run.settings
    if not settings.name_labels:
        return
    names = read_named_classes(IMAGENET_NAMES)
    photographs = _load_photographs(run, names)
    unpooled = cached_features(run.encoder, photographs, run.folder / "name_images.npy")
    assert unpooled is not None
    features = mean_over_grid(unpooled)
    identifiers = [item.identifier for item in names]
    truth = np.array([identifiers.index(record.labels[0]) for record in photographs.records])
    order = np.random.default_rng(settings.seed).permutation(len(truth))
    choosing, measuring = np.array_split(order, 2)
    run.named = NamedPhotographs(
        unpooled[choosing], tuple(names[index] for index in truth[choosing])
    )
    path = run.folder / "names.npz"
    if not path.exists():
        classifier = adapted_classifier(run, photographs, features, choosing, len(names))
        one_hot = np.eye(len(names), dtype=np.float32)[truth[choosing]]
        logits = classifier.logits(features[choosing])
        temperature = fit_temperature(logits, one_hot, multi_label=False)
        save_names(run.folder, names, classifier.with_temperature(temperature))
    scores = probabilities(load_classifier(path).logits(features), multi_label=False)
    threshold = choose_threshold(names, scores[choosing], truth[choosing])
    figures = name_figures(names, scores[measuring], truth[measuring], threshold)
    logger.info("names of %d held-out photographs: %s", len(measuring), figures)
    provenance = run.metadata.provenance | {"names": figures}
    run.metadata = dataclasses.replace(
        run.metadata, name_threshold=threshold, provenance=provenance
    )


def _load_photographs(run: TrainingRun, names: Sequence[NamedClass]) -> Split:
    """Return the labelled photographs with their images."""
    settings = run.settings
    dataset = readers.read_identifiers(
        run.data_root / settings.name_labels,
        run.data_root / settings.name_images,
        [item.identifier for item in names],
    )
    dataset, images = readers.load_images(dataset, settings.size, settings.size, settings.resize)
    for line in dataset.skipped:
        logger.warning("left out %s", line)
    return Split(dataset.records, images, dataset.classes)


def _pooled(run: TrainingRun, split: Split | None, name: str) -> np.ndarray | None:
    """Return the tuned features of a Split, float32 [N, F], cached in the run's folder."""
    features = cached_features(run.encoder, split, run.folder / name)
    return None if features is None else mean_over_grid(features)


def adapted_classifier(
    run: TrainingRun, photographs: Split, features: np.ndarray, choosing: np.ndarray, count: int
) -> Classifier:
    """Return the network's own classifier, adapted to features of the run's encoder.

    Args:
        run: A run with an encoder and features of all images.
        photographs: The labelled ones.
        features: Theirs by the run's encoder, float32 [N, F].
        choosing: The indices of those that may be learned from.
        count: How many classes there must be.
    """
    path = run.data_root / run.settings.weights
    classifier = read_network_classifier(path)
    if len(classifier.bias) != count:
        raise PicaptionError(
            f"{path}: its last layer has {len(classifier.bias)} outputs, the names are {count}; "
            "leave out name_labels, or give the weights of a network with ImageNet's classifier"
        )
    folder = run.folder / "first"
    folder.mkdir(exist_ok=True)
    network = build_network(run.settings, run.data_root)
    before = cached_features(network, photographs, folder / "name_images.npy")
    assert before is not None
    before = mean_over_grid(before)
    if np.allclose(before, features, atol=1e-3):
        return classifier  # The encoder was not tuned.
    splits_before = vars(compute_features(network, run.data, folder))
    splits_after = vars(run.features)

    def pairs(*names: str) -> list[Pairs]:
        return [
            (
                mean_over_grid(splits_after[name]),
                classifier.logits(mean_over_grid(splits_before[name])),
            )
            for name in names
            if splits_after[name] is not None
        ]

    train = pairs("captions", "labels")
    train.append((features[choosing], classifier.logits(before[choosing])))
    dev = pairs("captions_dev", "labels_dev")
    weights, targets = _join(train)
    if dev:
        return adapt(classifier, (weights, targets), _join(dev))
    held_out = np.arange(len(weights)) % HELD_OUT == 0
    return adapt(
        classifier,
        (weights[~held_out], targets[~held_out]),
        (weights[held_out], targets[held_out]),
    )


def _join(pairs: Sequence[Pairs]) -> Pairs:
    features, targets = zip(*pairs)
    return np.concatenate(features), np.concatenate(targets)


def adapt(classifier: Classifier, train: Pairs, dev: Pairs) -> Classifier:
    """Return a classifier that says of new features what another one said of old ones.

    Args:
        classifier: Where the ridge regression starts; see the module.
        train: Features, and the logits that they should have.
        dev: The same of other images, which choose the penalty.
    """
    features, targets = train
    mean = features.mean(0)
    centred = (features - mean).astype(np.float64)
    residual = targets - features @ classifier.features
    residual_mean = residual.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    projected = vectors.T @ (centred.T @ (residual - residual_mean))
    scale = values.mean()

    def fit(penalty: float) -> Classifier:
        step = vectors @ (projected / (values[:, None] + penalty * scale))
        weights = (classifier.features + step).astype(np.float32)
        bias = (residual_mean - mean @ step).astype(np.float32)
        return Classifier(weights, None, bias, raw=True)

    def error(candidate: Classifier) -> float:
        return float(np.square(candidate.logits(dev[0]) - dev[1]).mean())

    errors = {penalty: error(fit(penalty)) for penalty in PENALTIES}
    best = min(errors, key=lambda penalty: errors[penalty])
    logger.info(
        "names: mean squared error of the logits %.3f as they were, %.3f adapted (penalty %.2g)",
        error(classifier),
        errors[best],
        best,
    )
    return fit(best)


def choose_threshold(names: Sequence[NamedClass], scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the lowest threshold at which PRECISION of the named photographs are named rightly.

    Args:
        names: The classes.
        scores: float32 [N, names].
        truth: The class of each, int [N].
    """
    for threshold in THRESHOLDS:
        share_right = name_figures(names, scores, truth, threshold)["named_rightly"]
        if share_right is not None and share_right >= 100 * PRECISION:
            break
    return round(float(threshold), 2)
