"""`picaption train`: from captioned and labelled pictures to a folder that `picaption convert` takes.

One stage after the other, each leaving its result in the folder, so that an interrupted run goes on
where it stopped: features -> captioner -> (the whole network, tuned -> features -> captioner) ->
(self-critical training) -> classifier.
"""

import dataclasses
import json
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from device.errors import PicaptionError
from device.metadata import Beam, Input, Metadata
from device.recognizer import best_caption
from device.vocabulary import SPECIAL, Vocabulary
from models import fit, readers
from models.batches import SIDED, Batches, Captioned, Labelled, Pictures
from models.captioner import build_captioner, build_classifier, build_encoder, classic_cnn
from models.files import save_array, write_text
from models.mobilenet import load_applications, load_folded, mobilenet_v2
from models.reward import train_on_reward
from models.run import KerasModel, load_captioner, load_model, save_captioner, save_model, save_words
from models.text import STOP_WORDS, tokenize

log = logging.getLogger("picaption")


@dataclass(frozen=True)
class Split:
    """Records of a data set and their pictures, uint8 [N, S, S, 3]; the two go by the same index."""

    records: tuple
    pictures: np.ndarray
    classes: tuple = ()


@dataclass(frozen=True)
class Data:
    """What a run learns from; a Split is None where the settings name no such data."""

    captions: Split | None
    captions_dev: Split | None
    labels: Split | None
    labels_dev: Split | None


def train(settings, data_folder, folder):
    """Train what `settings` ask for with the data under `data_folder`; leaves the run in `folder`.

    Raises PicaptionError on unusable data, and where `folder` holds a run of other settings.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(settings), indent=1) + "\n"
    if (folder / "settings.json").exists() and (folder / "settings.json").read_text(encoding="utf-8") != text:
        raise PicaptionError(f"{folder} holds a run of other settings: give another --out, or remove it to start anew")
    write_text(folder / "settings.json", text)
    keras.utils.set_random_seed(settings.seed)

    data = load_data(settings, Path(data_folder))
    vocabulary = tags = None
    if data.captions:
        vocabulary = learn_vocabulary(data.captions.records, settings.min_count)
        tags = learn_tags(data.captions.records, vocabulary, settings.tags)
    classes = data.labels.classes if data.labels else ()
    metadata = Metadata(
        name=settings.name, licence=settings.licence, tags=tags or (), order=settings.order if tags else 0,
        head="multi-label" if settings.labels else "single-label",
        input=Input(settings.size, settings.size, settings.resize),
        beam=Beam(settings.beam_width, settings.min_words, settings.max_words, settings.length_penalty),
        provenance={"settings": dataclasses.asdict(settings), "pictures": {
            field.name: len(split.records) for field in dataclasses.fields(data) if (split := getattr(data, field.name))}},
    )
    build_encoder_stage(settings, Path(data_folder), folder, data, vocabulary, tags)
    encoder = load_model(folder / "encoder.keras")
    features = Data(*(cached_features(encoder, getattr(data, field.name), folder / f"{field.name}.npy")
                      for field in dataclasses.fields(Data)))
    if data.captions:
        captions, captions_dev = (split and captioned(split, inputs, vocabulary, tags) for split, inputs in (
            (data.captions, features.captions), (data.captions_dev, features.captions_dev)))
        start = folder / "tuned" if settings.tune_epochs else None
        train_captioner(settings, folder / "worded", captions, captions_dev, len(vocabulary), start)
        if not (folder / "tagger.keras").exists():
            captioner = load_captioner(folder / "worded")
            if settings.reward_epochs:
                train_on_reward(captioner, settings, captions, captions_dev, folder / "rewarded")
            save_captioner(captioner, folder)
    save_words(folder, metadata, classes, vocabulary)
    if data.labels:
        train_classifier(settings, folder, features, data)
    save_words(folder, with_thresholds(metadata, folder, features, data), classes, vocabulary)
    log.info("%s: done; make a bundle of it with: picaption convert %s", folder, folder)


def load_data(settings, root):
    """Read the pictures, captions and labels that `settings` name; what is left out is logged by name."""
    def path(name):
        return root / name if name else None

    def load(dataset):
        dataset, pictures = readers.load_pictures(dataset, settings.size, settings.size, settings.resize)
        for line in dataset.skipped:
            log.warning("left out %s", line)
        return Split(dataset.records, pictures, dataset.classes)

    captions = captions_dev = labels = labels_dev = None
    if settings.captions:
        sources = path(settings.captions), path(settings.images)
        captions = load(readers.read_captions(*sources, path(settings.train)))
        captions_dev = settings.dev and load(readers.read_captions(*sources, path(settings.dev))) or None
    if settings.labels:
        sources = path(settings.labels), path(settings.label_images)
        labels = load(readers.read_labels(*sources, path(settings.label_train), path(settings.label_classes)))
        labels_dev = settings.label_dev and load(
            readers.read_labels(*sources, path(settings.label_dev), path(settings.label_classes))) or None
    elif settings.folders:
        labels = load(readers.read_folders(path(settings.folders)))
        labels_dev = settings.folders_dev and load(readers.read_folders(path(settings.folders_dev))) or None
    if labels_dev and labels_dev.classes != labels.classes:
        raise PicaptionError("the training and dev pictures have different classes: "
                             + ", ".join(sorted(set(labels.classes) ^ set(labels_dev.classes))))
    return Data(captions, captions_dev, labels, labels_dev)


def learn_vocabulary(records, min_count):
    """Return the Vocabulary of the words that the captions of `records` use at least `min_count` times."""
    counts = Counter(word for record in records for caption in record.captions for word in tokenize(caption))
    words = sorted((word for word, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word))
    if not words:
        raise PicaptionError(f"no word stands {min_count} times in the captions: lower min_count or give more captions")
    return Vocabulary(SPECIAL + tuple(words))


def learn_tags(records, vocabulary, count):
    """Return the `count` words that say something and that the captions of the most pictures use."""
    pictures = Counter()
    for record in records:
        pictures.update({word for caption in record.captions for word in tokenize(caption)})
    telling = [word for word in pictures if word in vocabulary.numbers and word not in STOP_WORDS]
    return tuple(sorted(telling, key=lambda word: (-pictures[word], word))[:count])


def captioned(split, inputs, vocabulary, tags):
    """Return `split` as training data over `inputs`, its pictures or their features."""
    told = [[tokenize(caption) for caption in record.captions] for record in split.records]
    said = [set().union(*captions) for captions in told]
    return Captioned(
        inputs, [[vocabulary.encode(caption) for caption in captions] for captions in told],
        np.array([[tag in words for tag in tags] for words in said], np.float32),
        np.array([bool(words & SIDED) for words in said]))


def label_matrix(split):
    """Return the labels of `split`'s pictures, float32 [N, classes] of 0 and 1."""
    return np.array([[name in record.labels for name in split.classes] for record in split.records], np.float32)


