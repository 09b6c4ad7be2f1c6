"""Every setting of a training run, in one place; a TOML file fills it."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picaption.device.atomic import MAX_SETTINGS_BYTES, read_text
from picaption.device.bundle.metadata import RESIZE_RULES
from picaption.device.errors import PicaptionError
from picaption.device.parsing import MalformedError, parse_json, parse_toml

from .pixels import PIXELS_HELP, parse_pixels

logger = logging.getLogger(__name__)

NETWORKS = ("mobilenet_v2", "efficientnet_lite0", "classic")
#: The endings of networks that others trained; a SavedModel is a folder, and told by its path.
EXTERNAL_SUFFIXES = (".keras", ".h5", ".onnx", ".pt2")
#: Settings that were renamed, by their old names, which work for one version more.
OLD_NAMES = {
    "each": "captions_per_image",
    "tune_epochs": "finetune_epochs",
    "tune_from": "finetune_from",
    "tune_batch": "finetune_batch",
    "tune_learning_rate": "finetune_learning_rate",
    "tunings": "finetune_runs",
    "tune_share": "finetune_share",
    "reward_epochs": "scst_epochs",
    "reward_share": "scst_share",
    "reward_learning_rate": "scst_learning_rate",
    "reward_samples": "scst_samples",
    "text_share": "transfer_share",
    "names": "class_names",
    "evidence": "tag_weight",
}
#: Values that were renamed with them, by setting.
OLD_VALUES = {"resize": {"squash": "stretch"}}

_TYPE_NAMES = {str: "a text", int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class Settings:
    """Settings of `picaption train`.

    Paths are relative to its --data folder; an empty one is not used.
    """

    name: str = "picaption"
    licence: str = "unstated"
    seed: int = 1

    # Captioned images: a captions file (Flickr8k, Kaggle or COCO layout), the folder of images and
    # split lists. Without `train`, all that are not in `dev` are for training.
    captions: str = ""
    images: str = ""
    train: str = ""
    dev: str = ""
    # Classes: either a multi-label list with its images and splits, or folders of one class each.
    labels: str = ""
    label_images: str = ""
    label_train: str = ""
    label_dev: str = ""
    label_classes: str = ""
    # Further labelled training images, folders with a comma between: each has `images`, a
    # `labels.tsv`, and in `classes_known.txt` the classes that its labels cover.
    partly_labelled: str = ""
    # Captions of the labelled training images, in any layout of `captions`: an image that has some
    # there learns from those. Captions of other images, and of dev images, are left out.
    label_captions: str = ""
    # Captions of the labelled dev images, likewise: nothing learns from them, but they choose the
    # captioner's best epoch beside the captions of `dev`, and the objects that they name count as
    # present when the captions' confidence is calibrated.
    label_dev_captions: str = ""
    # Captions with labels, without their images: a share of the labelled images that have none of
    # their own borrows from them.
    text: str = ""
    transfer_share: float = 1.0
    # It borrows from this many images, the nearest by labels; with the filter "labels" no caption
    # that names an object that is not among its labels.
    transfer_neighbours: int = 20
    transfer_filter: str = ""
    # An image with captions of its own learns from up to so many of `text` beside them, those that
    # are nearest to its own and name no object that neither these nor its labels name.
    paraphrases: int = 0
    # How many synthetic images join each image that the captioner learns from, by cross-entropy and
    # on reward. A synthetic image is known by its captions in `text`, `more_text` and `plain_text`
    # alone, three or more, and its features are made from their words
    # (models/data/synthetic_images.py). Plain text has a caption a line, and `plain_text_captions`
    # lines in a row belong to one image.
    synthetic_per_image: float = 0.0
    plain_text: str = ""
    plain_text_captions: int = 5
    # More captions without their images, `image<TAB>source<TAB>caption` a line: they join the
    # captions of the same images in `text`, and images that are known by a name borrow from all of
    # them. Captions of dev images are left out, by the image's name.
    more_text: str = ""
    # Images that are known by a name alone, such as ImageNet's: a list, `image<TAB>id<TAB>names` a
    # line, and their folder. They borrow the captions that have a name of theirs in them. Named
    # words: "imagenet" takes the names by WordNet's id from models/mappings/imagenet_names.tsv,
    # any other text is the path of such a file.
    named_labels: str = ""
    named_images: str = ""
    named_words: str = ""
    folders: str = ""
    folders_dev: str = ""

    # A second set of classes, ImageNet's by everyday names, from the classifier in `weights`: a
    # list of labelled photographs, `picture<TAB>WordNet id` a line, and their folder. They choose
    # its temperature and threshold (models/training/names.py).
    name_labels: str = ""
    name_images: str = ""

    # The convolutional network: "mobilenet_v2", "efficientnet_lite0" or "classic". Weights: an .npz
    # of folded ones (models/networks/import_efficientnet.py writes one), "imagenet" (MobileNetV2's,
    # downloaded by keras.applications), or none to train from scratch.
    network: str = "mobilenet_v2"
    weights: str = ""
    size: int = 224
    alpha: float = 1.0
    resize: str = "stretch"
    # Or the path of an external network, a .keras, .h5, .onnx or .pt2 file or a SavedModel's folder
    # (./NAME), which is not trained further. Features: the layer that outputs them, a feature map
    # or a vector; without it, the input of the last layer. Pixels: the range that the network was
    # trained with, as models.pixels.parse_pixels takes it; an ONNX file may say it itself. Class
    # names: a file of them, one a line, to keep the network's own classifier.
    features: str = ""
    pixels: str = ""
    class_names: str = ""

    # Words: those that captions use at least min_count times. Tags: the most frequent of those
    # that say something of an image.
    min_count: int = 5
    tags: int = 300

    # The captioner, an n-gram model of this order. Its image input is the "mean" of the feature
    # map, or a sum over the grid weighted by "attention" (see models/networks/captioner.py).
    order: int = 5
    pooling: str = "mean"
    embedding: int = 112
    hidden: int = 448
    # Of the matrices from features to hidden layer and from there to words and tags; 0: full rank.
    rank: int = 0
    dropout: float = 0.4
    smoothing: float = 0.1
    batch: int = 64
    # Captions of an image in an epoch, drawn again in each. Captions repeats: how many times an
    # epoch passes through the images of `captions`, where labelled images have captions too.
    captions_per_image: int = 3
    captions_repeats: int = 1
    epochs: int = 15
    patience: int = 3
    learning_rate: float = 1e-3

    # Fine-tuning of the network on captions, tags and labels together; none with 0 epochs. Blocks
    # before finetune_from are not trained: they detect edges and colours, and would cost half the
    # time. A captioner is trained on the features first (warm_up_epochs), so that the gradients
    # that reach the network mean something.
    warm_up_epochs: int = 6
    finetune_epochs: int = 0
    finetune_from: int = 6
    finetune_batch: int = 64
    finetune_learning_rate: float = 1e-4
    # The mean of finetune_runs runs, each with its own seed, is averaged with the weights before
    # them, finetune_share of the new ones. A run then ends with its last epoch; with a share of 1,
    # with the epoch that is best on the dev images.
    finetune_runs: int = 1
    finetune_share: float = 1.0

    # The weight of the loss of forgetting the names of the network's weights (`name_labels`) in
    # fine-tuning; 0: it may forget them.
    finetune_names_weight: float = 0.0

    # Self-critical sequence training of the captioner (SCST); none with 0 epochs. Its weights are
    # then averaged with those before it, scst_share of the new ones.
    scst_epochs: int = 0
    # Then so many more on the images of `captions` alone, at half the learning rate; the mean of
    # the weights before and after counts. A mixture of data sets speaks like neither of them.
    scst_captions_epochs: int = 0
    scst_share: float = 0.4
    scst_learning_rate: float = 5e-4
    scst_samples: int = 5
    # The reward loses this much for each class that a caption names and that is not in the image,
    # by its labels and its own captions.
    scst_absent_penalty: float = 0.0

    # How the bundle decodes (picaption.device.bundle.metadata.Beam).
    beam_width: int = 3
    min_words: int = 4
    max_words: int = 18
    length_penalty: float = 1.0
    tag_weight: float = 0.0

    # Below what the bundle says that there is nothing to see (picaption.device.recognition.silence,
    # measured by picaption.models.evaluation.silence); 0: it says something about every image.
    silent_brightness: float = 0.0
    silent_contrast: float = 0.0
    silent_sharpness: float = 0.0


_TYPES: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(Settings)}


def read_settings(path: str | Path | None, overrides: Sequence[str] = ()) -> Settings:
    """Read a recipe and override some of its settings.

    A recipe may name another, by its path from there, as its `base`, whose settings hold unless it
    sets them itself.

    Args:
        path: The TOML file; None for the defaults.
        overrides: `name=value` texts.

    Returns:
        The settings, checked.

    Raises:
        PicaptionError: A file is missing or malformed, a setting is unknown, a value has the wrong
            type, or settings contradict each other.
    """
    values = _read_recipe(Path(path)) if path else {}
    texts = _split_overrides(overrides)
    for source, names in ((path, values), ("--set", texts)):
        for name in names:
            if name not in _TYPES:
                raise PicaptionError(
                    f"{source}: no setting is called {name!r}; there are: {', '.join(_TYPES)}"
                )
    parsed = {name: _parse(text, _TYPES[name]) for name, text in texts.items()}
    values |= _rename_values(parsed, "--set")
    settings = Settings(
        **{name: _convert(name, value, _TYPES[name]) for name, value in values.items()}
    )
    check(settings)
    return settings


def read_saved_settings(path: Path) -> Settings | None:
    """Read the settings.json of a run's folder; None where it is not one of this version."""
    try:
        values = parse_json(path.read_text(encoding="utf-8-sig"))
        return Settings(**_rename_values(_rename_settings(values, path), path))
    except (ValueError, TypeError, AttributeError):
        return None


