"""`picaption train`: from captioned and labelled pictures to a folder that `picaption convert` takes.

One stage after the other, each leaving its result in the folder, so that an interrupted run goes on
where it stopped: features -> captioner -> (the whole network, tuned -> features -> captioner) ->
(self-critical training) -> classifier.
"""

import dataclasses
import json
import logging
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from picaption.device.bundle.metadata import Beam, Input, Metadata
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.bundle.word_evidence import compute_word_evidence
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import fit_calibrated, probabilities

from ..data.batches import Batches, Pictures, join
from ..data.dataset import (
    TrainingData,
    examples,
    learn_prompts,
    learn_tags,
    learn_vocabulary,
    load_data,
    with_transferred_captions,
)
from ..data.readers import label_matrix, read_text_captions
from ..data.tokenizer import STOP_WORDS
from ..files import read_lines, save_array, write_lines, write_text
from ..language import ngram
from ..language.arpa import write_arpa
from ..language.word_prior import word_prior
from ..networks.backbones import backbone, load_applications, load_folded
from ..networks.captioner import build_captioner, build_encoder, classic_cnn, pooled
from ..run_folder import (
    PARTS,
    FloatModel,
    load_captioner,
    load_head,
    load_model,
    save_captioner,
    save_head,
    save_model,
    save_words,
)
from ..settings import NETWORKS, read_saved_settings
from . import fit
from .self_critical import train_self_critical

log = logging.getLogger("picaption")

#: Passes of the tagger over a context that self-critical training has changed; it starts from what it knows.
TAGGER_EPOCHS = 15


def train(settings, data_folder, folder):
    """Train what `settings` ask for with the data under `data_folder`; leaves the run in `folder`.

    Raises PicaptionError on unusable data, and where `folder` holds a run of other settings.
    """
    folder = Path(folder)
    text = json.dumps(dataclasses.asdict(settings), indent=1) + "\n"
    saved = folder / "settings.json"
    if saved.exists() and read_saved_settings(saved) != settings:
        raise PicaptionError(
            f"{folder} holds a run of other settings: give another --out, or remove it to start anew"
        )
    if (folder / "finished").exists():
        log.info(
            "%s: finished already; make a bundle of it with: picaption convert %s", folder, folder
        )
        return
    foreign = None
    if settings.network not in NETWORKS:
        from ..networks.external import load_external  # TensorFlow, which Keras may do without.

        foreign = load_external(settings, data_folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "settings.json", text)
    keras.utils.set_random_seed(settings.seed)

    data = load_data(settings, Path(data_folder))
    if settings.text:
        data = with_transferred_captions(
            data, settings, Path(data_folder), folder / "borrowed.token.txt"
        )
    vocabulary, tags, prompts = None, (), ()
    if data.captions:
        told = data.captions.records + (data.labels.records if settings.text else ())
        if not (
            folder / "vocabulary.txt"
        ).exists():  # A run that goes on keeps the numbers of its words.
            write_lines(folder / "vocabulary.txt", learn_vocabulary(told, settings.min_count).words)
        vocabulary = Vocabulary(read_lines(folder / "vocabulary.txt"))
        if not (folder / "tags.txt").exists():
            write_lines(folder / "tags.txt", learn_tags(told, vocabulary, settings.tags))
        tags, prompts = (
            read_lines(folder / "tags.txt"),
            learn_prompts(told, vocabulary, settings.order),
        )
    classes, head = (
        data.labels.classes if data.labels else (),
        "multi-label" if settings.labels else "single-label",
    )
    if settings.class_names:
        classes, head = foreign.labels, foreign.kind
        save_head(foreign.head, folder / "classifier.npz")
    metadata = Metadata(
        name=settings.name,
        licence=settings.licence,
        tags=tags,
        prompts=prompts,
        order=settings.order if tags else 0,
        head=head,
        input=Input(settings.size, settings.size, settings.resize),
        beam=Beam(
            settings.beam_width,
            settings.min_words,
            settings.max_words,
            settings.length_penalty,
            settings.tag_weight,
        ),
        provenance={
            "settings": dataclasses.asdict(settings),
            "pictures": {name: len(split.records) for name, split in vars(data).items() if split},
        },
    )
    build_encoder_stage(settings, Path(data_folder), folder, data, vocabulary, tags, foreign)
    encoder = load_model(folder / "encoder.keras")
    features = features_of(encoder, data, folder)
    if data.captions:
        captions, captions_dev = told_examples(settings, data, features, vocabulary, tags)
        start = folder / "tuned" if settings.finetune_epochs else None
        train_captioner(
            settings,
            folder / "worded",
            captions,
            captions_dev,
            len(vocabulary),
            settings.epochs,
            start,
        )
        if not (folder / "tagger.keras").exists():
            captioner = load_captioner(folder / "worded")
            if settings.scst_epochs:
                function_words = frozenset(vocabulary.encode(STOP_WORDS))
                train_self_critical(
                    captioner, settings, captions, captions_dev, function_words, folder / "rewarded"
                )
                worded = load_captioner(folder / "worded")
                for part in PARTS:
                    average(
                        getattr(captioner, part),
                        getattr(worded, part).get_weights(),
                        settings.scst_share,
                    )
                train_tagger(captioner, settings, captions)
            save_captioner(captioner, folder)
    save_words(folder, metadata, classes, vocabulary)
    if data.labels:
        train_classifier(settings, Path(data_folder), folder, features, data)
    metadata = with_thresholds(metadata, folder, features, data)
    if data.captions_dev:
        metadata = with_perplexity(metadata, folder, vocabulary, captions, captions_dev)
    save_words(folder, metadata, classes, vocabulary)
    (folder / "finished").touch()
    log.info("%s: done; make a bundle of it with: picaption convert %s", folder, folder)


