"""The bundle of the device's tests is the one that training and conversion make today."""

import json
import zipfile
from dataclasses import asdict, fields, replace

import pytest

from picaption.device import Recognizer
from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.metadata import FORMAT_VERSION, OLDEST_VERSION, Metadata
from picaption.device.bundle.summary import summarize
from picaption.device.images import list_images, read_image
from picaption.models.settings import Settings
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which the bundle was made again: data/, run/ and tiny.tflite."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny.make_tiny_bundle(folder, folder / "tiny.tflite")
    return folder


def tensors(path):
    """Return names, dtypes and shapes of the tensors of every signature."""
    return {
        name: [
            (tensor.name, tensor.dtype, tensor.shape)
            for tensor in (*signature.inputs, *signature.outputs)
        ]
        for name, signature in summarize(path).signatures.items()
    }


def tiny_values():
    """Return the values in the small bundle's metadata.json."""
    with zipfile.ZipFile(tiny.TINY_BUNDLE) as archive:
        return json.loads(archive.read("metadata.json"))


def without_figures(metadata):
    """Return Metadata without what depends on the machine that it was trained on.

    Settings and entries that came later than the bundle have their defaults in it.
    """
    later = {
        field.name: field.default
        for field in fields(Metadata)
        if field.name not in {"provenance", *tiny_values()}
    }
    provenance = {
        "settings": asdict(Settings()) | metadata.provenance["settings"],
        "pictures": metadata.provenance["pictures"],
    }
    return replace(metadata, provenance=provenance, measured={}, label_threshold=0.0, **later)


def test_it_is_small_and_of_a_format_that_is_read():
    assert tiny.TINY_BUNDLE.stat().st_size < 100_000
    assert OLDEST_VERSION <= tiny_values()["format_version"] <= FORMAT_VERSION


def test_made_again_it_holds_the_same(folder):
    expected = read_bundle(tiny.TINY_BUNDLE)
    actual = read_bundle(folder / "tiny.tflite")
    assert actual.labels == expected.labels
    assert actual.vocabulary.words == expected.vocabulary.words
    assert without_figures(actual.metadata) == without_figures(expected.metadata)
    assert actual.metadata.provenance.keys() == expected.metadata.provenance.keys()
    assert actual.metadata.measured.keys() == expected.metadata.measured.keys()
    assert tensors(folder / "tiny.tflite") == tensors(tiny.TINY_BUNDLE)


def test_made_again_it_captions_and_classifies_alike(folder):
    expected = Recognizer(tiny.TINY_BUNDLE)
    actual = Recognizer(folder / "tiny.tflite")
    images = [read_image(path) for path in list_images(folder / "data" / "images")]
    pairs = [(expected(image), actual(image)) for image in images]
    same_captions = [before.caption.text == after.caption.text for before, after in pairs]
    same_classes = [before.classes[0].name == after.classes[0].name for before, after in pairs]
    assert sum(same_captions) >= 0.8 * len(images)
    assert sum(same_classes) >= 0.8 * len(images)
