"""Everything that a training run can be told, in one place; a TOML file fills it."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

from picaption.device.errors import PicaptionError

NETWORKS = ("mobilenet_v2", "efficientnet_lite0", "classic")
#: The ranges of pixels that a network may take: what brings 0 to 255 there, a factor and what is added then.
PIXELS = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}


@dataclass(frozen=True)
class Settings:
    """Settings of `picaption train`; paths are relative to its --data folder, an empty one means: not used."""

    name: str = "picaption"
    licence: str = "unstated"
    seed: int = 1

    # Captioned pictures: captions file (Flickr8k, Kaggle or COCO layout), picture folder, split lists; without
    # `train`, all are for training that are not in `dev`.
    captions: str = ""
    images: str = ""
    train: str = ""
    dev: str = ""
    # Classes: either a multi-label list with its pictures and splits, or folders of one class each.
    labels: str = ""
    label_images: str = ""
    label_train: str = ""
    label_dev: str = ""
    label_classes: str = ""
    # Captions of pictures that are not there, with their labels: a share of the labelled pictures borrow from them.
    text: str = ""
    text_share: float = 1.0
    folders: str = ""
    folders_dev: str = ""

    # The convolutional network: "mobilenet_v2", "efficientnet_lite0" or "classic". Weights: an .npz of folded ones
    # (models/networks/import_efficientnet.py makes one), "imagenet" (MobileNetV2's, downloaded by keras.applications), or none for training
    # from scratch.
    network: str = "mobilenet_v2"
    weights: str = ""
    size: int = 224
    alpha: float = 1.0
    resize: str = "squash"
    # Or the path of a network that others trained, a .keras or .h5 file or a SavedModel's folder (./NAME); it stays as it is. The
    # layer that gives its features, a feature map or a vector, without which they are what goes into its last layer; the range of
    # pixels that it was trained with, of PIXELS; and a file of its class names, one a line, to keep its own classifier.
    features: str = ""
    pixels: str = ""
    names: str = ""

    # Words: those told at least min_count times; tags: the most frequent ones that say something.
    min_count: int = 5
    tags: int = 300

    # The captioner, an n-gram model of this order. It sees the "mean" of the feature map, or looks at its places by
    # "attention".
    order: int = 5
    pooling: str = "mean"
    embedding: int = 112
    hidden: int = 448
    # Of the matrices from features to hidden layer and from there to words and tags; 0 for full ones.
    rank: int = 0
    dropout: float = 0.4
    smoothing: float = 0.1
    batch: int = 64
    # Captions a picture in an epoch, drawn anew for each.
    each: int = 3
    epochs: int = 15
    patience: int = 3
    learning_rate: float = 1e-3

    # Fine-tuning of the network, on captions, tags and labels together; none with 0 epochs. The network's
    # blocks before tune_from stay as they are: they see edges and colours, and cost half the time. A captioner
    # on the untuned features comes first, so that gradients that reach the network mean something.
    warm_up_epochs: int = 6
    tune_epochs: int = 0
    tune_from: int = 6
    tune_batch: int = 64
    tune_learning_rate: float = 1e-4
    # It is done `tunings` times, each with a seed of its own, and their mean is averaged with the weights before it,
    # tune_share of the new ones. All passes count then; where it is 1, the one that dev pictures like best.
    tunings: int = 1
    tune_share: float = 1.0

    # Self-critical training of the captioner; none with 0 epochs. Its weights are then averaged with those before
    # it, reward_share of the new ones.
    reward_epochs: int = 0
    reward_share: float = 0.4
    reward_learning_rate: float = 5e-4
    reward_samples: int = 5

    # How the bundle decodes (picaption.device.bundle.metadata.Beam).
    beam_width: int = 3
    min_words: int = 4
    max_words: int = 18
    length_penalty: float = 1.0
    evidence: float = 0.0


def read_settings(path, overrides=()):
    """Return the Settings that the TOML file `path` (None: the defaults) and `key=value` overrides make.

    A file may name another, by its path from there, as its `base`, whose settings hold where it has none of its own.
    Raises PicaptionError on a missing or malformed file, an unknown setting and a value of the wrong type.
    """
    values, told = _read(path) if path else {}, {}
    file, seen = Path(path or ""), set()
    while base := values.pop("base", None):
        seen.add(file.resolve())
        file = file.parent / str(base)
        if file.resolve() in seen:
            raise PicaptionError(f"{path}: it stands on itself: base leads back to {file}")
        values = _read(file) | values
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise PicaptionError(
                f"--set {override}: write it as name=value, such as --set epochs=5"
            )
        told[key.strip()] = text.strip()
    known = {field.name: field.type for field in dataclasses.fields(Settings)}
    for source, names in ((path, values), ("--set", told)):
        for name in names:
            if name not in known:
                raise PicaptionError(
                    f"{source}: no setting is called {name!r}; there are: {', '.join(known)}"
                )
    values |= {name: _parse(text, known[name]) for name, text in told.items()}
    settings = Settings(
        **{name: _checked(name, value, known[name]) for name, value in values.items()}
    )
    check(settings)
    return settings


def _read(path):
    """Return the table that the TOML file at `path` holds."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise PicaptionError(f"{path}: cannot read the settings: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PicaptionError(f"{path}: not a TOML file: {error}") from None