def _read_recipe(path: Path) -> dict[str, Any]:
    """Return the settings of a recipe and its bases."""
    values = _read_toml(path)
    file = path
    visited = set()
    while base := values.pop("base", None):
        visited.add(file.resolve())
        file = file.parent / str(base)
        if file.resolve() in visited:
            raise PicaptionError(f"{path}: it stands on itself: base leads back to {file}")
        values = _read_toml(file) | values
    return values


def _read_toml(path: Path) -> dict[str, Any]:
    """Return the table of a TOML file, its old names renamed."""
    try:
        values = parse_toml(read_text(path, MAX_SETTINGS_BYTES))
    except OSError as error:
        raise PicaptionError(f"{path}: cannot read the settings: {error.strerror}") from None
    except (MalformedError, UnicodeDecodeError) as error:
        raise PicaptionError(f"{path}: not a TOML file: {error}") from None
    return _rename_values(_rename_settings(values, path), path)


def _split_overrides(overrides: Sequence[str]) -> dict[str, str]:
    """Return {name: text} of `name=value` overrides, old names renamed."""
    texts = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise PicaptionError(
                f"--set {override}: write it as name=value, such as --set epochs=5"
            )
        texts[name.strip()] = text.strip()
    return _rename_settings(texts, "--set")


def _rename_settings(values: Mapping[str, Any], source: str | Path) -> dict[str, Any]:
    """Return settings by their new names; warn of each old one."""
    renamed = {}
    for name, value in values.items():
        if name in OLD_NAMES:
            logger.warning("%s: the setting %s is called %s now", source, name, OLD_NAMES[name])
        renamed[OLD_NAMES.get(name, name)] = value
    return renamed


