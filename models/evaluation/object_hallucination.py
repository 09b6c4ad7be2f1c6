"""Whether a caption names objects that its image shows, and objects that it does not.

After CHAIR (Rohrbach et al., "Object hallucination in image captioning", EMNLP 2018), which counts
named objects that are absent, with a list of synonyms for the names of COCO's classes. There are
two lists: CHAIR's own with its rules, in models/mappings/chair_synonyms.txt, and SYNONYMS, a list
of our own that takes any other labels as well.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

from picaption.device.bundle.object_words import Phrases, match_phrases
from picaption.device.bundle.vocabulary import Vocabulary

from ..data.tokenizer import split_words, tokenize
from .metrics import percent

#: CHAIR's list: a class a line, first its name, then its synonyms, a comma between.
CHAIR_SYNONYMS = Path(__file__).parents[1] / "mappings" / "chair_synonyms.txt"

#: Phrases as tuples of words, and the labels that each names.
LabelPhrases = Phrases[set[str]]
#: The caption of an image, its labels and its human captions.
ChairImage = tuple[str, set[str], Iterable[str]]

#: What people call COCO's classes beside their names, in the singular, a comma between.
SYNONYMS = {
    "person": (
        "people, man, woman, boy, girl, child, kid, baby, toddler, infant, guy, lady, "
        "gentleman, adult, teenager, someone, somebody, human, couple, crowd, audience, "
        "family, mother, father, mom, dad, son, daughter, brother, sister, friend, spectator, "
        "pedestrian, passenger, driver, rider, biker, cyclist, bicyclist, motorcyclist, "
        "player, batter, catcher, umpire, athlete, skier, snowboarder, skateboarder, skater, "
        "surfer, swimmer, runner, climber, hiker, jockey, cowboy, worker, officer, policeman, "
        "fireman, firefighter, soldier, fisherman, chef, waiter, student, teacher, tourist, "
        "performer, dancer, singer, musician, bride, groom, youth"
    ),
    "bicycle": "bike",
    "car": "automobile, taxi, cab, suv, jeep, van, minivan, sedan",
    "motorcycle": "motorbike, motor bike, motor cycle, dirt bike, moped, scooter",
    "airplane": "plane, air plane, aeroplane, jet, aircraft, airliner, biplane",
    "bus": "double decker",
    "train": "train car, locomotive, tram",
    "truck": "pickup, lorry, firetruck",
    "boat": "ship, sailboat, rowboat, speedboat, motorboat, canoe, kayak, raft, ferry, yacht",
    "traffic light": "traffic signal, stoplight, stop light",
    "fire hydrant": "hydrant",
    "stop sign": "stopsign",
    "bird": (
        "duck, goose, gull, seagull, pigeon, parrot, owl, eagle, hawk, swan, penguin, flamingo"
    ),
    "cat": "kitten, kitty",
    "dog": "puppy, pup, poodle, terrier, retriever, greyhound, bulldog, labrador, collie, hound",
    "horse": "pony, foal, stallion",
    "sheep": "lamb, ram, ewe",
    "cow": "cattle, bull, calf, ox",
    "bear": "cub",
    "backpack": "rucksack, knapsack",
    "umbrella": "parasol",
    "handbag": "hand bag, purse",
    "tie": "necktie, bowtie",
    "suitcase": "suit case, luggage",
    "frisbee": "disc, disk",
    "skis": "ski",
    "sports ball": "ball",
    "baseball bat": "bat",
    "baseball glove": "glove, mitt",
    "surfboard": "surf board",
    "skateboard": "skate board",
    "snowboard": "snow board",
    "tennis racket": "racket, racquet",
    "wine glass": "glass of wine, goblet",
    "cup": "mug, teacup",
    "sandwich": "burger, hamburger, cheeseburger",
    "hot dog": "hotdog",
    "donut": "doughnut",
    "cake": "cupcake",
    "chair": "armchair, stool",
    "couch": "sofa, loveseat",
    "potted plant": "plant, houseplant",
    "dining table": "table, desk, computer desk",
    "tv": "television, screen, monitor, computer screen, computer monitor",
    "laptop": "computer",
    "mouse": "computer mouse",
    "keyboard": "computer keyboard",
    "remote": "controller",
    "cell phone": "phone, cellphone, smartphone, telephone",
    "oven": "stove",
    "refrigerator": "fridge",
    "teddy bear": "teddy, stuffed bear, stuffed animal",
    "hair drier": "hair dryer, hairdryer",
}
#: Phrases that hold an object's name and mean something else.
OTHER_THINGS = (
    "couple of",
    "train track",
    "train station",
    "bus stop",
    "bus station",
    "bird feeder",
    "toilet paper",
    "orange juice",
)
#: With "baby" before it, each of these is no person.
ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe")
#: CHAIR's double words that name none of the 80 classes; later versions of it have the second.
CHAIR_OTHER_THINGS = ("home plate", "train track")
#: By CHAIR's rules "baby" and "adult" before these, and "passenger" before those, are no person.
CHAIR_ANIMALS = (*ANIMALS, "animal", "cub")
CHAIR_VEHICLES = ("jet", "train")
#: Irregular plurals.
PLURALS = {
    "person": "persons",
    "child": "children",
    "mouse": "mice",
    "goose": "geese",
    "sheep": "sheep",
    "ox": "oxen",
    "calf": "calves",
    "thief": "thieves",
    "grandchild": "grandchildren",
    "knife": "knives",
    "human": "humans",
}


def plural(word: str) -> str:
    """Return the plural of an English noun."""
    if word in PLURALS:
        return PLURALS[word]
    if word.endswith("man"):
        return word[:-3] + "men"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in ("", *"aeiou"):
        return word[:-1] + "ies"
    return word + "s"


def object_phrases(labels: Collection[str]) -> LabelPhrases:
    """Return the phrases that name objects, in the singular and the plural.

    Args:
        labels: Names of classes. Of those that are none of COCO's only the name itself counts.

    Returns:
        The labels that each phrase names. Phrases that name none of `labels` are there too, so that
        a hot dog is no dog.
    """
    phrases: LabelPhrases = Phrases()
    known = set(labels)
    for thing in OTHER_THINGS:
        _add_phrase(phrases, thing, set())
    for animal in ANIMALS:
        _add_phrase(phrases, f"baby {animal}", {animal} & known)
    for label in {*labels, *SYNONYMS}:
        for phrase in (label, *SYNONYMS.get(label, "").split(",")):
            _add_phrase(phrases, phrase, {label} & known)
    return phrases


def _add_phrase(phrases: LabelPhrases, phrase: str, labels: set[str]) -> None:
    """Let a phrase and its plural name `labels`, besides what they name already."""
    words = split_words(phrase)
    for form in {words, (*words[:-1], *map(plural, words[-1:]))} - {()}:
        phrases.setdefault(form, set()).update(labels)


def read_chair_synonyms(path: Path = CHAIR_SYNONYMS) -> dict[str, tuple[str, ...]]:
    """Return the words for each of CHAIR's classes, its name first; lines with a # are comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    names = [
        tuple(name.strip() for name in line.split(","))
        for line in lines
        if line.strip() and not line.startswith("#")
    ]
    return {synonyms[0]: synonyms for synonyms in names}


