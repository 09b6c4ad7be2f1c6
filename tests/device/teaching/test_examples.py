"""Class folders: what is in them, and what is wrong with them."""

import shutil

import pytest

from picaption.device import PicaptionError
from picaption.device.teaching.examples import find_class_images


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda folder: [path.unlink() for path in sorted((folder / "cat").iterdir())[2:]],
            "a class takes 3 different pictures or more: cat has 2",
        ),
        (
            lambda folder: shutil.copy(folder / "cat" / "cat_1.jpg", folder / "coffee" / "x.jpg"),
            "coffee/x.jpg is the same picture as .*cat/cat_1.jpg: "
            "take it out of one of the two classes",
        ),
        (
            lambda folder: (folder / "cat").rename(folder / "c\nat"),
            "'.*c.*nat': a class is named by its folder",
        ),
        (lambda folder: (folder / "cat").rename(folder / ("c" * 61)), "in 1 to 60 characters"),
        (lambda folder: (folder / "cat").rename(folder / " "), "in 1 to 60 characters"),
        (lambda folder: (folder / "empty").mkdir(), "the folder .*empty holds no pictures"),
        (
            lambda folder: [shutil.rmtree(folder / name) for name in ("cat", "coffee")],
            "has 1 class folder; it takes two or",
        ),
        (lambda folder: shutil.rmtree(folder), "there is no folder"),
    ],
)
def test_folders_that_teach_nothing_are_refused(folder, spoil, message):
    spoil(folder)
    with pytest.raises(PicaptionError, match=message):
        find_class_images(folder)