def _rename_values(values: Mapping[str, Any], source: str | Path) -> dict[str, Any]:
    """Return settings with their new values; warn of each old one."""
    renamed = dict(values)
    for name, new_values in OLD_VALUES.items():
        value = values.get(name)
        if isinstance(value, str) and value in new_values:
            logger.warning('%s: %s = "%s" is "%s" now', source, name, value, new_values[value])
            renamed[name] = new_values[value]
    return renamed


def _parse(text: str, setting_type: type) -> Any:
    """Return an override's text as a value of the type, or unchanged where it is none."""
    if setting_type is str:
        return text.strip("\"'")
    try:
        return setting_type(text)
    except ValueError:
        return text


def _convert(name: str, value: Any, setting_type: type) -> Any:
    """Return a setting's value in its type, or raise PicaptionError."""
    if setting_type is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise PicaptionError(f"the setting {name} is beyond all numbers") from None
    if type(value) is not setting_type:
        raise PicaptionError(f"the setting {name} takes {_TYPE_NAMES[setting_type]}, not {value!r}")
    return value


def check(settings: Settings) -> None:
    """Raise PicaptionError where settings contradict each other or make no sense."""
    _check_network(settings)
    _check_data(settings)
    _check_ranges(settings)
    _need(
        settings.network != "classic" or bool(settings.finetune_epochs or settings.weights),
        "the classic network starts from nothing: set finetune_epochs to train it",
    )


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise PicaptionError(message)


