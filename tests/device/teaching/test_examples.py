"""Class folders: what is in them, and what is wrong with them."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from picaption.device import PicaptionError
from picaption.device.teaching.examples import ClassExamples, find_class_images, split_negatives


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


def test_pictures_of_none_of_these_are_no_class():
    truth = np.eye(3, dtype=np.float32)[[0, 1, 1, 2]]
    examples = ClassExamples(
        labels=("cup", "none of these", "spoon"),
        paths=tuple(Path(f"{number}.jpg") for number in range(4)),
        truth=truth,
        features=np.arange(8, dtype=np.float32).reshape(4, 2),
        word_evidence=np.arange(4, dtype=np.float32).reshape(4, 1),
        skipped=(),
    )
    classes, negatives = split_negatives(examples)
    assert classes.labels == ("cup", "spoon")
    assert classes.counts == {"cup": 1, "spoon": 1}
    assert [path.name for path in classes.paths] == ["0.jpg", "3.jpg"]
    assert classes.features.tolist() == [[0, 1], [6, 7]]
    assert negatives.features.tolist() == [[2, 3], [4, 5]]
    assert classes.word_evidence.tolist() == [[0], [3]]
    assert negatives.word_evidence.tolist() == [[1], [2]]
    same, nothing = split_negatives(classes)
    assert same.counts == classes.counts and len(nothing.features) == 0


def test_none_of_these_is_not_one_of_two_classes(folder):
    shutil.rmtree(folder / "coffee")
    (folder / "cat").rename(folder / "none of these")
    with pytest.raises(PicaptionError, match="has 1 class folder; it takes two or more"):
        find_class_images(folder)
