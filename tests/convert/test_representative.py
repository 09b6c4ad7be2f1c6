"""The images that give ranges, and those that are held out."""

import shutil

import numpy as np
import pytest

from picaption.convert.options import ConversionOptions
from picaption.convert.representative import choose_images, representative_paths
from picaption.device import PicaptionError
from picaption.device.bundle.metadata import Input
from picaption.device.images import list_images, write_image

SIZE = Input(16, 24, "stretch")


def test_a_fifth_at_most_is_held_out(data):
    chosen = choose_images(data / "images", None, SIZE, ConversionOptions())
    assert len(chosen.held_out) == 24 // 5
    assert len(chosen.calibration) == len(chosen.calibration_paths) == 24 - 24 // 5
    assert {image.shape for image in chosen.calibration + chosen.held_out} == {(16, 24, 3)}
    assert set(chosen.calibration_paths) < set(list_images(data / "images"))


def test_count_held_out_and_seed_choose_them(data):
    options = ConversionOptions(count=10, held_out=2)
    chosen = choose_images(data / "images", None, SIZE, options)
    again = choose_images(data / "images", None, SIZE, options)
    others = choose_images(data / "images", None, SIZE, ConversionOptions(count=10, seed=2))
    assert (len(chosen.calibration), len(chosen.held_out)) == (10, 2)
    assert chosen.calibration_paths == again.calibration_paths != others.calibration_paths
    np.testing.assert_array_equal(chosen.calibration[0], again.calibration[0])


def test_a_captions_file_names_the_same_images_as_their_folder(data):
    captions = data / "captions.token.txt"
    assert representative_paths(captions, data / "images") == list_images(data / "images")
    with pytest.raises(PicaptionError, match="give the folder of its pictures with --images"):
        representative_paths(captions, None)


def test_too_few_images(tmp_path, photos):
    write_image(tmp_path / "one.jpg", photos["cat"])
    with pytest.raises(PicaptionError, match="1 pictures are too few for a representative dataset"):
        choose_images(tmp_path, None, SIZE, ConversionOptions())


def test_images_that_cannot_be_read_are_no_representative_dataset(data, tmp_path, caplog):
    folder = shutil.copytree(data / "images", tmp_path / "images")
    for path in sorted(folder.iterdir())[:20]:
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        PicaptionError,
        match="images: 4 pictures are too few for a representative dataset; give 10 or more",
    ):
        choose_images(folder, None, SIZE, ConversionOptions())
    assert caplog.text.count("cut short or damaged") == 20
