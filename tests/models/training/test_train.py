"""Training from end to end on a small real data set: what it leaves, how it goes on, how it refuses."""

import csv
import dataclasses
from collections import Counter

import keras
import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.recognition.classifier import probabilities
from picaption.models.data import dataset as reading
from picaption.models.data.batches import Examples
from picaption.models.data.readers import Record
from picaption.models.networks.captioner import build_captioner
from picaption.models.run_folder import FloatModel, load_model
from picaption.models.settings import Settings
from picaption.models.training import train as training


def test_a_run_says_what_its_bundle_says(run, bundle, photos):
    in_training, on_device = Recognizer(FloatModel(run)), Recognizer(bundle)
    same = [
        in_training(image).caption.text == on_device(image).caption.text
        for image in photos.values()
    ]
    assert sum(same) >= len(same) - 1  # up to quantization
    for image in photos.values():
        np.testing.assert_allclose(
            in_training.class_scores(image), on_device.class_scores(image), atol=0.05
        )


def test_a_finished_run_is_not_trained_again(run, data, settings):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.keras")}
    training.train(settings, data, run)
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*.keras")}


def test_an_interrupted_run_goes_on_with_the_stage_that_is_missing(run, data, settings, tmp_path):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "classifier.npz").unlink()
    (folder / "finished").unlink()
    kept = (folder / "encoder.keras").stat().st_mtime_ns
    training.train(settings, data, folder)
    assert (folder / "classifier.npz").exists()
    assert (folder / "encoder.keras").stat().st_mtime_ns == kept


def test_a_share_of_the_labelled_pictures_borrows(data, settings, tmp_path):
    some = dataclasses.replace(settings, transfer_share=0.5)
    loaded, path = reading.load_data(some, data), tmp_path / "borrowed.token.txt"
    found = reading.with_transferred_captions(loaded, some, data, path)
    told = [record for record in found.labels.records if record.captions]
    assert len(told) == round(len(found.labels.records) / 2)
    # What is kept is taken as it is.
    path.write_text(f"{told[0].name}#0\tA kept caption.\n")
    again = reading.with_transferred_captions(loaded, some, data, path).labels.records
    assert [record.captions for record in again if record.captions] == [("A kept caption.",)]


def test_a_folder_of_another_run_is_refused(run, data, settings):
    with pytest.raises(PicaptionError, match="other settings"):
        training.train(dataclasses.replace(settings, seed=99), data, run)


def test_class_folders_give_a_single_label_bundle_without_captions(
    data, class_run, tmp_path, photos
):
    from picaption.convert.convert import convert

    convert(class_run, tmp_path / "folders.tflite", data / "images")
    recognizer = Recognizer(tmp_path / "folders.tflite")
    assert recognizer.model.metadata.head == "single-label"
    assert recognizer.model.labels == ("astronaut", "cat", "coffee")
    found = recognizer(photos["coffee"])
    assert found.caption is None and found.tags == ()
    assert sum(score.score for score in found.classes) == pytest.approx(1, abs=0.02)


def test_vocabulary_and_tags_are_the_frequent_words(data):
    from picaption.models.data.readers import read_captions

    records = read_captions(data / "captions.token.txt", data / "images").records
    vocabulary = reading.learn_vocabulary(records, 16)
    assert "a" in vocabulary.word_ids and "spoon" not in vocabulary.word_ids
    assert reading.learn_tags(records, reading.learn_vocabulary(records, 1), 3) == (
        "camera",
        "astronaut",
        "brown",
    )