def _check_network(settings: Settings) -> None:
    """Check the settings of the convolutional network and what it takes."""
    network = settings.network
    is_external = network not in NETWORKS
    _need(
        not is_external or "/" in network or network.endswith(EXTERNAL_SUFFIXES),
        f"network = {network!r}: it is one of {', '.join(NETWORKS)}, or the path of a .keras, .h5, "
        ".onnx or .pt2 file or a SavedModel, such as ./mine",
    )
    if is_external:
        _check_external(settings)
    else:
        _need(
            not (settings.features or settings.pixels or settings.class_names),
            "features, pixels and class_names are about a network of others': set network to its "
            "path",
        )
    _need(
        not settings.class_names or not (settings.labels or settings.folders),
        "class_names keep the network's own classes, labels and folders teach others: give one or "
        "the other",
    )
    _need(
        settings.weights != "imagenet" or network == "mobilenet_v2",
        f'weights = "imagenet" belong to mobilenet_v2; for {network} give an .npz',
    )
    _need(
        settings.resize in RESIZE_RULES,
        f'resize = {settings.resize!r}: it is "stretch" or "crop"',
    )
    _need(
        settings.pooling in ("mean", "attention"),
        f'pooling = {settings.pooling!r}: it is "mean" or "attention"',
    )
    _need(
        settings.pooling == "mean" or (network != "classic" and bool(settings.captions)),
        'pooling = "attention" is for captions by a network that has a feature map, which classic '
        "has not",
    )
    if is_external:
        _need(32 <= settings.size <= 512, f"size = {settings.size}: it is 32 to 512")
    else:
        _need(
            32 <= settings.size <= 512 and settings.size % 32 == 0,
            f"size = {settings.size}: it is a multiple of 32 from 32 to 512",
        )
    _need(2 <= settings.order <= 8, f"order = {settings.order}: it is 2 to 8")
    _need(0 < settings.alpha <= 2, f"alpha = {settings.alpha}: it is above 0 and at most 2")


def _check_external(settings: Settings) -> None:
    """Check the settings that a network of others needs or excludes."""
    if settings.pixels:
        parse_pixels(settings.pixels)
    _need(
        bool(settings.pixels) or settings.network.endswith(".onnx"),
        f"pixels = {settings.pixels!r}: tell the range that {settings.network} was trained with, "
        f"one of {PIXELS_HELP}",
    )
    _need(
        not (settings.weights or settings.finetune_epochs),
        f"{settings.network} has its weights and stays as it is: leave out weights and "
        "finetune_epochs",
    )


def _check_data(settings: Settings) -> None:
    """Check that the data is there that other data needs."""
    _need(
        not (settings.labels and settings.folders),
        "give either labels or folders, not both: a bundle has one kind of head",
    )
    _need(
        bool(settings.captions or settings.labels or settings.folders),
        "nothing to learn from: set captions, labels or folders",
    )
    _need(
        not settings.captions or bool(settings.images),
        "captions need the folder of their pictures: set images",
    )
    _need(
        not settings.scst_epochs or not settings.captions or bool(settings.dev),
        "self-critical training is watched on dev pictures: set dev, or leave out scst_epochs",
    )
    _need(
        not settings.scst_captions_epochs or bool(settings.scst_epochs),
        "scst_captions_epochs are more epochs of self-critical training: set scst_epochs too",
    )
    _need(
        not settings.text or bool(settings.labels and settings.captions),
        "text is for labelled pictures beside captioned ones to borrow from: set labels and "
        "captions too",
    )
    _need(
        not settings.more_text or bool(settings.text or settings.named_labels),
        "more_text is for pictures to borrow from, beside text or for pictures with names: set "
        "text or named_labels too",
    )
    _need(
        not settings.paraphrases or bool(settings.text and settings.label_captions),
        "paraphrases are captions of text that are near the ones in label_captions: set both",
    )
    _need(
        not settings.synthetic_per_image
        or bool(settings.text or settings.more_text or settings.plain_text),
        "synthetic_per_image needs captions without images: set text, more_text or plain_text",
    )
    _need(
        not settings.plain_text or bool(settings.synthetic_per_image),
        "plain_text is what synthetic_per_image draws from: set both",
    )
    _need(
        not settings.synthetic_per_image or settings.pooling == "mean",
        'synthetic_per_image makes features of whole images: set pooling = "mean"',
    )
    _need(
        settings.transfer_filter in ("", "labels"),
        f'transfer_filter = {settings.transfer_filter!r}: it is "labels" or empty',
    )
    _need(
        bool(settings.named_labels) == bool(settings.named_images),
        "pictures with names need both their list and their folder: set named_labels and "
        "named_images",
    )
    _need(
        not settings.named_words or bool(settings.named_labels),
        "named_words are for pictures with names: set named_labels too",
    )
    _need(
        not settings.named_labels
        or (bool(settings.captions) and bool(settings.text or settings.more_text)),
        "named_labels are for pictures beside captioned ones to borrow captions by: set captions, "
        "and text or more_text",
    )
    _need(
        not settings.label_captions or bool(settings.labels and settings.captions),
        "label_captions belong to labelled pictures beside captioned ones: set labels and "
        "captions too",
    )
    _need(
        not settings.label_dev_captions or bool(settings.label_dev and settings.captions),
        "label_dev_captions belong to labelled dev pictures: set label_dev and captions too",
    )
    _need(
        bool(settings.name_labels) == bool(settings.name_images),
        "name_labels need the folder of their pictures, and the folder needs a list: set both "
        "name_labels and name_images",
    )
    _need(
        not settings.name_labels or settings.weights.endswith(".npz"),
        "names are from the classifier that comes with a network's weights: set weights to an "
        ".npz, or leave out name_labels",
    )
    _need(
        not settings.partly_labelled or bool(settings.labels and settings.label_dev),
        "partly_labelled pictures are beside labelled ones, and a classifier is calibrated on "
        "pictures with all labels: set labels and label_dev too",
    )
    _need(
        not settings.labels or bool(settings.label_images),
        "labels need the folder of their pictures: set label_images",
    )