def told_examples(settings, data, features, vocabulary, tags):
    """Return (train, dev) Examples of all captions, borrowed ones too, over `features`, a Data of features."""
    train, dev, borrowed = (
        split and examples(split, inputs, vocabulary, tags)
        for split, inputs in (
            (data.captions, features.captions),
            (data.captions_dev, features.captions_dev),
            (settings.text and data.labels or None, features.labels),
        )
    )
    return dataclasses.replace(join(train, borrowed), labels=None) if borrowed else train, dev


def build_network(settings, data_root):
    """Return an encoder (see picaption.models.networks.captioner.build_encoder) with the weights that the settings name."""
    if settings.network == "classic":
        return classic_cnn(settings.size)
    network = backbone(settings.network, settings.size, settings.alpha)
    if settings.weights == "imagenet":
        load_applications(
            network,
            keras.applications.MobileNetV2(
                (settings.size, settings.size, 3), settings.alpha, include_top=False
            ),
        )
    elif settings.weights:
        path = Path(data_root, settings.weights)
        try:
            load_folded(network, path)
        except (OSError, ValueError, KeyError) as error:
            raise PicaptionError(f"{path}: cannot load these weights: {error}") from None
    first = f"block_{settings.finetune_from:02}_"
    for layer in network.layers:
        if layer.name.startswith(first):
            break
        layer.trainable = not settings.weights
    return build_encoder(network, settings.pooling == "attention")


def features_of(encoder, data, folder):
    """Return the Data of the features of `data`'s pictures, computed or as they were kept in `folder`."""
    return TrainingData(
        *(
            cached_features(encoder, split, folder / f"{name}.npy")
            for name, split in vars(data).items()
        )
    )


def cached_features(encoder, split, path):
    """Return the features of `split`'s pictures, from `path` or computed and kept there: float32 [N, F], or float16
    [N, G, F], which are many, for attention."""
    if split is None:
        return None
    if path.exists():
        return np.load(path, allow_pickle=False)
    starts = tqdm(range(0, len(split.pictures), 32), f"features of {path.stem}", disable=None)
    kind = np.float16 if len(encoder.output_shape) == 3 else np.float32
    batches = (split.pictures[start : start + 32].astype(np.float32) for start in starts)
    features = np.concatenate([encoder.predict_on_batch(batch).astype(kind) for batch in batches])
    save_array(path, features)
    return features


def build_encoder_stage(settings, data_root, folder, data, vocabulary, tags, foreign=None):
    """Leave the encoder in `folder`: a picaption.models.networks.external.ExternalNetwork's, as the weights give it, or tuned on all there is to learn
    from."""
    if (folder / "encoder.keras").exists():
        return
    encoder = foreign.encoder if foreign else build_network(settings, data_root)
    if settings.finetune_epochs and data.captions:
        encoder = tune(settings, folder, encoder, data, vocabulary, tags)
    elif settings.finetune_epochs:
        train_on_labels(settings, folder, encoder, data)
    save_model(encoder, folder / "encoder.keras")


def train_captioner(settings, folder, train, dev, words, epochs, start=None):
    """Train the captioner on cached features by cross-entropy; leaves its parts in `folder`."""
    if (folder / "tagger.keras").exists():
        return
    folder.mkdir(exist_ok=True)
    captioner = (
        load_captioner(start)
        if start
        else build_captioner(
            train.inputs.shape[1:],
            words,
            train.tags.shape[1],
            settings.order,
            settings.embedding,
            settings.hidden,
            settings.rank,
            settings.dropout,
        )
    )
    model = fit.joint_model(captioner)
    batches = Batches(
        train,
        settings.order,
        batch=settings.batch,
        captions_per_image=settings.captions_per_image,
        seed=settings.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, epochs * len(batches))
    fit.compile_joint(model, rate, settings.smoothing)
    fit.fit(
        model,
        batches,
        dev and Batches(dev, settings.order, batch=settings.batch, training=False),
        epochs,
        settings.patience,
        folder,
        "val_words_loss",
    )
    save_captioner(captioner, folder)