def test_prompts_are_frequent_words_that_much_can_follow(monkeypatch):
    def record(*captions):
        return Record("a.jpg", "a.jpg", captions)

    records = [
        record("a dog on a mat", "a dog on a mat", "a cat on a sofa"),
        record("a dog on a bed", "a pig in a car"),
    ]
    vocabulary = Vocabulary((*SPECIAL_WORDS, *"a dog on mat cat sofa bed pig in car".split()))
    # After "a" at the start dog stands three times, cat and pig once; after "on a" mat twice, sofa and bed once: of a higher entropy,
    # 1.04 against 0.95. After "a dog", and in the other places, one thing follows.
    monkeypatch.setattr(reading, "PROMPTS", 2)
    assert reading.learn_prompts(records, vocabulary, 3) == ("on a", "a")
    # "on a" stands four times, as the third most frequent: what is seen less is no prompt.
    monkeypatch.setattr(reading, "FREQUENT", 2)
    assert reading.learn_prompts(records, vocabulary, 3) == ("a", "")
    # A word that the vocabulary lacks can follow a prompt, but not be in one.
    assert reading.learn_prompts(records, Vocabulary((*SPECIAL_WORDS, "a", "dog")), 3) == ("a", "")
    assert reading.entropy(Counter("aab")) == pytest.approx(np.log(3) - 2 / 3 * np.log(2))


def test_average_by_hand():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.set_weights([np.array([[4.0, 8.0]]), np.array([0.0, -4.0])])
    training.average(model, [np.array([[0.0, 4.0]]), np.array([8.0, 0.0])], 0.75)
    kernel, bias = model.get_weights()
    assert kernel.tolist() == [[3, 7]] and bias.tolist() == [2, -3]


def test_with_no_share_of_what_was_tuned_the_encoder_stays_as_it_began(data, settings, tmp_path):
    training.train(
        dataclasses.replace(settings, finetune_share=0.0, epochs=1, scst_epochs=0), data, tmp_path
    )
    keras.utils.set_random_seed(settings.seed)
    began = training.build_network(settings, data)
    for kept, first in zip(
        load_model(tmp_path / "encoder.keras").get_weights(), began.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(kept, first)


def test_the_encoder_is_the_mean_of_its_tunings(data, settings, tmp_path):
    training.train(
        dataclasses.replace(settings, finetune_runs=2, epochs=1, scst_epochs=0), data, tmp_path
    )
    first, second, mean = (
        load_model(tmp_path / place / "encoder.keras").get_weights()
        for place in ("tuned", "tuned_2", ".")
    )
    assert any(np.abs(a - b).max() > 1e-6 for a, b in zip(first, second, strict=True))
    for a, b, kept in zip(first, second, mean, strict=True):
        np.testing.assert_allclose(kept, (a + b) / 2, atol=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_dev_pictures_choose_a_pass_of_tuning_only_where_no_average_takes_it_back(
    data, settings, tmp_path, share
):
    training.train(
        dataclasses.replace(settings, finetune_share=share, epochs=1, scst_epochs=0), data, tmp_path
    )
    with open(tmp_path / "tuned/history.csv", newline="") as file:
        (epoch,) = csv.DictReader(file)
    assert float(epoch["loss"]) > 0 and (epoch["val_loss"] != "NA") == (share == 1)


def test_the_tagger_learns_a_context_that_has_changed():
    # The last four look like the first two, but have no captions: what is said of them is not to be learned.
    inputs = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 0, 0, 0, 0]]
    tags = np.array([[1, 0]] * 2 + [[0, 1]] * 6, np.float32)
    train = Examples(inputs, [[[3]], [[3]], [[4]], [[4]], [], [], [], []], tags, np.zeros(8, bool))
    captioner = build_captioner((4,), words=9, tags=2, order=3, embedding=4, hidden=32, dropout=0.0)
    training.train_tagger(captioner, Settings(captions="x", batch=2, learning_rate=0.3), train)
    scores = probabilities(
        captioner.tagger.predict_on_batch(captioner.context.predict_on_batch(inputs)), True
    )
    assert ((scores[:4] > 0.5) == tags[:4]).all()


def test_best_threshold_by_hand():
    scores, truth = np.array([[0.9, 0.2], [0.4, 0.3]]), np.array([[1, 0], [1, 0]])
    assert 0.3 < training.best_threshold(scores, truth) <= 0.4


def test_bundle_has_the_words_of_its_run(run, bundle):
    model, found = FloatModel(run), Bundle(bundle)
    assert found.labels == model.labels and found.vocabulary.words == model.vocabulary.words
    assert found.metadata == model.metadata
