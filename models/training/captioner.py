"""Training the captioner on cached features by cross-entropy, and the tagger after it."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np

from ..data.batches import Batches, Examples, join
from ..data.dataset import Split, TrainingData, make_examples
from ..data.synthetic_images import MixedBatches, SyntheticImages
from ..networks.captioner import Captioner, build_captioner
from ..run_folder import load_captioner, save_captioner
from ..settings import Settings
from . import fit
from .training_run import CaptionWords, Features

#: Epochs of the tagger on a context that self-critical training has changed; it starts from what it
#: knows.
TAGGER_EPOCHS = 15


def caption_examples(
    settings: Settings, data: TrainingData, features: Features, words: CaptionWords
) -> tuple[Examples, Examples | None]:
    """Return (train, dev) Examples of all captions over features.

    The captions of labelled images and of images with a name are among those to train on, those of
    labelled dev images among the dev captions.
    """
    train = _examples(data.captions, features.captions, words)
    assert train is not None
    train = join(*[train] * settings.captions_repeats)
    dev = _examples(data.captions_dev, features.captions_dev, words)
    labelled_dev = _examples(*_captioned(data.labels_dev, features.labels_dev), words)
    if dev is not None and labelled_dev is not None:
        dev = dataclasses.replace(join(dev, labelled_dev), labels=None)
    if labels_are_captioned(settings):
        labelled = _examples(data.labels, features.labels, words)
        assert labelled is not None
        train = dataclasses.replace(join(train, labelled), labels=None)
    named = _examples(data.named, features.named, words)
    if named is not None:
        train = dataclasses.replace(join(train, named), labels=None)
    return train, dev


def labels_are_captioned(settings: Settings) -> bool:
    """Return whether labelled images are among those that captions are learned from."""
    return bool(settings.text or settings.label_captions)


def _captioned(
    split: Split | None, features: np.ndarray | None
) -> tuple[Split | None, np.ndarray | None]:
    """Return the images of a Split that have captions and their features; None for none."""
    if split is None or features is None:
        return None, None
    rows = [row for row, record in enumerate(split.records) if record.captions]
    if not rows:
        return None, None
    records = tuple(split.records[row] for row in rows)
    return dataclasses.replace(split, records=records, images=split.images[rows]), features[rows]


def _examples(
    split: Split | None, features: np.ndarray | None, words: CaptionWords
) -> Examples | None:
    """Return a Split over its features, None for no Split."""
    if split is None or features is None:
        return None
    return make_examples(split, features, words.vocabulary, words.tags)


def train_captioner(
    settings: Settings,
    train: Examples,
    dev: Examples | None,
    words: int,
    epochs: int,
    folder: Path,
    start: Path | None = None,
    synthetic: SyntheticImages | None = None,
) -> None:
    """Train a captioner by cross-entropy and leave its parts in `folder`.

    Args:
        settings: Sizes of the captioner and how it is trained.
        train: Training images as cached features.
        dev: Dev images, which choose the best epoch; None takes the last one.
        words: Size of the vocabulary.
        epochs: The most epochs.
        folder: Made if need be; a captioner that it holds is not trained again.
        start: A folder with the captioner to start from; None starts from random weights.
        synthetic: Images to learn from beside those at hand; None for none.
    """
    if (folder / "tagger.keras").exists():
        return
    folder.mkdir(exist_ok=True)
    if start:
        captioner = load_captioner(start)
    else:
        captioner = build_captioner(
            train.inputs.shape[1:],
            words,
            train.tags.shape[1],
            settings.order,
            settings.embedding,
            settings.hidden,
            settings.rank,
            settings.dropout,
        )
    model = fit.joint_model(captioner)
    make_batches: Callable[..., Batches] = Batches
    if synthetic:
        make_batches = partial(
            MixedBatches, synthetic=synthetic, synthetic_per_image=settings.synthetic_per_image
        )
    batches = make_batches(
        train,
        settings.order,
        batch=settings.batch,
        captions_per_image=settings.captions_per_image,
        seed=settings.seed,
    )
    dev_batches = None
    if dev:
        dev_batches = Batches(dev, settings.order, batch=settings.batch, training=False)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, epochs * len(batches))
    fit.compile_joint(model, rate, settings.smoothing)
    fit.fit_model(
        model, batches, dev_batches, epochs, settings.patience, folder, monitor="val_words_loss"
    )
    save_captioner(captioner, folder)


def train_tagger(captioner: Captioner, settings: Settings, train: Examples) -> None:
    """Train the tagger on contexts that self-critical training has changed.

    Args:
        captioner: Its tagger is trained; its context stays.
        settings: batch and learning_rate count.
        train: Training images as cached features; those without captions are left out.
    """
    captioned = np.flatnonzero([bool(captions) for captions in train.captions])
    contexts = captioner.context.predict(train.inputs[captioned], settings.batch, verbose=0)
    steps = TAGGER_EPOCHS * -(-len(captioned) // settings.batch)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    captioner.tagger.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-4),
        keras.losses.BinaryCrossentropy(True),
        jit_compile=fit.JIT_COMPILE,
    )
    captioner.tagger.fit(contexts, train.tags[captioned], settings.batch, TAGGER_EPOCHS, verbose=2)
