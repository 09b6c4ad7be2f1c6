"""Whether an image shows any of the classes: fitted against pictures of nothing in particular."""

from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Recognizer, default_bundle
from picaption.device.bundle.archive import read_bundle
from picaption.device.images import list_images, read_image
from picaption.device.recognition.classifier import l2_normalize
from picaption.device.sources.demo_frames import DEMO_IMAGES
from picaption.device.teaching.background import (
    Background,
    bundle_background,
    name_probabilities,
    read_background,
    write_background,
)
from picaption.device.teaching.gate import fit_gate
from picaption.device.teaching.teach import teach


def points(centre, count, generator, spread=0.15):
    """Return features of 4 numbers around a centre, and names of 3 that go with them."""
    features = generator.normal(centre, spread, (count, 4)).astype(np.float32)
    logits = 4 * features[:, :3]
    names = np.exp(logits)
    return features, (names / names.sum(1, keepdims=True)).astype(np.float32)


@pytest.fixture
def simple():
    """Two classes of 20 images, and a Background of 300 that shows neither."""
    generator = np.random.default_rng(0)
    first, first_names = points((1, 0, 0, 0), 20, generator)
    second, second_names = points((0, 1, 0, 0), 20, generator)
    # Near enough to the classes that some would be taken for them.
    others, other_names = points((0.5, 0.5, 0.4, 0.2), 300, generator, 0.4)
    mean = l2_normalize(others).mean(0)
    axes = np.eye(4, dtype=np.float32)
    background = Background(
        weights="",
        mean=mean,
        axes=axes,
        features=l2_normalize(others) - mean,
        name_roots=np.sqrt(other_names),
        held_out=100,
    )
    features = np.concatenate([first, second])
    names = np.concatenate([first_names, second_names])
    truth = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0)
    return features, names, truth, background


def test_what_shows_a_class_passes_and_other_things_do_not(simple):
    features, names, truth, background = simple
    gate = fit_gate(features, names, truth, background)
    assert (gate.features.shape, gate.names.shape, gate.bias.shape) == ((4, 3), (3, 3), (3,))
    assert (gate.probability(features, names) > 0.5).mean() > 0.9
    generator = np.random.default_rng(1)
    others, other_names = points((0.5, 0.5, 0.4, 0.2), 1000, generator, 0.4)
    # A twelfth of the Background passes, of which 60 % would get a class.
    assert 0.03 < (gate.probability(others, other_names) > 0.5).mean() < 0.2


def test_the_share_that_passes_is_the_one_asked_for(simple):
    features, names, truth, background = simple
    held_out = background.features[-100:] + background.mean
    roots = background.name_roots[-100:]
    shares = []
    for share in (0.05, 0.2):
        gate = fit_gate(features, names, truth, background, share=share)
        shares.append((gate.probability(held_out, roots**2) > 0.5).mean())
    # SURE_SHARE is 0.6: more pass than get a class, of the 100 that the fit did not see.
    assert shares == pytest.approx([0.083, 0.333], abs=0.021)


def test_negatives_count_beside_the_background(simple):
    features, names, truth, background = simple
    near, near_names = points((0.9, 0.1, -0.3, -0.4), 20, np.random.default_rng(2))
    without = fit_gate(features, names, truth, background)
    gate = fit_gate(features, names, truth, background, (near, near_names))
    assert without.probability(near, near_names).mean() > 0.7
    assert gate.probability(near, near_names).mean() < 0.5


def test_the_file_keeps_what_it_was_made_of(simple, tmp_path):
    background = replace(simple[-1], weights="abc")
    write_background(tmp_path / "background.npz", background)
    read = read_background(tmp_path / "background.npz")
    assert (read.weights, read.held_out) == ("abc", 100)
    assert np.abs(read.features - background.features).max() < 0.01
    assert np.abs(read.name_roots - background.name_roots).max() <= 0.5 / 63 + 1e-6
    assert np.abs(read.axes - background.axes).max() < 0.01


def test_the_shipped_statistics_are_of_the_shipped_bundle(bundle):
    contents = read_bundle(default_bundle())
    background = bundle_background(contents)
    assert background is not None
    assert background.features.shape == (1500, 128)
    assert background.name_roots.shape == (1500, len(contents.names))
    assert bundle_background(read_bundle(bundle)) is None  # It has no names.
    # The names as the file has them are probabilities, up to their 6 bits.
    assert (background.name_roots**2).sum(1) == pytest.approx(np.ones(1500), abs=0.1)


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
