import hashlib
import pickle

import numpy as np
import pytest

from picaption.device import PicaptionError, Recognizer
from picaption.device.annotate import Annotator
from picaption.device.images import decode_image


@pytest.fixture(scope="module")
def annotator(bundle):
    return Annotator(bundle, features=True)


def test_rows_are_what_the_recognizer_says(annotator, bundle, photos, jpegs):
    path = str(photos / "sub" / "cat_0.jpg")
    rows = annotator({"path": [path, str(photos / "broken.jpg"), "missing.jpg"]})
    recognition = Recognizer(bundle)(decode_image(jpegs["cat_0.jpg"], "x"))
    assert rows["caption"] == [recognition.caption.text, None, None]
    assert rows["path"][0] == path and rows["path"][2] == "missing.jpg"
    assert rows["size"][0] == len(jpegs["cat_0.jpg"])
    assert rows["hash"][0] == hashlib.sha256(jpegs["cat_0.jpg"]).hexdigest()
    assert rows["classes"][0] == [score.name for score in recognition.classes]
    assert np.allclose(rows["scores"][0], [s.score for s in recognition.classes], atol=5e-5)
    assert rows["certain"][0] == list(recognition.certain)
    assert np.array_equal(rows["features"][0], recognition.encoded.features[0])
    assert rows["error"][0] is None
    assert "cut short or damaged" in rows["error"][1]
    assert "missing.jpg cannot be read (No such file or directory)" in rows["error"][2]
    assert {len(values) for values in rows.values()} == {3}


def test_every_engines_form_of_an_image_says_the_same(bundle, jpegs):
    annotator = Annotator(bundle, scaled=False)
    data = jpegs["coffee_1.jpg"]
    image = decode_image(data, "x")
    from_bytes = annotator({"bytes": [data], "path": ["x.jpg"]})
    from_array = annotator({"image": [image], "path": ["x.jpg"]})
    from_datasets = annotator({"image": [{"bytes": data, "path": "x.jpg"}]})
    for rows in (from_array, from_datasets):
        assert rows["caption"] == from_bytes["caption"] and rows["path"] == ["x.jpg"]
        assert rows["scores"] == from_bytes["scores"]
    assert from_datasets["hash"] == from_bytes["hash"]


def test_an_image_of_pil_is_made_rgb(annotator):
    class Grey:
        def convert(self, mode):
            assert mode == "RGB"
            return np.full((80, 80, 3), 128, np.uint8)

    rows = annotator({"image": [Grey(), np.zeros((5, 5), np.uint8)]})
    assert rows["error"][0] is None
    assert "uint8 RGB" in rows["error"][1]


def test_a_copy_in_another_process_is_made_of_the_arguments(bundle, jpegs):
    annotator = Annotator(bundle, scaled=False, beam=1)
    rows = annotator({"bytes": [jpegs["cat_0.jpg"]]})
    copy = pickle.loads(pickle.dumps(annotator))
    assert copy._recognizer is None and len(pickle.dumps(annotator)) < 500
    assert copy({"bytes": [jpegs["cat_0.jpg"]]}) == rows


def test_a_batch_without_images_is_said():
    with pytest.raises(PicaptionError, match="columns label; it needs 'image', 'bytes' or 'path'"):
        Annotator()({"label": [1]})


def test_an_empty_batch_has_the_same_columns(annotator):
    rows = annotator({"path": []})
    assert list(rows) == list(annotator.columns) and not any(rows.values())