def chair_phrases() -> LabelPhrases:
    """Return the phrases that name the 80 classes by CHAIR's list, in the singular and the plural.

    Phrases that name no class are there too, so that a train track is no train.
    """
    synonyms = read_chair_synonyms()
    classes = {name: label for label, names in synonyms.items() for name in names}
    phrases: LabelPhrases = Phrases()
    for name, label in classes.items():
        _add_phrase(phrases, name, {label})
    for thing in CHAIR_OTHER_THINGS:
        _add_phrase(phrases, thing, set())
    for qualifier, nouns in (
        ("baby", CHAIR_ANIMALS),
        ("adult", CHAIR_ANIMALS),
        ("passenger", CHAIR_VEHICLES),
    ):
        for noun in nouns:
            labels: set[str] = {classes[noun]} if noun in classes else set()
            _add_phrase(phrases, f"{qualifier} {noun}", labels)
    return phrases


def caption_phrases(
    labels: Sequence[str], vocabulary: Vocabulary
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """Return the phrases by which captions of a vocabulary can name classes, for a bundle.

    They are those of CHAIR's list and of ours together, plurals included, as far as the vocabulary
    has their words; a word with a hyphen names what its parts name.

    Args:
        labels: The names of the classes.
        vocabulary: The words of the captions.

    Returns:
        The `object_words` and `other_things` of picaption.device.bundle.metadata.Metadata.
    """
    own = object_phrases(labels)
    phrases = {phrase: set(names) for phrase, names in own.items()}
    for phrase, names in chair_phrases().items():
        phrases.setdefault(phrase, set()).update(names.intersection(labels))
    for word in vocabulary.words:
        if "-" in word:
            phrases.setdefault((word,), named_objects(word, own))
    known = sorted(
        (" ".join(phrase), names)
        for phrase, names in phrases.items()
        if vocabulary.word_ids.keys() >= set(phrase)
    )
    object_words = tuple(
        tuple(phrase for phrase, names in known if label in names) for label in labels
    )
    return object_words, tuple(phrase for phrase, names in known if not names and " " in phrase)


def named_objects(caption: str, phrases: LabelPhrases) -> set[str]:
    """Return the labels that a caption names.

    From left to right the longest phrase counts, and its words do not count again.

    Args:
        caption: A text.
        phrases: Of `object_phrases`.
    """
    return set(object_mentions(caption, phrases))


def object_mentions(caption: str, phrases: LabelPhrases) -> list[str]:
    """Return the label that each mention of an object in a caption names, as `named_objects` does.

    A label that is mentioned twice is there twice; a phrase that names two labels mentions both.
    """
    return phrase_mentions(split_words(caption), phrases)


def chair_mentions(caption: str, phrases: LabelPhrases) -> list[str]:
    """Return the class that each mention of an object in a caption names, by CHAIR's rules.

    Unlike `object_mentions` it leaves words with a hyphen together, and no "seat" of a caption with
    a "toilet" is a chair.

    Args:
        caption: A text.
        phrases: Of `chair_phrases`.
    """
    words = tokenize(caption)
    if not {"toilet", "toilets"}.isdisjoint(words):
        words = [word for word in words if word not in ("seat", "seats")]
    return phrase_mentions(words, phrases)


def phrase_mentions(words: Sequence[str], phrases: LabelPhrases) -> list[str]:
    """Return the label that each phrase in a caption's words names; the longest phrase counts."""
    return [label for labels in match_phrases(words, phrases) for label in sorted(labels)]


def hallucination_figures(
    captions: Sequence[str], labels: Sequence[Iterable[str]], classes: Collection[str]
) -> dict[str, float | None]:
    """Return how many captions name an object that their image shows, and one that it does not.

    Args:
        captions: The captions.
        labels: For each, the names of its image's classes.
        classes: All names of classes.

    Returns:
        `labelled_pictures`, how many images have labels, and in per cent of these:
        `names_an_object`; `names_an_object_but_person`, of the images with another label than
        person, because "a man" is right for nearly every image of people; and
        `names_an_absent_object`, a class that is none of the image's labels, synonyms included.
        They are None if there is no such image.
    """
    phrases = object_phrases(classes)
    labelled = [
        (named_objects(caption, phrases), set(image_labels))
        for caption, image_labels in zip(captions, labels)
        if image_labels
    ]
    without_person = [
        (named, image_labels - {"person"})
        for named, image_labels in labelled
        if image_labels - {"person"}
    ]
    return {
        "labelled_pictures": len(labelled),
        "names_an_object": _share([named & shown for named, shown in labelled]),
        "names_an_object_but_person": _share([named & shown for named, shown in without_person]),
        "names_an_absent_object": _share([named - shown for named, shown in labelled]),
    }


def chair_figures(
    captions: Sequence[str],
    labels: Sequence[Iterable[str]],
    classes: Collection[str],
    references: Sequence[Iterable[str]],
) -> dict[str, float | None]:
    """Return CHAIR's figures by its own list of synonyms, and by ours.

    An object is in an image if it is one of its labels or if a human caption names it. All captions
    count, also those of images without labels.

    Args:
        captions: The captions.
        labels: For each, the names of its image's classes.
        classes: All names of classes.
        references: For each, the human captions of its image.

    Returns:
        In per cent by CHAIR's list: `CHAIRs`, of all captions those that name an object that is not
        in the image; `CHAIRi`, of all mentions of objects those of an object that is not in the
        image; `object_recall`, of all objects in images those that the caption names. These three
        are left out if the list has none of the classes; labels that it does not have are no
        objects. Then the same by our own list, with `_own_words` behind their names. A figure is
        None where there is nothing to count.
    """
    figures: dict[str, float | None] = {}
    images = [
        (caption, set(names), texts) for caption, names, texts in zip(captions, labels, references)
    ]
    known = set(read_chair_synonyms())
    if not known.isdisjoint(classes):
        figures = _chair_rates(_chair_images(images, known), _mentions_by_chair())
    own = _chair_rates(images, _mentions_by_own_words(classes))
    return figures | {f"{name}_own_words": value for name, value in own.items()}


def absent_objects(
    captions: Sequence[str],
    labels: Sequence[Iterable[str]],
    classes: Collection[str],
    references: Sequence[Iterable[str]],
) -> list[list[str]]:
    """Return the objects that each caption names and that are not in its image, sorted.

    They are by CHAIR's list of synonyms, or by ours if that has none of the classes. The parameters
    are those of `chair_figures`, whose CHAIRs is the share of captions with such an object.
    """
    images: Sequence[ChairImage] = [
        (caption, set(names), texts) for caption, names, texts in zip(captions, labels, references)
    ]
    known = set(read_chair_synonyms())
    if known.isdisjoint(classes):
        mentions = _mentions_by_own_words(classes)
    else:
        images = _chair_images(images, known)
        mentions = _mentions_by_chair()
    return [
        sorted(set(mentions(caption)).difference(names, *map(mentions, texts)))
        for caption, names, texts in images
    ]


def clean_captions(
    captions: Sequence[str],
    labels: Sequence[Iterable[str]],
    classes: Collection[str],
    references: Sequence[Iterable[str]],
) -> list[bool]:
    """Return of each caption whether it names no object that is not in its image.

    The parameters are those of `absent_objects`.
    """
    return [not objects for objects in absent_objects(captions, labels, classes, references)]


def _chair_images(images: Sequence[ChairImage], known: set[str]) -> list[ChairImage]:
    """Return images with those of their labels that CHAIR's list has."""
    return [(caption, names & known, texts) for caption, names, texts in images]


def _mentions_by_chair() -> Callable[[str], list[str]]:
    return partial(chair_mentions, phrases=chair_phrases())


def _mentions_by_own_words(classes: Collection[str]) -> Callable[[str], list[str]]:
    return partial(object_mentions, phrases=object_phrases(classes))


def _chair_rates(
    images: Sequence[ChairImage], mentions: Callable[[str], list[str]]
) -> dict[str, float | None]:
    """Return the four figures of images, each with its caption, labels and references."""
    hallucinating = 0
    hallucinated = 0
    mentioned = 0
    recalled = 0
    present = 0
    recalled_labels = 0
    present_labels = 0
    for caption, image_labels, references in images:
        objects = image_labels.union(*map(mentions, references))
        named = mentions(caption)
        absent = [label for label in named if label not in objects]
        hallucinating += bool(absent)
        hallucinated += len(absent)
        mentioned += len(named)
        recalled += len(objects.intersection(named))
        present += len(objects)
        recalled_labels += len(image_labels.intersection(named))
        present_labels += len(image_labels)
    return {
        "CHAIRs": _ratio(hallucinating, len(images)),
        "CHAIRi": _ratio(hallucinated, mentioned),
        "object_recall": _ratio(recalled, present),
        "object_recall_labels": _ratio(recalled_labels, present_labels),
    }


def _share(objects: Sequence[set[str]]) -> float | None:
    """Return how many per cent of the sets have an object, None for no sets."""
    return _ratio(sum(map(bool, objects)), len(objects))


def _ratio(count: int, total: int) -> float | None:
    """Return `count` in per cent of `total`, None for a total of 0."""
    if not total:
        return None
    return percent(count / total)