def build_network(settings, data_root):
    """Return an encoder (see models.captioner.build_encoder) with the weights that the settings name."""
    if settings.network == "classic":
        return classic_cnn(settings.size)
    network = mobilenet_v2(settings.size, settings.alpha)
    if settings.weights == "imagenet":
        load_applications(network, keras.applications.MobileNetV2(
            (settings.size, settings.size, 3), settings.alpha, include_top=False))
    elif settings.weights:
        path = Path(data_root, settings.weights)
        try:
            load_folded(network, path)
        except (OSError, ValueError, KeyError) as error:
            raise PicaptionError(f"{path}: cannot load these weights: {error}") from None
    first = f"block_{settings.tune_from:02}_"
    for layer in network.layers:
        if layer.name.startswith(first):
            break
        layer.trainable = not settings.weights
    return build_encoder(network)


def cached_features(encoder, split, path):
    """Return the features of `split`'s pictures, float32 [N, F], from `path` or computed and kept there."""
    if split is None:
        return None
    if path.exists():
        return np.load(path, allow_pickle=False)
    starts = tqdm(range(0, len(split.pictures), 32), f"features of {path.stem}", disable=None)
    features = np.concatenate([encoder(split.pictures[start:start + 32].astype(np.float32)).numpy() for start in starts])
    save_array(path, features)
    return features


def build_encoder_stage(settings, data_root, folder, data, vocabulary, tags):
    """Leave the encoder in `folder`: as the weights give it, or tuned on all there is to learn from."""
    if (folder / "encoder.keras").exists():
        return
    encoder = build_network(settings, data_root)
    if settings.tune_epochs and data.captions:
        tune(settings, folder, encoder, data, vocabulary, tags)
    elif settings.tune_epochs:
        train_on_labels(settings, folder, encoder, data)
    save_model(encoder, folder / "encoder.keras")


def train_captioner(settings, folder, train, dev, words, start=None):
    """Train the captioner on cached features by cross-entropy; leaves its parts in `folder`."""
    if (folder / "tagger.keras").exists():
        return
    folder.mkdir(exist_ok=True)
    captioner = load_captioner(start) if start else build_captioner(
        train.inputs.shape[1], words, train.tags.shape[1], settings.order, settings.embedding, settings.hidden,
        settings.dropout)
    model = fit.joint_model(captioner)
    fit.compile_joint(model, settings.learning_rate, settings.smoothing)
    fit.fit(model, Batches(train, settings.order, batch=settings.batch, seed=settings.seed),
            dev and Batches(dev, settings.order, batch=settings.batch, training=False),
            settings.epochs, settings.patience, folder)
    save_captioner(captioner, folder)


