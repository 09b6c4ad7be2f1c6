"""Whether a caption names objects that its image shows, and objects that it does not.

After CHAIR (Rohrbach et al., "Object hallucination in image captioning", EMNLP 2018), which counts
named objects that are absent, with a list of synonyms. The synonyms here are a list of our own for
the names of COCO's classes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..data.tokenizer import tokenize
from .metrics import percent

#: A phrase as a tuple of words, and the labels that it names.
Phrases = Mapping[tuple[str, ...], set[str]]

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
#: Irregular plurals.
PLURALS = {
    "person": "persons",
    "child": "children",
    "mouse": "mice",
    "goose": "geese",
    "sheep": "sheep",
    "ox": "oxen",
    "calf": "calves",
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


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of `text`, those with a hyphen apart."""
    return tuple(" ".join(tokenize(text)).replace("-", " ").split())


def object_phrases(labels: Collection[str]) -> Phrases:
    """Return the phrases that name objects, in the singular and the plural.

    Args:
        labels: Names of classes. Of those that are none of COCO's only the name itself counts.

    Returns:
        The labels that each phrase names. Phrases that name none of `labels` are there too, so that
        a hot dog is no dog.
    """
    phrases: dict[tuple[str, ...], set[str]] = {}

    known = set(labels)

    def add(phrase: str, named: set[str]) -> None:
        words = split_words(phrase)
        for form in {words, (*words[:-1], *map(plural, words[-1:]))} - {()}:
            phrases.setdefault(form, set()).update(named)

    for thing in OTHER_THINGS:
        add(thing, set())
    for animal in ANIMALS:
        add(f"baby {animal}", {animal} & known)
    for label in {*labels, *SYNONYMS}:
        for phrase in (label, *SYNONYMS.get(label, "").split(",")):
            add(phrase, {label} & known)
    return phrases


def named_objects(caption: str, phrases: Phrases) -> set[str]:
    """Return the labels that a caption names.

    From left to right the longest phrase counts, and its words do not count again.

    Args:
        caption: A text.
        phrases: Of `object_phrases`.
    """
    words = split_words(caption)
    longest = max(map(len, phrases), default=0)
    named: set[str] = set()
    start = 0
    while start < len(words):
        for length in range(longest, 0, -1):
            labels = phrases.get(words[start : start + length])
            if labels is not None:
                named |= labels
                start += length
                break
        else:
            start += 1
    return named


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
        `names_an_absent_object`, a class that is none of the image's labels, synonyms included
        (CHAIR by sentence). They are None if there is no such image.
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


def _share(objects: Sequence[set[str]]) -> float | None:
    """Return how many per cent of the sets have an object, None for no sets."""
    if not objects:
        return None
    return percent(sum(map(bool, objects)) / len(objects))