#: Settings by their lower bound.
_AT_LEAST = {
    1: (
        "batch",
        "captions_per_image",
        "captions_repeats",
        "finetune_batch",
        "finetune_runs",
        "hidden",
        "embedding",
        "tags",
        "min_count",
        "beam_width",
        "max_words",
        "transfer_neighbours",
        "plain_text_captions",
    ),
    0: (
        "paraphrases",
        "warm_up_epochs",
        "epochs",
        "patience",
        "finetune_epochs",
        "finetune_from",
        "rank",
        "scst_epochs",
        "scst_captions_epochs",
        "seed",
    ),
}


def _check_ranges(settings: Settings) -> None:
    """Check that numbers are in their ranges."""
    for least, names in _AT_LEAST.items():
        for name in names:
            value = getattr(settings, name)
            _need(value >= least, f"{name} = {value}: it is at least {least}")
    for name in ("dropout", "smoothing"):
        value = getattr(settings, name)
        _need(0 <= value < 1, f"{name} = {value}: it is from 0 to below 1")
    for name in ("learning_rate", "finetune_learning_rate", "scst_learning_rate"):
        value = getattr(settings, name)
        _need(0 < value < 1, f"{name} = {value}: it is between 0 and 1")
    _need(
        0 < settings.transfer_share <= 1,
        f"transfer_share = {settings.transfer_share}: it is above 0 and at most 1",
    )
    for name in ("finetune_share", "scst_share"):
        value = getattr(settings, name)
        _need(0 <= value <= 1, f"{name} = {value}: it is from 0 to 1")
    _need(
        0 <= settings.finetune_names_weight <= 100,
        f"finetune_names_weight = {settings.finetune_names_weight}: it is from 0 to 100",
    )
    _need(
        0 <= settings.synthetic_per_image <= 100,
        f"synthetic_per_image = {settings.synthetic_per_image}: it is from 0 to 100",
    )
    _need(
        not settings.finetune_names_weight
        or (bool(settings.name_labels) and settings.pooling == "mean"),
        "finetune_names_weight keeps the names of name_labels known, by the mean of the feature "
        'map: set name_labels, and pooling to "mean"',
    )
    _need(
        settings.scst_samples >= 2,
        f"scst_samples = {settings.scst_samples}: it is at least 2",
    )
    _need(
        0 <= settings.scst_absent_penalty <= 100,
        f"scst_absent_penalty = {settings.scst_absent_penalty}: it is from 0 to 100",
    )
    _need(
        not settings.scst_absent_penalty or bool(settings.labels),
        "scst_absent_penalty is about the classes that pictures are labelled with: set labels",
    )
    _need(settings.beam_width <= 64, f"beam_width = {settings.beam_width}: it is at most 64")
    _need(
        0 <= settings.min_words <= settings.max_words <= 128,
        f"min_words = {settings.min_words}, max_words = {settings.max_words}: they are 0 to 128, "
        "in that order",
    )
    _need(
        0 <= settings.length_penalty <= 10,
        f"length_penalty = {settings.length_penalty}: it is from 0 to 10",
    )
    _need(
        0 <= settings.tag_weight <= 100, f"tag_weight = {settings.tag_weight}: it is from 0 to 100"
    )
    for name in ("silent_brightness", "silent_contrast"):
        level = getattr(settings, name)
        _need(0 <= level <= 255, f"{name} = {level}: it is a grey level from 0 to 255")
    _need(
        0 <= settings.silent_sharpness <= 10,
        f"silent_sharpness = {settings.silent_sharpness}: it is from 0 to 10",
    )
