"""What a bundle says of itself: metadata.json as frozen values, checked when it is read."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

from ..errors import PicaptionError
from ..log import printable
from ..parsing import parse_json

#: Version of the bundle format that is written.
FORMAT_VERSION = 5
#: The oldest version that is read. Since 3, the captioner's prompts yield the word evidence.
OLDEST_VERSION = 3
HEAD_TYPES = ("multi-label", "single-label")
RESIZE_RULES = ("stretch", "crop")

_MAX_SIDE = 4096
_MAX_PROMPTS = 256
_MAX_OBJECT_WORDS = 20_000
_MAX_PHRASE = 4
_MAX_WEIGHT = 100
_MAX_DEPTH = 100

Values = TypeVar("Values")


@dataclass(frozen=True)
class Input:
    """The image that `encode` takes: RGB uint8, brought to its shape as in training.

    Attributes:
        height: Rows of pixels.
        width: Columns of pixels.
        resize: How an image of another shape gets there, one of RESIZE_RULES
            (picaption.device.images.resize).
    """

    height: int = 224
    width: int = 224
    resize: str = "stretch"


@dataclass(frozen=True)
class Beam:
    """Settings of the beam search (picaption.device.recognition.beam_search).

    Attributes:
        width: Hypotheses that go on after each word.
        min_words: The fewest words of a caption.
        max_words: The most words of a caption.
        length_penalty: The power of a caption's length that divides its score.
        tag_weight: How much the tags in a caption count when one of the finished captions is
            chosen; 0 ignores them.
    """

    width: int = 3
    min_words: int = 4
    max_words: int = 18
    length_penalty: float = 1.0
    tag_weight: float = 0.0


@dataclass(frozen=True)
class Confidence:
    """Weights of a caption's confidence (picaption.device.recognition.confidence).

    Attributes:
        bias: The logit of a caption whose inputs are all 0.
        lowest_score: Of the log-odds of the lowest score of the classes that the caption names.
        other_score: Of the log-odds of the highest score of the classes that it does not name.
        word_log_probability: Of the mean natural logarithm of its words' probabilities.
        objects: Of the number of classes that it names.
        lowest_tag: Of the log-odds of the lowest score of the tags among its words for classes.
        threshold: A caption of less confidence, 0 to 1, is shown as uncertain.
    """

    bias: float = 0.0
    lowest_score: float = 0.0
    other_score: float = 0.0
    word_log_probability: float = 0.0
    objects: float = 0.0
    lowest_tag: float = 0.0
    threshold: float = 0.5


@dataclass(frozen=True)
class Silence:
    """Below what an image shows nothing (picaption.device.recognition.silence); 0: it always does.

    Attributes:
        brightness: Grey levels, 0 to 255: below, it is too dark.
        contrast: Grey levels, 0 to 255: below, it is blank or covered.
        sharpness: A share of the image's standard deviation: below, it is too blurred.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    sharpness: float = 0.0


@dataclass(frozen=True)
class Guidance:
    """How the search for a caption listens to classes, names and tags; with weights of 0, not.

    picaption.device.recognition.guidance has the formulas.

    Attributes:
        class_weight: How fast the bonus of a class's words grows with the log of its score.
        pivot: The score, 0 to 1, of a class that speaks neither for its words nor against them.
        floor: The least bonus, a log-probability.
        ceiling: The greatest bonus, a log-probability.
        choice_weight: How much the classes named count when one of the finished captions is chosen.
        name_weight: How fast the bonus of a name's words grows with the log of its probability.
        name_pivot: The probability, 0 to 1, from which on a name's words have a bonus.
        name_ceiling: The greatest bonus of a name's words, a log-probability.
        tag_weight: How fast the bonus of a tag's word grows with the log of its score.
        tag_pivot: The score, 0 to 1, of a tag that speaks neither for its word nor against it.
        tag_floor: The least bonus of a tag's word, a log-probability.
        tag_ceiling: The greatest bonus of a tag's word, a log-probability.
    """

    class_weight: float = 0.0
    pivot: float = 0.5
    floor: float = -12.0
    ceiling: float = 1.0
    choice_weight: float = 0.0
    name_weight: float = 0.0
    name_pivot: float = 0.1
    name_ceiling: float = 2.0
    tag_weight: float = 0.0
    tag_pivot: float = 0.5
    tag_floor: float = -6.0
    tag_ceiling: float = 1.0


@dataclass(frozen=True)
class Naming:
    """What is certain and not said (picaption.device.recognition.naming).

    Attributes:
        threshold: The least probability of a name that takes the place of a caption.
        support: A class that the caption names vouches for it with a score of at least this.
        addition: The least score of a class that is added to a caption.
        doubt: A tag's score below which a man, woman, boy or girl is called a person or child.
    """

    threshold: float = 1.0
    support: float = 0.0
    addition: float = 1.0
    doubt: float = 0.0


