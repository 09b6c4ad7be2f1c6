"""Guidance is chosen by what captions gain from it on dev images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from picaption.device.bundle.metadata import Guidance
from picaption.models.data.readers import Record
from picaption.models.training import guidance as guidance_stage
from picaption.models.training.guidance import DevImages, choose_guidance
from picaption.models.training.train import (
    describe_bundle,
    encode_images,
    learn_words,
    load_images,
    train_encoder,
)
from picaption.models.training.training_run import TrainingRun


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
    assert guidance_stage._score(figures) == pytest.approx(figures["CIDEr"] - 50)
    assert figures["CIDEr"] > 100
    without_labels = replace(images, classes=())
    assert set(guidance_stage._figures(without_labels, ["a cat", "a dog"])) == {"CIDEr"}


def test_the_stage_chooses_a_setting(run, data, settings, monkeypatch):
    training = TrainingRun(settings, data, run)
    for stage in (load_images, learn_words, describe_bundle, train_encoder, encode_images):
        stage(training)
    labels_dev = training.data.labels_dev
    tried = (Guidance(), Guidance(8.0, 0.5, -6.0, 1.0, 1.0))
    monkeypatch.setattr(guidance_stage, "SETTINGS", tried)
    choose_guidance(training)  # The dev images have no captions: nothing to choose by.
    assert training.metadata.guidance == Guidance()
    captioned = tuple(
        replace(item, captions=(f"a {' and a '.join(item.labels)}",)) for item in labels_dev.records
    )
    training.data = replace(training.data, labels_dev=replace(labels_dev, records=captioned))
    scores = iter((3.0, 2.0, 4.0, 5.0))
    monkeypatch.setattr(guidance_stage, "_score", lambda figures: next(scores))
    choose_guidance(training)
    assert training.metadata.guidance == tried[1]  # 4 + 5 is more than 3 + 2.
