"""Lines about the pictures that classes are taught by, only where they are true."""

from pathlib import Path

import numpy as np

from picaption.device.teaching.examples import ClassExamples
from picaption.device.teaching.notes import alike_classes, near_duplicates, unequal_counts


def test_unequal_folders_are_named():
    assert unequal_counts({"cup": 5, "mug": 19}) == []
    assert unequal_counts({"cup": 5, "table": 0}) == []  # Taught by words alone.
    (line,) = unequal_counts({"cup": 5, "fork": 8, "mug": 20})
    assert line.startswith("mug has 20 pictures and cup 5: ")


def test_alike_classes_are_named_with_their_share():
    # Two cups for mugs and one mug for a cup: 3 of 10 pictures.
    confusion = np.array([[3, 2, 0], [1, 4, 0], [0, 1, 4]])
    (line,) = alike_classes(("cup", "mug", "fork"), confusion)
    assert line.startswith("cup and mug are alike: 30% of their held-out pictures")
    assert alike_classes(("cup", "mug", "fork"), np.diag([5, 5, 5])) == []
    # One picture of two is a half, and may be chance.
    assert alike_classes(("cup", "mug"), np.array([[1, 0], [1, 0]])) == []


def test_a_class_whose_pictures_are_mostly_nearly_the_same_is_named():
    angles = np.radians([0, 20, 90, 180, 270, 10])
    examples = ClassExamples(
        labels=("cup", "mug"),
        paths=tuple(Path(f"{number}.jpg") for number in range(6)),
        truth=np.eye(2, dtype=np.float32)[[0, 0, 1, 1, 1, 0]],
        features=np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32),
        word_evidence=None,
        skipped=(),
    )
    together, too_good = near_duplicates(examples)
    assert together.endswith("they are held out together")
    assert too_good.startswith("most pictures of cup are nearly the same: what is told of held-out")


def test_near_duplicates_are_named_within_and_across_classes():
    angles = np.radians([0, 10, 90, 100.1, 115, 180])  # The cosine of 23 degrees is 0.92.
    features = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    examples = ClassExamples(
        labels=("cup", "mug"),
        paths=tuple(Path(f"{number}.jpg") for number in range(6)),
        truth=np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1, 1]],
        features=7 * features,
        word_evidence=None,
        skipped=(),
    )
    inside, cup, mug, across = near_duplicates(examples)
    assert inside.startswith("4 pictures are nearly the same as another of their class, such as ")
    assert "0.jpg and 1.jpg" in inside
    assert cup.startswith("most pictures of cup") and mug.startswith("most pictures of mug")
    assert across == "2.jpg and 3.jpg are nearly the same picture, in two classes"