@dataclass(frozen=True)
class Metadata:
    """Everything about a bundle but its graph, labels and vocabulary.

    Attributes:
        name: What the bundle is called.
        licence: Under which terms it may be used.
        head: "multi-label" (a sigmoid for each class) or "single-label" (a softmax).
        input: The image that `encode` takes.
        order: The captioner's n-gram order, 0 without a captioner.
        beam: Settings of the beam search.
        guidance: How it listens to the classes and names.
        naming: When captions say what is certain and the captioner did not; None: never.
        prompts: Beginnings of sentences after which the captioner is asked for words
            (picaption.device.bundle.word_evidence).
        tags: The words that `encode` scores, in its order.
        object_words: For each class the phrases that name it in a caption, in the order of the
            labels (picaption.device.bundle.object_words); empty where they are not known.
        other_things: Phrases that hold an object's name and name no class.
        label_threshold: Below this score, 0 to 1, no class is certain.
        tag_threshold: Below this score, 0 to 1, no tag is named.
        name_threshold: Below this probability, 0 to 1, no name is certain
            (picaption.device.bundle.names).
        scene_threshold: A live frame is captioned again if its features are further than this,
            by cosine distance, from the last captioned frame.
        confidence: Weights of a caption's confidence; None: captions have none.
        silence: Below what the bundle has nothing to say about an image.
        provenance: Free text by name: what it was trained on.
        measured: Free values by name: how good it was.
        class_nouns: For each class the words of a caption that its name takes the place of
            (picaption.device.recognition.class_nouns); empty: captions do not say classes.
    """

    name: str
    licence: str = "unstated"
    head: str = "multi-label"
    input: Input = Input()
    order: int = 0
    beam: Beam = Beam()
    guidance: Guidance = Guidance()
    naming: Naming | None = None
    prompts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    object_words: tuple[tuple[str, ...], ...] = ()
    other_things: tuple[str, ...] = ()
    label_threshold: float = 0.5
    tag_threshold: float = 0.5
    name_threshold: float = 0.5
    scene_threshold: float = 0.1
    confidence: Confidence | None = None
    silence: Silence = Silence()
    provenance: dict = field(default_factory=dict)
    measured: dict = field(default_factory=dict)
    class_nouns: tuple[tuple[str, ...], ...] = ()


def to_json(metadata: Metadata) -> str:
    """Return the text of metadata.json."""
    values = {"format_version": FORMAT_VERSION} | dataclasses.asdict(metadata)
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def from_json(text: str | bytes, where: str | Path) -> Metadata:
    """Read the text of metadata.json.

    Args:
        text: The file's content.
        where: What an error begins with, such as the path of the bundle.

    Returns:
        The Metadata, checked; one of format 3 by the names that later ones have.

    Raises:
        PicaptionError: It is not valid, or of a format that is not read here.
    """
    try:
        values = parse_json(text)
        _need(isinstance(values, dict), "it is not a JSON object")
        version = values.pop("format_version", None)
        _need(type(version) is int and version >= 1, "it has no format version")
        _check_version(version, where)
        if version == 3:
            values = _migrate_from_3(values)
        _need(bool(values.get("name")), "it has no name")
        metadata = _fill(Metadata, values)
        _check_object_words(metadata)
        metadata = dataclasses.replace(
            metadata,
            tags=tuple(metadata.tags),
            prompts=tuple(metadata.prompts),
            object_words=tuple(map(tuple, metadata.object_words)),
            other_things=tuple(metadata.other_things),
            class_nouns=tuple(map(tuple, metadata.class_nouns)),
        )
        _check(metadata)
    except (ValueError, RecursionError) as error:  # The latter from the repr of deep values.
        raise PicaptionError(f"{where}: its metadata is not valid: {error}") from None
    return metadata


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _check_version(version: int, where: str | Path) -> None:
    """Raise PicaptionError for a format that is not read here."""
    if version > FORMAT_VERSION:
        raise PicaptionError(
            f"{where}: bundle format {version} is newer than this picaption reads "
            f"({FORMAT_VERSION}); update picaption"
        )
    if version < OLDEST_VERSION:
        raise PicaptionError(
            f"{where}: bundle format {version} is older than this picaption reads "
            f"({OLDEST_VERSION}); train and convert it again"
        )


