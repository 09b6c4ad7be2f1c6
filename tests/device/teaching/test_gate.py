"""Whether an image shows any of the classes: fitted against pictures of nothing in particular."""

from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Recognizer, default_bundle
from picaption.device.bundle.archive import read_bundle
from picaption.device.images import list_images, read_image
from picaption.device.recognition.classifier import (
    fit_classifier,
    l2_normalize,
    probabilities,
)
from picaption.device.sources.demo_frames import DEMO_IMAGES
from picaption.device.teaching.background import (
    Background,
    bundle_background,
    name_probabilities,
    read_background,
    write_background,
)
from picaption.device.teaching.examples import ClassExamples, OtherImages
from picaption.device.teaching.gate import fit_gate
from picaption.device.teaching.teach import teach


def points(centre, count, generator, spread=0.15):
    """Return features of 4 numbers around a centre, words of 3 and names of 3 that go with them."""
    features = generator.normal(centre, spread, (count, 4)).astype(np.float32)
    names = np.exp(4 * features[:, :3])
    words = np.maximum(features[:, :3], 0)
    return features, words, (names / names.sum(1, keepdims=True)).astype(np.float32)


def others_of(count, seed):
    """Return images near enough to the classes that some would be taken for them."""
    return points((0.4, 0.4, 0.7, 0.4), count, np.random.default_rng(seed), 0.3)


def make_background(features, words, names, fitted_count=200):
    """Return the Background of images, on all axes."""
    mean = l2_normalize(features).mean(0)
    return Background(
        weights="",
        mean=mean,
        axes=np.eye(4, dtype=np.float32),
        features=l2_normalize(features) - mean,
        word_evidence=words,
        name_roots=np.sqrt(names),
        name_mean=names.mean(0),
        fitted_count=fitted_count,
    )


@pytest.fixture
def simple():
    """Two classes of 20 images, their names and Classifier, and a Background of 700 others."""
    generator = np.random.default_rng(0)
    centres = ((1, 0, 0, 0), (0, 1, 0, 0))
    parts = [points(centre, 20, generator) for centre in centres]
    features, words, names = (np.concatenate(part) for part in zip(*parts))
    truth = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0)
    examples = ClassExamples(("first", "second"), (), truth, features, words, ())
    prior = np.zeros((3, 2), np.float32)
    classifier = fit_classifier(features, words, prior, truth, multi_label=False)
    return examples, names, classifier, make_background(*others_of(700, 1))


def certain(gate, classifier, features, words, names):
    """Return the share of images that get a class which is certain."""
    scores = probabilities(classifier.logits(features, words), multi_label=False)
    return ((scores * gate.probability(features, words, names)).max(1) >= 0.5).mean()


def test_what_shows_a_class_passes_and_other_things_do_not(simple):
    examples, names, classifier, background = simple
    gate = fit_gate(examples, names, classifier, background)
    shapes = (gate.features.shape, gate.words.shape, gate.names.shape, gate.bias.shape)
    assert shapes == ((4, 2), (3, 2), (3, 2), (2,))
    shown = (examples.features, examples.word_evidence, names)
    assert certain(gate, classifier, *shown) > 0.9
    others = others_of(1000, 2)
    before = probabilities(classifier.logits(*others[:2]), multi_label=False).max(1) >= 0.5
    assert before.mean() > 0.9
    assert 0.01 < certain(gate, classifier, *others) < 0.1


def test_the_share_that_passes_is_the_one_asked_for(simple):
    examples, names, classifier, background = simple
    held_out = slice(background.fitted_count, None)
    lengths = np.linalg.norm(background.unit_features(held_out), axis=1)
    assert lengths == pytest.approx(np.ones(500), abs=1e-5)
    others = (
        background.unit_features(held_out),
        background.word_evidence[held_out],
        background.name_roots[held_out] ** 2,
    )
    for share, passing in ((0.05, 20), (0.15, 60)):  # Four fifths of it, of 500.
        gate = fit_gate(examples, names, classifier, background, share=share)
        assert certain(gate, classifier, *others) * 500 == pytest.approx(passing, abs=1)


def test_a_background_that_shows_a_class_does_not_hold_the_class_back(simple):
    examples, names, classifier, _ = simple
    generator = np.random.default_rng(3)
    others = others_of(560, 1)
    first = points((1, 0, 0, 0), 70, generator)  # A tenth of all.
    second = points((0, 1, 0, 0), 70, generator)
    parts = [np.concatenate(arrays) for arrays in zip(others, first, second)]
    order = generator.permutation(700)
    background = make_background(*(part[order] for part in parts))
    gate = fit_gate(examples, names, classifier, background)
    assert certain(gate, classifier, *points((1, 0, 0, 0), 200, generator)) > 0.8
    assert certain(gate, classifier, *others_of(1000, 2)) < 0.15


