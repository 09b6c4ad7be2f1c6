"""Fitting the classifier to cached features and to the words that the captioner calls for."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from picaption.device.bundle.bundle import log_softmax
from picaption.device.bundle.prompts import encode_prompts
from picaption.device.bundle.word_evidence import mean_evidence
from picaption.device.recognition.classifier import fit_calibrated, probabilities

from ..data.dataset import Split
from ..data.readers import label_matrix
from ..files import save_array
from ..language.word_prior import word_prior
from ..networks.captioner import mean_over_grid
from ..run_folder import FloatModel, load_classifier, save_classifier
from .training_run import TrainingRun

#: Features float32 [N, F], word evidence float32 [N, V] or None without a captioner, and truth
#: float32 [N, C].
ClassifierData = tuple[np.ndarray, np.ndarray | None, np.ndarray]

#: Images whose word evidence is computed at once.
EVIDENCE_BATCH = 32


def train_classifier(run: TrainingRun) -> None:
    """Fit the classifier and leave it in the run's folder, unless it is there.

    It is calibrated on dev images, where there are some, else on images held out in turn.
    """
    path = run.folder / "classifier.npz"
    labels = run.data.labels
    if labels is None or path.exists():
        return
    model = None
    prior = None
    if run.words:
        model = FloatModel(run.folder, with_classifier=False)
        labelled_text = [record for record in run.text if record.labels]
        prior = word_prior(labelled_text, labels.classes, run.words.vocabulary)

    def inputs(split: Split, features: np.ndarray | None, name: str) -> ClassifierData:
        assert features is not None
        truth = label_matrix(split.records, split.classes)
        return *classifier_inputs(model, features, run.folder / f"evidence_{name}.npy"), truth

    train = inputs(labels, run.features.labels, "labels")
    dev = None
    if run.data.labels_dev:
        dev = inputs(run.data.labels_dev, run.features.labels_dev, "labels_dev")
    classifier, _ = fit_calibrated(*train, prior, bool(run.settings.labels), dev)
    save_classifier(classifier, path)


def class_scores(
    run: TrainingRun, model: FloatModel | None, features: np.ndarray, name: str
) -> np.ndarray:
    """Return the probabilities that a run's classifier gives the classes, float32 [N, C].

    Args:
        run: A run with a fitted classifier.
        model: As for `classifier_inputs`.
        features: Cached features, float [N, F] or [N, G, F].
        name: Of the images, for the file of their word evidence.
    """
    inputs = classifier_inputs(model, features, run.folder / f"evidence_{name}.npy")
    logits = load_classifier(run.folder / "classifier.npz").logits(*inputs)
    return probabilities(logits, multi_label=run.metadata.head == "multi-label")


def classifier_inputs(
    model: FloatModel | None, features: np.ndarray, path: Path
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the classifier's inputs for cached features.

    Args:
        model: Computes the word evidence; None for a run without a captioner.
        features: float [N, F] or [N, G, F].
        path: The file that the word evidence is in, or is saved to.

    Returns:
        The mean of the features over the grid, float32 [N, F], and the word evidence, float32
        [N, V], or None without a captioner.
    """
    if model is None:
        return features, None
    if path.exists():
        return mean_over_grid(features), np.load(path, allow_pickle=False)
    assert model.captioner is not None and model.vocabulary is not None
    prompts = encode_prompts(model.vocabulary, model.metadata.prompts, model.metadata.order)
    parts = []
    for start in tqdm(range(0, len(features), EVIDENCE_BATCH), path.stem, disable=None):
        context = model.captioner.context.predict_on_batch(features[start : start + EVIDENCE_BATCH])
        count = len(context)
        logits = model.captioner.next_word.predict_on_batch(
            [np.tile(prompts, (count, 1)), np.repeat(context, len(prompts), axis=0)]
        )
        log_probabilities = log_softmax(np.array(logits))
        parts.append(mean_evidence(log_probabilities.reshape(count, len(prompts), -1)))
    word_evidence = np.concatenate(parts)
    save_array(path, word_evidence)
    return mean_over_grid(features), word_evidence


def best_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the threshold with the best F1 over all classes, in steps of 0.01.

    Args:
        scores: [N, C], 0 to 1.
        truth: [N, C] of 0 and 1.
    """
    percents = np.arange(5, 96)
    scores_by_percent = [_f1(scores >= percent / 100, truth) for percent in percents]
    return float(percents[np.argmax(scores_by_percent)] / 100)


def _f1(predicted: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (predicted * truth).sum() / max(1, predicted.sum() + truth.sum())
