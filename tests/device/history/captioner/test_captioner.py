"""The captioner in numpy says what the bundle's graph says, for many images at a time."""

import numpy as np
import pytest

from picaption.device.bundle.bundle import Bundle, read_trusted
from picaption.device.bundle.vocabulary import END_ID, START_ID
from picaption.device.history.captioner.captioner import CHUNK_IMAGES
from picaption.device.history.captioner.sketch import (
    TYPICAL_SENTENCES,
    Sketcher,
    open_sketcher,
    parse_sketches,
)
from picaption.device.history.captioner.weights import read_captioner
from picaption.device.history.encoder_hash import encoder_hash
from picaption.device.recognition.recognizer import Recognizer

#: int8 activations in the graph, floating point here: log-probabilities differ a little.
TOLERANCE = 0.25


@pytest.fixture(scope="module")
def sketcher(bundle):
    return Sketcher(read_trusted(bundle))


@pytest.fixture(scope="module")
def opened(bundle):
    return Bundle(bundle, threads=1)


@pytest.fixture(scope="module")
def features(opened, photos):
    """Features of the photographs, float32 [3, F], and their contexts."""
    recognizer = Recognizer(opened)
    encoded = [recognizer.encode(photo) for photo in photos.values()]
    return (
        np.concatenate([item.features for item in encoded]),
        np.concatenate([item.context for item in encoded]),
    )


def words_of(opened, count=3):
    return opened.vocabulary.words[3 : 3 + count]


def test_sketches_lead_to_the_context_that_the_graph_computes(sketcher, features):
    captioner = sketcher.captioner
    contexts = captioner._context(captioner.sketch(features[0]))
    assert contexts == pytest.approx(features[1], abs=0.1)
    assert np.ptp(features[1]) > 1


def test_log_probabilities_are_those_of_the_graph(sketcher, opened, features):
    captioner = sketcher.captioner
    words = words_of(opened)
    ids = [*opened.vocabulary.encode(words), END_ID]
    positions = captioner.positions(words)
    assert [position.word for position in positions] == ids
    actual = captioner.log_probabilities(positions, captioner.sketch(features[0]))
    order = opened.metadata.order
    padded = [START_ID] * (order - 1) + ids
    histories = np.array([padded[index : index + order - 1] for index in range(4)], np.int32)
    for image, context in enumerate(features[1]):
        expected = opened.next_word(histories, context[None])[np.arange(4), ids]
        assert actual[image] == pytest.approx(expected, abs=TOLERANCE)


def test_many_images_are_computed_in_parts_as_if_each_were_alone(sketcher, opened, features):
    captioner = sketcher.captioner
    positions = captioner.positions(words_of(opened))
    sketches = np.tile(captioner.sketch(features[0]), (CHUNK_IMAGES, 1))
    together = captioner.log_probabilities(positions, sketches)
    alone = captioner.log_probabilities(positions, sketches[:3])
    assert together == pytest.approx(np.tile(alone, (CHUNK_IMAGES, 1)), abs=1e-4)


def test_unknown_words_count_for_nothing(sketcher, opened):
    word = words_of(opened)[0]
    positions = sketcher.captioner.positions(["qwertz", word])
    assert [position.word for position in positions] == [
        opened.vocabulary.encode([word])[0],
        END_ID,
    ]


def test_gradients_are_the_slopes_of_the_log_probabilities(sketcher, opened, features):
    captioner = sketcher.captioner
    positions = captioner.positions(words_of(opened))
    sketch = captioner.sketch(features[0])[0]
    direction = np.random.default_rng(1).normal(size=len(sketch)).astype(np.float32)
    step = 1e-3
    ahead, behind = (
        captioner.log_probabilities(positions, (sketch + sign * step * direction)[None])[0]
        for sign in (1, -1)
    )
    slopes = captioner.gradients(positions, sketch) @ direction
    assert slopes == pytest.approx((ahead - behind) / (2 * step), abs=0.02)
    assert np.abs(slopes).max() > 0.2


def test_tag_logits_are_those_of_the_graph(sketcher, opened, features):
    captioner = sketcher.captioner
    shape = opened.metadata.input
    image = np.full((shape.height, shape.width, 3), 90, np.uint8)
    encoded = opened.encode(image)
    logits = captioner.tag_logits(captioner.sketch(encoded.features), [0, 2])[0]
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(encoded.tags[[0, 2]], abs=0.05)


def test_a_sketch_comes_back_from_its_bytes(sketcher, features):
    blobs = [sketcher.sketch(row) for row in features[0]]
    assert all(blob.startswith(sketcher.prefix) for blob in blobs)
    sketches = parse_sketches(blobs, sketcher.captioner.sketch_size)
    exact = sketcher.captioner.sketch(features[0])
    assert sketches.floats(slice(None)) == pytest.approx(
        exact, abs=float(np.abs(exact).max()) / 254
    )
    words = [word for text in TYPICAL_SENTENCES for word in text.split()]
    assert set(words) & set(sketcher.captioner.vocabulary.words)
    positions = sketcher._typical
    expected = sketcher.captioner.log_probabilities(positions, exact).mean(axis=1)
    assert sketches.typicality == pytest.approx(expected, abs=1e-4)


def test_a_graph_without_a_captioner_has_no_sketches(tmp_path, bundle):
    assert read_captioner(read_trusted(bundle).graph) is not None
    graph = bytearray(read_trusted(bundle).graph)
    # Without its name, the signature is not there.
    start = graph.index(b"next_word\0")
    graph[start : start + 9] = b"next_wOrd"
    assert read_captioner(bytes(graph)) is None


def test_the_encoder_is_told_by_its_weights_alone(bundle, sketcher):
    assert len(sketcher.encoder) == 16
    assert encoder_hash(bundle) == sketcher.encoder == open_sketcher(bundle).encoder
