"""Names: the network's own classifier follows the encoder, and says only what it knows."""

import numpy as np
import pytest

from picaption.device import PicaptionError
from picaption.device.bundle.metadata import Metadata
from picaption.device.bundle.names import NamedClass
from picaption.device.images import write_image
from picaption.device.recognition.classifier import Classifier
from picaption.models.data.dataset import Split, TrainingData
from picaption.models.run_folder import FloatModel, load_classifier, save_model, save_words
from picaption.models.settings import Settings
from picaption.models.training.encoder import (
    build_network,
    compute_features,
    read_network_classifier,
)
from picaption.models.training.names import (
    adapt,
    choose_threshold,
    fit_names,
)
from picaption.models.training.training_run import TrainingRun
from tests import tiny

RANDOM = np.random.default_rng(1)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def test_the_classifier_follows_features_that_were_mixed_and_moved():
    """Features f = u M + m of an invertible M: the logits can be had of f as they were of u."""
    classifier = Classifier(normal(6, 4), None, normal(4), raw=True)
    before = normal(400, 6)
    mixing = np.eye(6, dtype=np.float32) + 0.3 * normal(6, 6)
    after = before @ mixing + 0.5
    targets = classifier.logits(before)
    adapted = adapt(classifier, (after[:300], targets[:300]), (after[300:], targets[300:]))
    np.testing.assert_allclose(adapted.logits(after), targets, atol=0.01)
    assert np.abs(classifier.logits(after) - targets).mean() > 0.3


def test_unrelated_features_change_next_to_nothing():
    """Where nothing can be learned, the penalty keeps the weights near those of the network."""
    classifier = Classifier(normal(6, 4), None, np.zeros(4, np.float32), raw=True)
    features = 0.5 * normal(60, 6)
    targets = classifier.logits(features) + normal(60, 4)
    adapted = adapt(classifier, (features[:20], targets[:20]), (features[20:], targets[20:]))
    assert np.abs(adapted.features - classifier.features).mean() < 0.1


def test_the_threshold_is_the_lowest_that_is_precise_enough():
    names = (NamedClass("1", "cat"), NamedClass("2", "dog"))
    right = [[0.95, 0.05]] * 19 + [[0.2, 0.8]]
    scores = np.array([*right, [0.705, 0.295], [0.6, 0.4]], np.float32)
    truth = np.array([0] * 19 + [0, 1, 1])
    # 19 of 20 are right from 0.71 on; at 0.7 it is 19 of 21.
    assert choose_threshold(names, scores, truth) == 0.71


def test_the_last_layer_of_the_weights_is_the_classifier(tmp_path):
    last = normal(3, 1, 1, 8)
    arrays = {"00_w": normal(2, 2), "00_b": normal(2), "01_w": last, "01_b": normal(3)}
    np.savez(tmp_path / "w.npz", **arrays)
    classifier = read_network_classifier(tmp_path / "w.npz")
    np.testing.assert_array_equal(classifier.features, last[:, 0, 0].T)
    assert classifier.raw
    with pytest.raises(PicaptionError, match="cannot load these weights"):
        read_network_classifier(tmp_path / "absent.npz")


@pytest.fixture(scope="module")
def named_run(tmp_path_factory):
    """A run with a tuned encoder, through the stage of the names."""
    root = tmp_path_factory.mktemp("names")
    tiny.write_folded_weights(root / "w.npz", 1000)
    (root / "photos").mkdir()
    lines = []
    for index in range(8):
        image = RANDOM.integers(0, 255, (32, 32, 3)).astype(np.uint8)
        write_image(root / "photos" / f"{index}.jpg", image)
        lines.append(f"{index}.jpg\t{('n02124075', 'n07920052')[index % 2]}\tsome comment\n")
    (root / "photos.tsv").write_text("".join(lines) + "9.jpg\tn99999999\n")
    settings = Settings(
        labels="unused",
        label_images="unused",
        network="mobilenet_v2",
        alpha=0.35,
        size=32,
        weights="w.npz",
        name_labels="photos.tsv",
        name_images="photos",
    )
    run = TrainingRun(settings, root, root / "run")
    run.folder.mkdir()
    images = RANDOM.integers(0, 255, (30, 32, 32, 3)).astype(np.uint8)
    run.data = TrainingData(None, None, Split((), images[:20], ()), Split((), images[20:], ()))
    run.encoder = build_network(settings, root)
    tuned = [
        value + 0.05 * value.std() * normal(*value.shape) for value in run.encoder.get_weights()
    ]
    run.encoder.set_weights(tuned)
    run.features = compute_features(run.encoder, run.data, run.folder)
    run.metadata = Metadata("named")
    fit_names(run)
    return run


def test_the_stage_leaves_names_that_a_model_uses(named_run):
    save_model(named_run.encoder, named_run.folder / "encoder.keras")
    save_words(named_run.folder, named_run.metadata, (), None)
    model = FloatModel(named_run.folder)
    assert len(model.names) == 1000 and model.names[285].name == "Egyptian cat"
    scores = model.name_scores(model.encode(np.zeros((32, 32, 3), np.uint8)).features)
    assert scores.shape == (1000,) and scores.sum() == pytest.approx(1, abs=1e-3)
    assert 0.5 <= model.metadata.name_threshold <= 0.95
    figures = model.metadata.provenance["names"]
    assert set(figures) == {"top_1", "top_5", "calibration_error", "named", "named_rightly"}


def test_names_that_are_there_stay(named_run):
    path = named_run.folder / "names.npz"
    before = path.read_bytes()
    fit_names(named_run)
    assert path.read_bytes() == before
    assert load_classifier(path).raw


def test_without_labelled_photographs_there_are_no_names(tmp_path):
    run = TrainingRun(Settings(), tmp_path, tmp_path)
    fit_names(run)
    assert list(tmp_path.iterdir()) == []


def test_names_that_do_not_fit_their_classifier_are_refused(named_run, tmp_path):
    save_model(named_run.encoder, tmp_path / "encoder.keras")
    save_words(tmp_path, named_run.metadata, (), None)
    (tmp_path / "names.npz").write_bytes((named_run.folder / "names.npz").read_bytes())
    (tmp_path / "names.tsv").write_text("n1\tcat\t\t\n")
    with pytest.raises(PicaptionError, match="names.npz scores 1000 names, names.tsv has 1"):
        FloatModel(tmp_path)
