"""Which words a caption has for taught classes, measured on their pictures.

The captioner describes the pictures of every class. A class is spoken of by the word that its name
ends with, by the noun that its description begins with, or by words that the bundle uses of the
same thing as these, a cup of a mug; and by none that its captions do not have. (The word that is in
most captions of a class and in few others will not do: of chain saws and of fish, that is a man.)
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..bundle.archive import Contents
from ..errors import PicaptionError
from ..images import read_image
from ..recognition.recognizer import Recognizer
from .examples import LabelledPath
from .words.priors import split_words
from .words.prototypes import plain_name

#: The least share of a class's captions that have a word.
MIN_SHARE = 0.2
#: What ends the part of a description that says what a thing is, and not what it does.
_HEAD_END = re.compile(
    r"[,;:(]|\b(?:with|without|that|which|who|where|when|from|for|of|in|on|at|by|to|used|made)\b"
)
#: Plurals without an s: a class's name is that of one thing.
PLURALS = frozenset({"people", "men", "women", "children", "mice", "sheep", "cattle"})

#: The words of captions by class, a set for each picture.
CaptionWords = dict[str, list[frozenset[str]]]


def caption_images(recognizer: Recognizer, images: Iterable[LabelledPath]) -> CaptionWords:
    """Return the words of the captions of images; those that cannot be read are left out."""
    captions: CaptionWords = {}
    for label, path in images:
        try:
            image = read_image(path)
        except PicaptionError:
            continue
        caption = recognizer.caption(recognizer.encode(image))
        if caption is not None:
            captions.setdefault(label, []).append(frozenset(caption.words))
    return captions


def class_nouns(
    contents: Contents,
    labels: Sequence[str],
    captions: CaptionWords,
    descriptions: Mapping[str, str],
    before: Mapping[str, Sequence[str]] | None = None,
) -> tuple[tuple[str, ...], ...]:
    """Return the words of captions that each class is spoken of by, as Metadata.class_nouns.

    Args:
        contents: of the bundle that has captioned them.
        labels: the class names.
        captions: of `caption_images`.
        descriptions: of some of the classes.
        before: the words of classes that were taught before, which stay where there are no
            captions of them.
    """
    nouns = known_nouns(contents)
    chosen = []
    for label in labels:
        texts = captions.get(label, ())
        if not texts:
            chosen.append(tuple((before or {}).get(label, ())))
            continue
        counts = Counter(word for words in texts for word in words & nouns)
        same = same_thing(contents, label, descriptions.get(label, ""))
        shares = {word: counts[word] / len(texts) for word in same}
        frequent = [word for word in same if shares[word] >= MIN_SHARE]
        chosen.append(tuple(sorted(frequent, key=shares.__getitem__, reverse=True)))
    return tuple(chosen)


def known_nouns(contents: Contents) -> frozenset[str]:
    """Return the single words that a bundle uses of things, as far as its captioner knows them."""
    texts = [text for row in contents.metadata.object_words for text in row]
    for item in contents.names:
        texts += [item.name, *item.words, *item.hypernyms]
    words = {text.lower() for text in texts} - PLURALS
    if contents.vocabulary is None:
        return frozenset()
    known = words & contents.vocabulary.word_ids.keys()
    return frozenset(word for word in known if not known.intersection(_singulars(word)))


def _singulars(word: str) -> tuple[str, ...]:
    """Return what a word may be the plural of."""
    if not word.endswith("s"):
        return ()
    return word.removesuffix("s"), word.removesuffix("es")


def same_thing(contents: Contents, label: str, description: str = "") -> list[str]:
    """Return the words for what a class is, by the last word of its name and its description.

    Args:
        contents: of the bundle.
        label: the class name.
        description: what it is, in words; "" for nothing.
    """
    own = plain_name(label)
    names = [item for item in contents.names if plain_name(item.name) == own]
    name_words = split_words(label.replace("_", " "))[-1:]
    description_words = split_words(_HEAD_END.split(description.lower())[0])[-1:]
    same = dict.fromkeys([*name_words, *description_words])
    # What is a thing of its own as a whole may be none by its last word: a cassette player.
    for head in [*description_words, *([] if names else name_words)]:
        for row in contents.metadata.object_words:
            if head in row:
                same |= dict.fromkeys(row)
    for item in names:
        same |= dict.fromkeys(item.hypernyms)
    return list(same)