def tune(settings, folder, encoder, data, vocabulary, tags):
    """Tune encoder, captioner and tagger together; a captioner on the untuned features comes first, and makes
    the first gradients that reach the encoder meaningful."""
    first = folder / "first"
    first.mkdir(exist_ok=True)
    inputs = [cached_features(encoder, split, first / f"{name}.npy")
              for name, split in (("captions", data.captions), ("captions_dev", data.captions_dev))]
    splits = [split and captioned(split, features, vocabulary, tags)
              for split, features in zip((data.captions, data.captions_dev), inputs)]
    train_captioner(settings, first, *splits, len(vocabulary))

    captioner = load_captioner(first)
    pictures, pictures_dev = (split and captioned(split, split.pictures, vocabulary, tags)
                              for split in (data.captions, data.captions_dev))
    labelled, labelled_dev = (split and Labelled(split.pictures, label_matrix(split))
                              for split in (data.labels, data.labels_dev))
    model = fit.joint_model(captioner, encoder, labelled.labels.shape[1] if labelled else 0)
    batches = Batches(pictures, settings.order, labelled, settings.tune_batch, each=3, seed=settings.seed)
    rate = keras.optimizers.schedules.CosineDecay(
        settings.tune_learning_rate / 10, settings.tune_epochs * len(batches), alpha=0.02,
        warmup_target=settings.tune_learning_rate, warmup_steps=len(batches) // 4)
    fit.compile_joint(model, rate, settings.smoothing, bool(labelled))
    fit.fit(model, batches, pictures_dev and Batches(
        pictures_dev, settings.order, labelled_dev, settings.tune_batch, training=False),
        settings.tune_epochs, settings.tune_epochs, folder / "tuned")
    save_captioner(captioner, folder / "tuned")


def train_on_labels(settings, folder, encoder, data):
    """Train the encoder on classes alone, with a linear head that is then left behind."""
    logits = keras.layers.Dense(len(data.labels.classes))(keras.layers.Dropout(0.5)(encoder.output))
    model = keras.Model(encoder.input, logits)
    multi = bool(settings.labels)
    model.compile(
        keras.optimizers.Adam(settings.tune_learning_rate),
        keras.losses.BinaryCrossentropy(True) if multi else keras.losses.CategoricalCrossentropy(True), jit_compile=False)
    train, dev = (split and Pictures(Labelled(split.pictures, label_matrix(split)), settings.tune_batch, seed)
                  for split, seed in ((data.labels, settings.seed), (data.labels_dev, None)))
    fit.fit(model, train, dev, settings.tune_epochs, settings.patience, folder / "tuned")


def train_classifier(settings, folder, features, data):
    """Train the classifier on cached features and on what the captioner says of each picture."""
    if (folder / "classifier.keras").exists():
        return
    captioner = data.captions and KerasModel(folder, whole=False) or None
    train, dev = (split and (class_inputs(captioner, inputs, folder / f"said_{name}.npy"), label_matrix(split))
                  for name, split, inputs in (("labels", data.labels, features.labels),
                                              ("labels_dev", data.labels_dev, features.labels_dev)))
    words = len(captioner.vocabulary) if captioner else 0
    model = build_classifier(features.labels.shape[1], words, train[1].shape[1])
    loss = keras.losses.BinaryCrossentropy(True) if settings.labels else keras.losses.CategoricalCrossentropy(True)
    model.compile(keras.optimizers.AdamW(settings.class_learning_rate, weight_decay=1e-3), loss, jit_compile=False)
    stop = [keras.callbacks.EarlyStopping("val_loss", patience=settings.class_patience, restore_best_weights=True)]
    model.fit(*train, settings.batch, settings.class_epochs, validation_data=dev, verbose=2,
              callbacks=stop if dev else [])
    save_model(model, folder / "classifier.keras")


def class_inputs(model, features, path):
    """Return the classifier's inputs for cached features: with the captions of `model`, a KerasModel, as bags of
    words, float32 [N, V], kept at `path`; the features alone where it is None."""
    if model is None:
        return features
    if path.exists():
        return [features, np.load(path, allow_pickle=False)]
    bags = np.zeros((len(features), len(model.vocabulary)), np.float32)
    for bag, row in zip(bags, tqdm(features, path.stem, disable=None)):
        bag[list(best_caption(model, model.describe(row[None]).context).words)] = 1
    save_array(path, bags)
    return [features, bags]


def with_thresholds(metadata, folder, features, data):
    """Return `metadata` with the thresholds that serve best on the dev pictures, where there are such."""
    if data.captions_dev:
        said = captioned(data.captions_dev, features.captions_dev, Vocabulary(SPECIAL), metadata.tags).tags
        scores = keras.ops.sigmoid(load_captioner(folder).tagger(features.captions_dev))
        metadata = dataclasses.replace(metadata, tag_threshold=best_threshold(np.asarray(scores), said))
    if data.labels_dev and metadata.head == "multi-label":
        inputs = class_inputs(data.captions and KerasModel(folder) or None, features.labels_dev, folder / "said_labels_dev.npy")
        scores = keras.ops.sigmoid(load_model(folder / "classifier.keras")(inputs))
        metadata = dataclasses.replace(metadata, label_threshold=best_threshold(np.asarray(scores), label_matrix(data.labels_dev)))
    return metadata


def best_threshold(scores, truth):
    """Return the threshold, in steps of 0.01, above which `scores` [N, C] agree best with `truth` [N, C]: by F1, all
    classes taken together."""
    def f1(threshold):
        found = scores >= threshold
        return 2 * (found * truth).sum() / max(1, found.sum() + truth.sum())
    return float(max(np.arange(5, 96), key=lambda percent: f1(percent / 100)) / 100)