def _parse(text, kind):
    """Return an override's text as a value of `kind`, or as a text where it is none."""
    try:
        return kind(text) if kind is not str else text.strip("\"'")
    except ValueError:
        return text


def _checked(name, value, kind):
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        wanted = "a text" if kind is str else "a whole number" if kind is int else "a number"
        raise PicaptionError(f"the setting {name} takes {wanted}, not {value!r}")
    return value


def check(settings):
    """Raise PicaptionError where settings contradict each other or make no sense."""

    def need(condition, text):
        if not condition:
            raise PicaptionError(text)

    own = settings.network in NETWORKS
    need(
        own or "/" in settings.network or settings.network.endswith((".keras", ".h5")),
        f"network = {settings.network!r}: it is one of {', '.join(NETWORKS)}, or the path of a .keras or .h5 file or a SavedModel, "
        "such as ./mine",
    )
    need(
        not own or not (settings.features or settings.pixels or settings.names),
        "features, pixels and names are about a network of others': set network to its path",
    )
    need(
        own or settings.pixels in PIXELS,
        f"pixels = {settings.pixels!r}: tell the range that {settings.network} was trained with, one of {', '.join(PIXELS)}",
    )
    need(
        own or not (settings.weights or settings.tune_epochs),
        f"{settings.network} has its weights and stays as it is: leave out weights and tune_epochs",
    )
    need(
        not settings.names or not (settings.labels or settings.folders),
        "names keep the network's own classes, labels and folders teach others: give one or the other",
    )
    need(
        settings.weights != "imagenet" or settings.network == "mobilenet_v2",
        f'weights = "imagenet" are those of mobilenet_v2; for {settings.network} give an .npz',
    )
    need(
        settings.resize in ("squash", "crop"),
        f'resize = {settings.resize!r}: it is "squash" or "crop"',
    )
    need(
        settings.pooling in ("mean", "attention"),
        f'pooling = {settings.pooling!r}: it is "mean" or "attention"',
    )
    need(
        settings.pooling == "mean" or settings.network != "classic" and settings.captions,
        'pooling = "attention" is for captions by a network that has a feature map, which classic has not',
    )
    need(
        32 <= settings.size <= 512 and (settings.size % 32 == 0 or not own),
        f"size = {settings.size}: it is a multiple of 32 from 32 to 512"
        if own
        else f"size = {settings.size}: it is 32 to 512",
    )
    need(2 <= settings.order <= 8, f"order = {settings.order}: it is 2 to 8")
    need(0 < settings.alpha <= 2, f"alpha = {settings.alpha}: it is above 0 and at most 2")
    need(
        not (settings.labels and settings.folders),
        "give either labels or folders, not both: a bundle has one kind of head",
    )
    need(
        settings.captions or settings.labels or settings.folders,
        "nothing to learn from: set captions, labels or folders",
    )
    need(
        not settings.captions or settings.images,
        "captions need the folder of their pictures: set images",
    )
    need(
        not settings.text or settings.labels and settings.captions,
        "text is for labelled pictures beside captioned ones to borrow from: set labels and captions too",
    )
    need(
        not settings.labels or settings.label_images,
        "labels need the folder of their pictures: set label_images",
    )
    for name in (
        "batch",
        "each",
        "tune_batch",
        "tunings",
        "hidden",
        "embedding",
        "tags",
        "min_count",
        "beam_width",
        "max_words",
    ):
        need(getattr(settings, name) >= 1, f"{name} = {getattr(settings, name)}: it is at least 1")
    for name in (
        "warm_up_epochs",
        "epochs",
        "patience",
        "tune_epochs",
        "tune_from",
        "rank",
        "reward_epochs",
        "seed",
    ):
        need(getattr(settings, name) >= 0, f"{name} = {getattr(settings, name)}: it is at least 0")
    for name in ("dropout", "smoothing"):
        need(
            0 <= getattr(settings, name) < 1,
            f"{name} = {getattr(settings, name)}: it is from 0 to below 1",
        )
    for name in ("learning_rate", "tune_learning_rate", "reward_learning_rate"):
        need(
            0 < getattr(settings, name) < 1,
            f"{name} = {getattr(settings, name)}: it is between 0 and 1",
        )
    need(
        0 < settings.text_share <= 1,
        f"text_share = {settings.text_share}: it is above 0 and at most 1",
    )
    for name in ("tune_share", "reward_share"):
        need(
            0 <= getattr(settings, name) <= 1,
            f"{name} = {getattr(settings, name)}: it is from 0 to 1",
        )
    need(
        settings.reward_samples >= 2,
        f"reward_samples = {settings.reward_samples}: it is at least 2",
    )
    need(settings.beam_width <= 64, f"beam_width = {settings.beam_width}: it is at most 64")
    need(
        0 <= settings.min_words <= settings.max_words <= 128,
        f"min_words = {settings.min_words}, max_words = {settings.max_words}: they are 0 to 128, in that order",
    )
    need(
        0 <= settings.length_penalty <= 10,
        f"length_penalty = {settings.length_penalty}: it is from 0 to 10",
    )
    need(0 <= settings.evidence <= 100, f"evidence = {settings.evidence}: it is from 0 to 100")
    need(
        settings.network != "classic" or settings.tune_epochs or settings.weights,
        "the classic network starts from nothing: set tune_epochs to train it",
    )