def _migrate_from_3(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of format 3 by the names of later formats."""
    values = dict(values)
    if isinstance(values.get("input"), dict) and values["input"].get("resize") == "squash":
        values["input"] = values["input"] | {"resize": "stretch"}
    if isinstance(values.get("beam"), dict) and "evidence" in values["beam"]:
        beam = dict(values["beam"])
        beam["tag_weight"] = beam.pop("evidence")
        values["beam"] = beam
    return values


def _fill(cls: type[Values], values: Any) -> Values:
    """Return the dataclass `cls` from a dict; raise ValueError for a wrong name or type."""
    _need(isinstance(values, dict), f"{cls.__name__.lower()} is not an object")
    types = {field.name: field.type for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    filled = {}
    for name, value in values.items():
        _need(name in types, f"unknown entry {name!r}")
        expected = types[name]
        if isinstance(expected, UnionType):  # A dataclass or None.
            expected = expected.__args__[0] if value is not None else None
        if expected is None:
            pass
        elif isinstance(expected, type) and dataclasses.is_dataclass(expected):
            value = _fill(expected, value)
        elif expected in (int, str, dict):
            _need(type(value) is expected, f"{name} is {value!r}")
        elif expected is float:
            _need(type(value) in (int, float), f"{name} is {value!r}")
        else:
            _need(type(value) in (list, tuple), f"{name} is {value!r}")
        filled[name] = value
    return cls(**filled)


def _check(metadata: Metadata) -> None:
    """Raise ValueError if a value is out of its range."""
    image = metadata.input
    beam = metadata.beam
    _need(metadata.head in HEAD_TYPES, f"head is {metadata.head!r}")
    _need(image.resize in RESIZE_RULES, f"the resize rule is {image.resize!r}")
    sides_fit = all(1 <= side <= _MAX_SIDE for side in (image.height, image.width))
    _need(sides_fit, "the input size is absurd")
    _need(metadata.order == 0 or 2 <= metadata.order <= 16, f"order is {metadata.order}")
    _need(all(type(tag) is str for tag in metadata.tags), "tags are not words")
    _need(all(type(prompt) is str for prompt in metadata.prompts), "prompts are not texts")
    _need(len(metadata.prompts) <= _MAX_PROMPTS, f"there are {len(metadata.prompts)} prompts")
    _need(1 <= beam.width <= 64, "the beam's settings are absurd")
    _need(0 <= beam.min_words <= beam.max_words <= 128, "the beam's settings are absurd")
    _need(0 <= beam.length_penalty <= 10, f"the length penalty is {beam.length_penalty}")
    _need(0 <= beam.tag_weight <= 100, f"the weight of the tags is {beam.tag_weight}")
    _check_guidance(metadata.guidance)
    _check_texts(metadata)
    thresholds = (metadata.label_threshold, metadata.tag_threshold, metadata.name_threshold)
    for threshold in thresholds:
        _need(0 <= threshold <= 1, "a threshold is not from 0 to 1")
    _need(0 <= metadata.scene_threshold <= 2, f"the scene threshold is {metadata.scene_threshold}")
    if metadata.confidence is not None:
        _check_confidence(metadata.confidence)
    if metadata.naming is not None:
        for name, value in vars(metadata.naming).items():
            _need(0 <= value <= 1, f"the naming's {name} is {value}")
    silence = metadata.silence
    for level in (silence.brightness, silence.contrast):
        _need(0 <= level <= 255, f"a threshold of silence is {level}")
    _need(0 <= silence.sharpness <= 10, f"the sharpness of silence is {silence.sharpness}")


def _check_texts(metadata: Metadata) -> None:
    """Raise ValueError if a text has control characters, or free values are nested deeply."""
    texts = [metadata.name, metadata.licence, *metadata.tags, *metadata.prompts]
    for text in texts:
        _need(printable(text) == text, f"{text[:60]!r} has control characters")
    values: list[Any] = [metadata.provenance, metadata.measured]
    for _ in range(_MAX_DEPTH):
        inner: list[Any] = []
        for value in values:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        values = inner
    _need(not values, "its provenance is nested too deeply")


def _check_confidence(confidence: Confidence) -> None:
    """Raise ValueError if a weight or the threshold is out of its range, or not a number."""
    for name, value in vars(confidence).items():
        bounds = (0, 1) if name == "threshold" else (-_MAX_WEIGHT, _MAX_WEIGHT)
        _need(bounds[0] <= value <= bounds[1], f"the confidence's {name} is {value}")


def _check_guidance(guidance: Guidance) -> None:
    """Raise ValueError if a value is out of its range."""
    for name in ("class_weight", "choice_weight", "name_weight", "tag_weight"):
        weight = getattr(guidance, name)
        _need(0 <= weight <= 100, f"the guidance's {name} is {weight}")
    for name in ("pivot", "name_pivot", "tag_pivot"):
        pivot = getattr(guidance, name)
        _need(0 <= pivot <= 1, f"the guidance's {name} is {pivot}")
    for name in ("ceiling", "name_ceiling", "tag_ceiling"):
        ceiling = getattr(guidance, name)
        _need(0 <= ceiling <= 100, f"the guidance's {name} is {ceiling}")
    for name in ("floor", "tag_floor"):
        floor = getattr(guidance, name)
        _need(-100 <= floor <= 0, f"the guidance's {name} is {floor}")


def _check_object_words(metadata: Metadata) -> None:
    """Raise ValueError unless object_words and other_things hold phrases, in lists of any kind."""
    rows = metadata.object_words
    _need(all(type(row) in (list, tuple) for row in rows), "object_words are not lists")
    nouns = metadata.class_nouns
    _need(all(type(row) in (list, tuple) for row in nouns), "class_nouns are not lists")
    phrases = [*metadata.other_things, *(phrase for row in (*rows, *nouns) for phrase in row)]
    _need(len(phrases) <= _MAX_OBJECT_WORDS, f"there are {len(phrases)} words for objects")
    for phrase in phrases:
        is_phrase = type(phrase) is str and 1 <= len(phrase.split()) <= _MAX_PHRASE
        _need(is_phrase, f"{phrase!r} is not a phrase of 1 to {_MAX_PHRASE} words for an object")
