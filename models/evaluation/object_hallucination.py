"""Whether a caption names objects that its picture shows, and others, by the words that people use for them.

After CHAIR, which counts objects that are named and not there with a list of synonyms (Rohrbach et al., "Object
hallucination in image captioning", EMNLP 2018). The words here are a list of our own for the names of COCO's classes.
"""

from ..data.tokenizer import tokenize
from .metrics import percent

#: What people call COCO's classes beside their names, in the singular, a comma between.
SYNONYMS = {
    "person": "people, man, woman, boy, girl, child, kid, baby, toddler, infant, guy, lady, gentleman, adult, "
    "teenager, someone, somebody, human, couple, crowd, audience, family, mother, father, mom, dad, "
    "son, daughter, brother, sister, friend, spectator, pedestrian, passenger, driver, rider, biker, "
    "cyclist, bicyclist, motorcyclist, player, batter, catcher, umpire, athlete, skier, snowboarder, "
    "skateboarder, skater, surfer, swimmer, runner, climber, hiker, jockey, cowboy, worker, officer, "
    "policeman, fireman, firefighter, soldier, fisherman, chef, waiter, student, teacher, tourist, "
    "performer, dancer, singer, musician, bride, groom, youth",
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
    "bird": "duck, goose, gull, seagull, pigeon, parrot, owl, eagle, hawk, swan, penguin, flamingo",
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
#: What holds an object's name and is something else.
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
#: Plurals that no rule gives.
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


def plural(word):
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


def words_of(text):
    """Return the words of `text` as a tuple, those with a hyphen apart."""
    return tuple(" ".join(tokenize(text)).replace("-", " ").split())


def phrases(labels):
    """Return {words: set of the labels that they name} for the names of classes and for what else they are called.

    The words are a tuple, in the singular and in the plural; those that name none of `labels` are there too,
    so that a hot dog is no dog. Of names that are none of COCO's only the name itself counts.
    """
    found = {}

    def add(phrase, label):
        words = words_of(phrase)
        for form in {words, (*words[:-1], *map(plural, words[-1:]))} - {()}:
            found.setdefault(form, set()).update({label} & set(labels))

    for thing in OTHER_THINGS:
        add(thing, None)
    for animal in ANIMALS:
        add(f"baby {animal}", animal)
    for label in {*labels, *SYNONYMS}:
        for phrase in (label, *SYNONYMS.get(label, "").split(",")):
            add(phrase, label)
    return found


def objects_named(caption, known):
    """Return the set of labels that `caption`, a text, names; known: what `phrases` gives.

    From left to right, the longest phrase counts and its words are not looked at again.
    """
    words, longest, start, named = words_of(caption), max(map(len, known), default=0), 0, set()
    while start < len(words):
        length = next(
            (size for size in range(longest, 0, -1) if words[start : start + size] in known), 0
        )
        named |= known.get(words[start : start + length], set())
        start += max(1, length)
    return named


def share_that_names_an_object(captions, labels, classes):
    """Return how many per cent of captions name an object that their picture shows, and one that it does not, as a dict.

    captions: a sequence of texts; labels: for each, the names of its picture's classes; classes: those that there are. The dict
    holds `labelled_pictures`, how many pictures have labels, and of these `names_an_object`; for nearly every picture
    of people "a man" is right, so `names_an_object_but_person` is the share that names another thing, of the
    pictures with another label than person. `names_an_absent_object` is the share that names a class which is none of the
    picture's labels, its synonyms included (CHAIR by sentence). All are None where there is no such picture.
    """
    known = phrases(classes)
    named = [objects_named(caption, known) for caption in captions]

    def share(hits):
        return percent(sum(map(bool, hits)) / len(hits)) if hits else None

    pairs = [(found, set(right)) for found, right in zip(named, labels) if right]
    return {
        "labelled_pictures": len(pairs),
        "names_an_object": share([found & right for found, right in pairs]),
        "names_an_object_but_person": share(
            [found & right - {"person"} for found, right in pairs if right - {"person"}]
        ),
        "names_an_absent_object": share([found - right for found, right in pairs]),
    }