def average(model, start, share):
    """Set a keras model to `share` of its own weights and the rest of `start`, those that it was trained from.

    Between the two lies a better model than either (Wortsman et al., "Robust fine-tuning of zero-shot models",
    CVPR 2022): a tuned encoder forgets things that ImageNet taught it, and the reward alone makes captions short
    and alike once a beam searches for them.
    """
    model.set_weights(
        [share * own + (1 - share) * first for own, first in zip(model.get_weights(), start)]
    )


def train_tagger(captioner, settings, train):
    """Train the tagger on the context that other training has changed."""
    told = np.flatnonzero([bool(captions) for captions in train.captions])
    contexts = captioner.context.predict(train.inputs[told], settings.batch, verbose=0)
    steps = TAGGER_EPOCHS * -(-len(told) // settings.batch)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    captioner.tagger.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-4),
        keras.losses.BinaryCrossentropy(True),
        jit_compile=fit.COMPILED,
    )
    captioner.tagger.fit(contexts, train.tags[told], settings.batch, TAGGER_EPOCHS, verbose=2)


def tune(settings, folder, encoder, data, vocabulary, tags):
    """Return `encoder` averaged with what it becomes in `tunings` tunings that differ in their seeds.

    Such tunings, averaged, are better than each (Wortsman et al., "Model soups", ICML 2022).
    """
    first = folder / "first"
    first.mkdir(exist_ok=True)
    features = features_of(encoder, data, first)
    train_captioner(
        settings,
        first,
        *told_examples(settings, data, features, vocabulary, tags),
        len(vocabulary),
        settings.warm_up_epochs,
    )
    start = encoder.get_weights()
    tuned = []
    for number in range(settings.finetune_runs):
        place = folder / ("tuned" if not number else f"tuned_{number + 1}")
        if not (place / "encoder.keras").exists():
            encoder.set_weights(start)
            tune_once(
                settings,
                settings.seed + number,
                encoder,
                load_captioner(first),
                data,
                vocabulary,
                tags,
                place,
            )
        tuned.append(load_model(place / "encoder.keras").get_weights())
    encoder.set_weights([np.mean(parts, 0) for parts in zip(*tuned)])
    average(encoder, start, settings.finetune_share)
    return encoder


def tune_once(settings, seed, encoder, captioner, data, vocabulary, tags, folder):
    """Tune encoder, captioner and tagger together, and leave them in `folder`; the captioner has learned from the untuned
    features. Where an average with the untuned weights will take back what the last passes learn by heart, all passes count;
    else dev pictures choose one."""
    keras.utils.set_random_seed(seed)
    watched = (
        (data.captions_dev, data.labels_dev)
        if data.captions_dev and settings.finetune_share == 1
        else ()
    )
    train, dev = (
        join(*(examples(split, split.pictures, vocabulary, tags) for split in each if split))
        for each in ((data.captions, data.labels), watched)
    )
    model = fit.joint_model(captioner, encoder, train.labels.shape[1] if data.labels else 0)
    batches = Batches(
        train, settings.order, settings.finetune_batch, settings.captions_per_image, seed=seed
    )
    rate = keras.optimizers.schedules.CosineDecay(
        settings.finetune_learning_rate / 10,
        settings.finetune_epochs * len(batches),
        alpha=0.02,
        warmup_target=settings.finetune_learning_rate,
        warmup_steps=len(batches) // 4,
    )
    fit.compile_joint(model, rate, settings.smoothing, bool(data.labels))
    fit.fit(
        model,
        batches,
        dev and Batches(dev, settings.order, settings.finetune_batch, training=False),
        settings.finetune_epochs,
        settings.finetune_epochs,
        folder,
    )
    save_captioner(captioner, folder)
    save_model(encoder, folder / "encoder.keras")


def train_on_labels(settings, folder, encoder, data):
    """Train the encoder on classes alone, with a linear head that is then left behind."""
    logits = keras.layers.Dense(len(data.labels.classes))(keras.layers.Dropout(0.5)(encoder.output))
    model = keras.Model(encoder.input, logits)
    model.compile(
        keras.optimizers.Adam(settings.finetune_learning_rate),
        class_loss(settings),
        jit_compile=fit.COMPILED,
    )
    train, dev = (
        split
        and Pictures(
            split.pictures,
            label_matrix(split.records, split.classes),
            settings.finetune_batch,
            seed,
        )
        for split, seed in ((data.labels, settings.seed), (data.labels_dev, None))
    )
    fit.fit(model, train, dev, settings.finetune_epochs, settings.patience, folder / "tuned")


