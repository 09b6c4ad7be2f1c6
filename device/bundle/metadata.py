"""What a bundle says of itself: metadata.json as frozen values, checked when read."""

import dataclasses
import json
from dataclasses import dataclass, field

from ..errors import PicaptionError

#: Version of the bundle format; a reader refuses any other. Since 3, the captioner's prompts give the words' evidence.
FORMAT_VERSION = 3
HEAD_TYPES = ("multi-label", "single-label")
RESIZE_RULES = ("squash", "crop")


@dataclass(frozen=True)
class Input:
    """The picture that `encode` takes: RGB uint8, brought to its shape by the rule it was trained with."""

    height: int = 224
    width: int = 224
    resize: str = "squash"


@dataclass(frozen=True)
class Beam:
    """Beam search: hypotheses kept, words in a caption, the power of its length that divides its score, and how much the
    tags weigh when one of the finished captions is chosen (see picaption.device.recognition.beam_search)."""

    width: int = 3
    min_words: int = 4
    max_words: int = 18
    length_penalty: float = 1.0
    evidence: float = 0.0


@dataclass(frozen=True)
class Metadata:
    """Everything about a bundle but its graph, labels and vocabulary.

    head: "multi-label" (a sigmoid each) or "single-label" (softmax); order: of the n-grams, 0 where there
    is no captioner; prompts: the starts of sentences after which it is asked for words (picaption.device.bundle.word_evidence); tags: the words that
    `encode` scores, in its order; thresholds are scores, 0 to 1, and no class is certain below label_threshold; scene_threshold: a
    live picture whose features are further than this from those of the last caption, by cosine distance, is captioned anew;
    provenance and measured are free for what it was trained on and how good it was found.
    """

    name: str
    licence: str = "unstated"
    head: str = "multi-label"
    input: Input = Input()
    order: int = 0
    beam: Beam = Beam()
    prompts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    label_threshold: float = 0.5
    tag_threshold: float = 0.5
    scene_threshold: float = 0.1
    provenance: dict = field(default_factory=dict)
    measured: dict = field(default_factory=dict)


def to_json(metadata):
    """Return metadata.json's text."""
    values = {"format_version": FORMAT_VERSION} | dataclasses.asdict(metadata)
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def from_json(text, where):
    """Return the Metadata that `text` holds; raises PicaptionError, which begins with `where`."""

    def need(condition, what):
        if not condition:
            raise PicaptionError(f"{where}: its metadata is not valid: {what}")

    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        need(False, str(error))
    need(isinstance(values, dict), "it is not a JSON object")
    version = values.pop("format_version", None)
    need(type(version) is int and version >= 1, "it has no format version")
    if version > FORMAT_VERSION:
        raise PicaptionError(
            f"{where}: bundle format {version} is newer than this picaption reads ({FORMAT_VERSION}); "
            "update picaption"
        )
    if version < FORMAT_VERSION:
        raise PicaptionError(
            f"{where}: bundle format {version} is older than this picaption reads ({FORMAT_VERSION}); "
            "train and convert it again"
        )
    need(values.get("name"), "it has no name")
    metadata = _fill(Metadata, values, need)
    metadata = dataclasses.replace(
        metadata, tags=tuple(metadata.tags), prompts=tuple(metadata.prompts)
    )
    need(metadata.head in HEAD_TYPES, f"head is {metadata.head!r}")
    need(metadata.input.resize in RESIZE_RULES, f"the resize rule is {metadata.input.resize!r}")
    need(
        all(1 <= side <= 4096 for side in (metadata.input.height, metadata.input.width)),
        "the input size is absurd",
    )
    need(metadata.order == 0 or 2 <= metadata.order <= 16, f"order is {metadata.order}")
    need(all(type(tag) is str for tag in metadata.tags), "tags are not words")
    need(all(type(text) is str for text in metadata.prompts), "prompts are not texts")
    need(len(metadata.prompts) <= 256, f"there are {len(metadata.prompts)} prompts")
    beam = metadata.beam
    need(
        1 <= beam.width <= 64 and 0 <= beam.min_words <= beam.max_words <= 128,
        "the beam's settings are absurd",
    )
    need(0 <= beam.length_penalty <= 10, f"the length penalty is {beam.length_penalty}")
    need(0 <= beam.evidence <= 100, f"the weight of the evidence is {beam.evidence}")
    need(
        all(
            0 <= threshold <= 1 for threshold in (metadata.label_threshold, metadata.tag_threshold)
        ),
        "a threshold is not from 0 to 1",
    )
    need(0 <= metadata.scene_threshold <= 2, f"the scene threshold is {metadata.scene_threshold}")
    return metadata


def _fill(kind, values, need):
    """Return the dataclass `kind` from a dict, with every name and type checked."""
    need(isinstance(values, dict), f"{kind.__name__.lower()} is not an object")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    filled = {}
    for name, value in values.items():
        need(name in fields, f"unknown entry {name!r}")
        expected = fields[name].type
        if dataclasses.is_dataclass(expected):
            value = _fill(expected, value, need)
        elif expected in (int, str, dict):
            need(type(value) is expected, f"{name} is {value!r}")
        elif expected is float:
            need(type(value) in (int, float), f"{name} is {value!r}")
        else:
            need(type(value) in (list, tuple), f"{name} is {value!r}")
        filled[name] = value
    return kind(**filled)
