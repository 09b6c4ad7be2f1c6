"""Guidance is chosen by what captions gain from it on dev images."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from picaption.device.bundle.metadata import Guidance, Naming
from picaption.device.bundle.names import NamedClass
from picaption.device.recognition.classifier import Classifier
from picaption.models.data.readers import Record
from picaption.models.run_folder import save_names
from picaption.models.training import guidance as guidance_stage
from picaption.models.training.guidance import DevImages, choose_guidance
from picaption.models.training.train import (
    describe_bundle,
    encode_images,
    learn_words,
    load_images,
    train_encoder,
)
from picaption.models.training.training_run import NamedPhotographs, TrainingRun


def record(labels, *captions):
    return Record("x.jpg", Path("x.jpg"), captions, tuple(labels))


def test_figures_and_score_by_hand():
    images = DevImages(
        [record(["cat"], "a cat on a mat"), record(["dog"], "a dog")],
        ("cat", "dog"),
        [],
        np.zeros((2, 2), np.float32),
    )
    figures = guidance_stage._figures(images, ["a cat on a mat", "a cat"])
    # One of two captions, and one of its two objects, is absent; one of two objects is named.
    assert figures["CHAIRs"] == figures["CHAIRi"] == figures["object_recall"] == 50
    # What is named counts twice, as much as both shares of what is absent.
    assert guidance_stage._score(figures) == pytest.approx(figures["CIDEr"])
    assert figures["CIDEr"] > 100
    without_labels = replace(images, classes=())
    assert set(guidance_stage._figures(without_labels, ["a cat", "a dog"])) == {"CIDEr"}


@pytest.fixture
def training(run, data, settings, tmp_path):
    """A finished run's stages up to the features, its labelled dev images with captions."""
    folder = shutil.copytree(run, tmp_path / "run")
    training = TrainingRun(settings, data, folder)
    for stage in (load_images, learn_words, describe_bundle, train_encoder, encode_images):
        stage(training)
    return training


def give_captions(training):
    """Give the labelled dev images captions that name their labels."""
    labels_dev = training.data.labels_dev
    captioned = tuple(
        replace(item, captions=(f"a {' and a '.join(item.labels)}",)) for item in labels_dev.records
    )
    training.data = replace(training.data, labels_dev=replace(labels_dev, records=captioned))


def test_the_stage_chooses_a_setting(training, monkeypatch):
    tried = (Guidance(), Guidance(8.0, 0.5, -6.0, 1.0, 1.0))
    monkeypatch.setattr(guidance_stage, "SETTINGS", tried)
    choose_guidance(training)  # The dev images have no captions: nothing to choose by.
    assert training.metadata.guidance == Guidance()
    give_captions(training)
    monkeypatch.setattr(guidance_stage, "NAMINGS", (None, Naming(0.5)))
    # Two groups of dev images; of the tags' settings the third, and no naming.
    scores = iter((3.0, 2.0, 4.0, 5.0, 0, 0, 0, 0, 6.0, 1.0, 0, 0, 0, 0, 1.0, 1.0, 1.0, 0))
    monkeypatch.setattr(guidance_stage, "_score", lambda figures: next(scores))
    choose_guidance(training)
    # 4 + 5 is more than 3 + 2.
    expected = replace(tried[1], **guidance_stage.TAG_SETTINGS[2])
    assert training.metadata.guidance == expected
    assert training.metadata.naming is None


def test_names_are_listened_to_where_that_is_better(training, monkeypatch):
    give_captions(training)
    features = training.features.labels_dev.shape[1]
    names = (NamedClass("n1", "tabby", ("cat",)), NamedClass("n2", "mug", ("cup",)))
    classifier = Classifier(
        np.zeros((features, 2), np.float32), None, np.array([5, 0], np.float32), raw=True
    )
    save_names(training.folder, names, classifier)
    monkeypatch.setattr(guidance_stage, "SETTINGS", (Guidance(), Guidance(2.0)))
    monkeypatch.setattr(guidance_stage, "TAG_SETTINGS", ({"tag_weight": 0.0},))
    monkeypatch.setattr(guidance_stage, "NAMINGS", (None, Naming(0.5)))
    training.named = NamedPhotographs(training.features.labels_dev[:2], (names[0], names[1]))
    # Three groups of dev images: the second setting of the classes, the one of the tags, the last
    # of the names, and the naming.
    scores = iter((1, 1, 1, 2, 2, 2, 0, 0, 0, 5, 0, 1, 4, 2, 1, 0, 7, 1, 1, 1, 1, 1, 1, 2))
    monkeypatch.setattr(guidance_stage, "_score", lambda figures: next(scores))
    choose_guidance(training)
    expected = replace(Guidance(2.0), tag_weight=0.0, **guidance_stage.NAME_SETTINGS[2])
    assert training.metadata.guidance == expected
    assert training.metadata.naming == Naming(0.5)


def test_named_photographs_are_scored_by_what_their_captions_mention():
    shown = (NamedClass("1", "tabby", ("cat",)), NamedClass("2", "hot dog", (), ("food",)))
    images = DevImages((), (), (), np.empty((0, 0)), shown)
    figures = guidance_stage._figures(images, ["a Cat on a mat", "a dog"])
    assert figures == {"named": 50.0}
    assert guidance_stage._score(figures) == 50