def class_loss(settings):
    """Return the loss of the classes' logits: a sigmoid each for multi-label data, softmax for class folders."""
    return (
        keras.losses.BinaryCrossentropy(True)
        if settings.labels
        else keras.losses.CategoricalCrossentropy(True)
    )


def train_classifier(settings, data_root, folder, features, data):
    """Fit the classifier to cached features and to the words that the captioner calls for, and calibrate it on dev
    pictures, where there are some, else on pictures held out in turn."""
    if (folder / "classifier.npz").exists():
        return
    captioner = FloatModel(folder, whole=False) if data.captions else None
    texts = read_text_captions(data_root / settings.text) if settings.text else ()
    prior = captioner and word_prior(texts, data.labels.classes, captioner.vocabulary)
    fitted, dev = (
        split
        and (
            *class_inputs(captioner, inputs, folder / f"evidence_{name}.npy"),
            label_matrix(split.records, split.classes),
        )
        for name, split, inputs in (
            ("labels", data.labels, features.labels),
            ("labels_dev", data.labels_dev, features.labels_dev),
        )
    )
    head, _ = fit_calibrated(*fitted, prior, bool(settings.labels), dev)
    save_head(head, folder / "classifier.npz")


def class_inputs(model, features, path):
    """Return the classifier's inputs for cached features: their mean over the grid, and the words' evidence by `model`, a
    KerasModel, float32 [N, V], kept at `path`; None for these where there is no captioner."""
    if model is None:
        return features, None
    if path.exists():
        return pooled(features), np.load(path, allow_pickle=False)
    rows = (
        compute_word_evidence(model, model.describe(row[None]).context)
        for row in tqdm(features, path.stem, disable=None)
    )
    evidence = np.stack(list(rows))
    save_array(path, evidence)
    return pooled(features), evidence


def with_thresholds(metadata, folder, features, data):
    """Return `metadata` with the thresholds that serve best on the dev pictures, where there are such."""
    if data.captions_dev:
        said = examples(
            data.captions_dev, features.captions_dev, Vocabulary(SPECIAL_WORDS), metadata.tags
        ).tags
        captioner = load_captioner(folder)
        logits = captioner.tagger.predict_on_batch(
            captioner.context.predict_on_batch(features.captions_dev)
        )
        metadata = dataclasses.replace(
            metadata, tag_threshold=best_threshold(probabilities(logits, multi_label=True), said)
        )
    if data.labels_dev and metadata.head == "multi-label":
        model = FloatModel(folder) if data.captions else None
        inputs = class_inputs(model, features.labels_dev, folder / "evidence_labels_dev.npy")
        scores = probabilities(
            load_head(folder / "classifier.npz").logits(*inputs), multi_label=True
        )
        threshold = best_threshold(
            scores, label_matrix(data.labels_dev.records, data.labels_dev.classes)
        )
        metadata = dataclasses.replace(metadata, label_threshold=threshold)
    return metadata


def with_perplexity(metadata, folder, vocabulary, train, dev):
    """Return `metadata` with the perplexity of the dev captions in its provenance: by the captioner trained on
    cross-entropy, and by counted n-grams of the same order, which do not see the picture and are left in `folder`."""
    told = [caption for captions in train.captions for caption in captions]
    counted = ngram.kneser_ney(told, metadata.order, len(vocabulary))
    write_arpa(folder / "counted.arpa", counted, vocabulary)
    figures = {
        "captioner": fit.perplexity(
            load_captioner(folder / "worded"), Batches(dev, metadata.order, training=False)
        ),
        "counted": ngram.perplexity(
            counted, [caption for told in dev.captions for caption in told]
        ),
    }
    figures = {name: round(value, 3) for name, value in figures.items()}
    log.info("perplexity of the dev captions: %s", figures)
    return dataclasses.replace(metadata, provenance=metadata.provenance | {"perplexity": figures})


def best_threshold(scores, truth):
    """Return the threshold, in steps of 0.01, from which on `scores` [N, C] agree best with `truth` [N, C]: by F1,
    all classes taken together."""

    def f1(threshold):
        found = scores >= threshold
        return 2 * (found * truth).sum() / max(1, found.sum() + truth.sum())

    return float(max(np.arange(5, 96), key=lambda percent: f1(percent / 100)) / 100)