def test_negatives_count_beside_the_background(simple):
    examples, names, classifier, background = simple
    near = points((0.9, 0.1, -0.3, -0.4), 20, np.random.default_rng(2))
    without = fit_gate(examples, names, classifier, background)
    negatives = OtherImages(near[0], near[1])
    gate = fit_gate(examples, names, classifier, background, negatives)
    assert certain(without, classifier, *near) > 0.7
    assert certain(gate, classifier, *near) < 0.4


def test_two_pictures_a_class_are_enough(simple):
    """One is too few to hold any out: the scores then count as they do by default."""
    examples, names, classifier, background = simple
    for rows in ([0, 1, 20, 21], [0, 20]):
        few = replace(
            examples,
            truth=examples.truth[rows],
            features=examples.features[rows],
            word_evidence=examples.word_evidence[rows],
        )
        gate = fit_gate(few, names[rows], classifier, background)
        shown = (examples.features, examples.word_evidence, names)
        assert certain(gate, classifier, *shown) > 0.7
        assert certain(gate, classifier, *others_of(1000, 2)) < 0.1


def test_the_file_keeps_what_it_was_made_of(simple, tmp_path):
    background = replace(simple[-1], weights="abc")
    write_background(tmp_path / "background.npz", background)
    read = read_background(tmp_path / "background.npz")
    assert (read.weights, read.fitted_count) == ("abc", 200)
    assert np.abs(read.features - background.features).max() < 0.01
    assert np.abs(read.name_roots - background.name_roots).max() <= 0.5 / 63 + 1e-6
    assert np.abs(read.word_evidence - background.word_evidence).max() <= 0.05 + 1e-6
    assert read.name_mean == pytest.approx(background.name_mean)
    assert np.abs(read.axes - background.axes).max() < 0.01


def test_the_shipped_statistics_are_of_the_shipped_bundle(bundle):
    contents = read_bundle(default_bundle())
    background = bundle_background(contents)
    assert background is not None
    assert background.features.shape == (1500, 128)
    assert background.word_evidence.shape == (1500, len(contents.vocabulary))
    assert background.name_roots.shape == (1500, len(contents.names))
    assert bundle_background(read_bundle(bundle)) is None  # It has no names.
    # The names as the file has them are probabilities, up to their 6 bits.
    assert (background.name_roots**2).sum(1) == pytest.approx(np.ones(1500), abs=0.1)
    assert background.name_mean.sum() == pytest.approx(1, abs=1e-3)


def test_names_are_computed_as_the_graph_does():
    contents = read_bundle(default_bundle())
    recognizer = Recognizer(default_bundle())
    for path in list_images(DEMO_IMAGES)[:3]:
        encoded = recognizer.encode(read_image(path))
        names = name_probabilities(contents.graph, encoded.features)
        assert np.abs(names[0] - recognizer.name_scores(encoded)).max() < 0.05


def test_other_things_have_no_certain_class_in_the_bundle(folder, tmp_path):
    """What teach writes says nothing certain of photographs that show none of its classes."""
    strict = tmp_path / "strict.tflite"
    loose = tmp_path / "loose.tflite"
    taught = teach(default_bundle(), folder, strict)
    assert taught.other_share == 0.05
    assert teach(default_bundle(), folder, loose, other_share=1.0).other_share is None
    images = {path.stem: read_image(path) for path in list_images(DEMO_IMAGES)}
    shown = ("astronaut", "cat", "coffee")
    recognizer = Recognizer(strict)
    ungated = Recognizer(loose)
    others = [name for name in images if name not in shown]
    assert len(others) >= 7
    for name in shown:
        assert recognizer(images[name]).certain_names == (name,)
    certain = [name for name in others if recognizer(images[name]).certain_names]
    certain_before = [name for name in others if ungated(images[name]).certain_names]
    assert len(certain) <= 1 and len(certain_before) >= 4, (certain, certain_before)
    recognition = recognizer(images[next(name for name in others if name not in certain)])
    assert recognition.unsure and not any(recognition.certain)
    # The scores leave room for none of the classes.
    assert sum(score.score for score in recognition.classes) < 0.7
