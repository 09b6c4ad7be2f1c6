"""n-grams and batches, by hand."""

import dataclasses

import numpy as np

from picaption.device.bundle.vocabulary import END_ID, START_ID
from picaption.models.data.batches import (
    PADDING_MULTIPLE,
    Batches,
    Examples,
    augment,
    join,
    take,
    windows,
)


def test_windows_are_every_ngram_with_padding_and_end():
    history, following = windows([7, 8, 9], 3)
    assert history.tolist() == [[START_ID, START_ID], [START_ID, 7], [7, 8], [8, 9]]
    assert following.tolist() == [7, 8, 9, END_ID]


def test_an_empty_caption_only_ends():
    history, following = windows([], 2)
    assert history.tolist() == [[START_ID]]
    assert following.tolist() == [END_ID]


def captioned(count):
    features = np.arange(count, dtype=np.float32)[:, None]
    return Examples(
        features,
        [[[10 + row], [20 + row, 30 + row]] for row in range(count)],
        np.ones((count, 2), np.float32),
        np.zeros(count, bool),
    )


def test_every_image_comes_once_an_epoch_and_rows_point_at_it():
    batches = Batches(captioned(7), order=2, batch=3)
    visited = []
    for index in range(len(batches)):
        inputs, targets, weights = batches[index]
        is_real = weights["words"] > 0
        images = inputs["image"][:, 0].astype(int)
        visited += images.tolist()
        words = [word for word in targets["words"][is_real].tolist() if word != END_ID]
        owners = [
            int(images[row])
            for row, word in zip(inputs["row"], targets["words"][is_real])
            if word != END_ID
        ]
        assert [word % 10 for word in words] == owners
    assert sorted(visited) == list(range(7))


def test_an_image_has_no_weight_in_losses_without_a_target():
    labelled = Examples(
        np.full((5, 1), 100, np.float32),
        [[]] * 5,
        np.zeros((5, 2), np.float32),
        np.zeros(5, bool),
        np.eye(5, dtype=np.float32),
    )
    joined = join(captioned(4), labelled)
    inputs, targets, weights = Batches(joined, 2, batch=9)[0]
    captioned_rows = inputs["image"][:, 0] < 100
    assert inputs["image"].shape == (9, 1) and captioned_rows.sum() == 4
    assert captioned_rows[inputs["row"][weights["words"] > 0]].all() and (
        weights["words"] > 0
    ).sum() == 4 * (2 + 3)
    # Padded for compilers, at no cost: the mean loss is that of the twenty n-grams.
    assert (
        len(weights["words"]) == len(targets["words"]) == len(inputs["history"]) == PADDING_MULTIPLE
    )
    assert weights["words"].mean() == 1
    assert weights["tags"].tolist() == captioned_rows.tolist()
    assert weights["labels"].tolist() == (~captioned_rows).tolist()
    assert targets["labels"][~captioned_rows].sum() == 5 and np.isfinite(targets["labels"]).all()


def test_a_batch_without_any_caption_has_words_of_no_weight():
    silent = Examples(
        np.ones((2, 1), np.float32), [[], []], np.zeros((2, 1), np.float32), np.zeros(2, bool)
    )
    _, targets, weights = Batches(silent, 3)[0]
    assert (
        len(targets["words"]) == PADDING_MULTIPLE
        and not weights["words"].any()
        and weights["tags"].tolist() == [0, 0]
    )


def test_some_images_with_all_that_is_known_of_them():
    labels = np.eye(4, dtype=np.float32)
    examples = dataclasses.replace(captioned(4), labels=labels)
    taken = take(examples, [2, 0])
    assert taken.inputs.tolist() == [[2], [0]]
    assert taken.captions == [examples.captions[2], examples.captions[0]]
    assert taken.labels.tolist() == labels[[2, 0]].tolist()
    assert len(taken.tags) == len(taken.sided) == 2
    assert take(examples, range(1)).inputs.tolist() == [[0]]


def test_epochs_differ_and_seeds_repeat():
    first, again, differing = (Batches(captioned(16), 2, batch=16, seed=seed) for seed in (1, 1, 2))
    order = first[0][0]["image"].tolist()
    assert order == again[0][0]["image"].tolist()
    assert order != differing[0][0]["image"].tolist()
    first.on_epoch_end()
    assert order != first[0][0]["image"].tolist()


def test_augmentation_mirrors_only_where_that_keeps_captions_true(photos):
    image = photos["cat"][:300, :300].copy()
    image[:, :150], image[:, 150:] = 0, 255
    sides = {
        mirror: [
            augment(image, np.random.default_rng(seed), mirror)[:, :60].mean() < 128
            for seed in range(20)
        ]
        for mirror in (True, False)
    }
    assert all(sides[False])
    assert any(sides[True]) and not all(sides[True])
