"""Images of classes, one folder a class, and what a bundle makes of them."""

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..atomic import read_file
from ..errors import PicaptionError
from ..images import find_class_folders, find_images, list_images, read_image
from ..recognition.recognizer import Recognizer
from ..recognition.stopwatch import Stopwatch

#: Images that a class must have: one to be held out, and two to learn from.
MIN_IMAGES_PER_CLASS = 3
#: The longest name of a class, in characters.
MAX_NAME_LENGTH = 60

#: The folder of pictures that show none of the classes (picaption.device.teaching.gate).
NONE_OF_THESE = "none of these"

#: An image and its class: (class name, path).
LabelledPath = tuple[str, Path]


def always_needs_images(label: str) -> bool:
    """Return True: a class needs images, whatever it is called."""
    return True


@dataclass(frozen=True)
class Example:
    """What a bundle makes of an image.

    Attributes:
        features: float32 [F].
        word_evidence: float32 [V]; None without a captioner.
        silent: whether there is nothing to see in it, as the bundle has it.
    """

    features: np.ndarray
    word_evidence: np.ndarray | None
    silent: bool


@dataclass(frozen=True)
class ClassExamples:
    """What a bundle makes of N images of C classes.

    Attributes:
        labels: the class names.
        paths: of the images.
        truth: float32 [N, C] of 0 and 1.
        features: float32 [N, F].
        word_evidence: float32 [N, V]; None without a captioner.
        skipped: a line for each image that cannot be read.
        silent: whether there is nothing to see in one of them, as the bundle has it.
    """

    labels: tuple[str, ...]
    paths: tuple[Path, ...]
    truth: np.ndarray
    features: np.ndarray
    word_evidence: np.ndarray | None
    skipped: tuple[str, ...]
    silent: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of images by class."""
        return dict(zip(self.labels, self.truth.sum(0).astype(int).tolist()))


@dataclass(frozen=True)
class OtherImages:
    """What a bundle makes of N images that show none of the classes.

    Attributes:
        features: float32 [N, F].
        word_evidence: float32 [N, V]; None without a captioner.
    """

    features: np.ndarray
    word_evidence: np.ndarray | None


def join_images(parts: Sequence[OtherImages]) -> OtherImages:
    """Return the images of all parts; without word evidence if one has none."""
    evidence = [part.word_evidence for part in parts if part.word_evidence is not None]
    return OtherImages(
        np.concatenate([part.features for part in parts]),
        np.concatenate(evidence) if len(evidence) == len(parts) else None,
    )


def extract_features(
    recognizer: Recognizer, labels: tuple[str, ...], images: Iterable[LabelledPath]
) -> ClassExamples:
    """Return the ClassExamples of `images`, the classes of which are among `labels`.

    Raises:
        PicaptionError: none of the images can be read.
    """
    usable = []
    examples = []
    skipped = []
    for label, path in images:
        try:
            examples.append(extract_example(recognizer, read_image(path)))
        except PicaptionError as error:
            skipped.append(str(error))
            continue
        usable.append((label, path))
    if not usable:
        raise PicaptionError(
            f"none of {len(skipped)} pictures can be read; the first: {skipped[0]}"
        )
    return stack_examples(labels, usable, examples, skipped)


def extract_example(recognizer: Recognizer, image: np.ndarray) -> Example:
    """Return the Example of an image, uint8 RGB [height, width, 3]."""
    prepared, silence = recognizer.look(image, Stopwatch())
    encoded = recognizer.encode_prepared(prepared, Stopwatch())
    evidence = recognizer.word_evidence(encoded)
    return Example(encoded.features[0], evidence, silence is not None)


def stack_examples(
    labels: tuple[str, ...],
    images: Sequence[LabelledPath],
    examples: Sequence[Example],
    skipped: Sequence[str] = (),
) -> ClassExamples:
    """Return the ClassExamples of images whose Examples are known.

    Args:
        labels: the class names.
        images: one or more.
        examples: theirs.
        skipped: a line for each image that cannot be read.
    """
    class_ids = [labels.index(label) for label, _ in images]
    evidence = [example.word_evidence for example in examples if example.word_evidence is not None]
    return ClassExamples(
        labels=labels,
        paths=tuple(path for _, path in images),
        truth=np.eye(len(labels), dtype=np.float32)[class_ids],
        features=np.stack([example.features for example in examples]),
        word_evidence=np.stack(evidence) if evidence else None,
        skipped=tuple(skipped),
        silent=any(example.silent for example in examples),
    )


def split_negatives(examples: ClassExamples) -> tuple[ClassExamples, OtherImages]:
    """Take the pictures that show none of the classes out of the examples.

    Returns:
        The ClassExamples without NONE_OF_THESE, and its images.
    """
    is_negative = np.zeros(len(examples.features), bool)
    labels = examples.labels
    truth = examples.truth
    if NONE_OF_THESE in labels:
        none_id = labels.index(NONE_OF_THESE)
        is_negative = truth[:, none_id] > 0
        labels = tuple(label for label in labels if label != NONE_OF_THESE)
        truth = np.delete(truth, none_id, axis=1)
    evidence = examples.word_evidence
    classes = replace(
        examples,
        labels=labels,
        paths=tuple(examples.paths[row] for row in np.flatnonzero(~is_negative)),
        truth=truth[~is_negative],
        features=examples.features[~is_negative],
        word_evidence=None if evidence is None else evidence[~is_negative],
    )
    negatives = OtherImages(
        examples.features[is_negative], None if evidence is None else evidence[is_negative]
    )
    return classes, negatives


def find_class_images(
    folder: str | Path | None,
    described: Iterable[str] = (),
    needs_images: Callable[[str], bool] = always_needs_images,
    least_classes: int = 2,
) -> tuple[tuple[str, ...], list[LabelledPath], list[str]]:
    """Find the images in the class folders in `folder`; an image that is twice in one counts once.

    Args:
        folder: a folder with a folder of images for each class; None without images.
        described: names of classes that may have no folder.
        needs_images: returns whether a class of this name needs images.
        least_classes: how many classes there have to be.

    Returns:
        The class names, the images, and lines that say what was left out.

    Raises:
        PicaptionError: there are too few classes, a class has too few images, a folder has
            no valid class name, or two classes have the same image.
    """
    if folder is not None and not Path(folder).is_dir():
        raise PicaptionError(
            f"there is no folder {folder}; give one that has a folder of pictures for each class"
        )
    paths = {}
    if folder is not None:
        paths = {class_name(path): path for path in find_class_folders(folder)}
    labels = sorted({*paths, *described})
    class_count = len({*labels} - {NONE_OF_THESE})
    if class_count < least_classes:
        raise PicaptionError(_too_few_classes(folder, class_count))
    images: list[LabelledPath] = []
    skipped = []
    first_use: dict[bytes, LabelledPath] = {}
    for label in labels:
        for path in _class_images(paths.get(label), needs_images(label)):
            first_label, first_path = first_use.setdefault(file_hash(path), (label, path))
            if first_label != label:
                raise PicaptionError(
                    f"{path} is the same picture as {first_path}: "
                    "take it out of one of the two classes"
                )
            if first_path != path:
                skipped.append(f"{path} is the same picture as {first_path}")
            else:
                images.append((label, path))
    require_enough_images(folder, count_images(labels, images), needs_images)
    return tuple(labels), images, skipped


def _too_few_classes(folder: str | Path | None, count: int) -> str:
    """Return what is wrong with a folder of fewer than two classes."""
    if folder is None:
        return f"--describe names {count} class; it takes two or more, or a folder of pictures"
    folders = "class folder" if count == 1 else "class folders"
    return (
        f"{folder} has {count} {folders}; it takes two or more, a folder of pictures for each class"
    )


def _class_images(folder: Path | None, needs_images: bool) -> list[Path]:
    """Return the paths of the images of a class, which may have no folder."""
    if folder is None:
        return []
    return list_images(folder) if needs_images else find_images(folder)


def count_images(labels: Sequence[str], images: Sequence[LabelledPath]) -> dict[str, int]:
    """Return the number of images by class."""
    counts = dict.fromkeys(labels, 0)
    for label, _ in images:
        counts[label] += 1
    return counts


def file_hash(path: str | Path) -> bytes:
    """Return the SHA-256 of the file at `path`: equal for the same image."""
    try:
        return hashlib.sha256(read_file(path)).digest()
    except OSError as error:
        raise PicaptionError(
            f"{path} cannot be read ({error.strerror}); check its permissions"
        ) from None


def class_name(path: Path) -> str:
    """Return the name of the class whose folder is at `path`.

    Raises:
        PicaptionError: the folder's name cannot be that of a class.
    """
    name = path.name
    is_valid = name.strip() and len(name) <= MAX_NAME_LENGTH
    if not is_valid or any(unicodedata.category(letter)[0] == "C" for letter in name):
        raise PicaptionError(
            f"{str(path)!r}: a class is named by its folder, in 1 to {MAX_NAME_LENGTH} characters "
            "without control characters; rename it"
        )
    return name


def require_enough_images(
    folder: str | Path | None,
    counts: dict[str, int],
    needs_images: Callable[[str], bool] = always_needs_images,
) -> None:
    """Raise PicaptionError if a class has too few images.

    Args:
        folder: where the classes are; None: they are named by the command line alone.
        counts: images by class.
        needs_images: returns whether a class of this name needs images.
    """
    few = [
        f"{label} has {count}"
        for label, count in counts.items()
        if count < MIN_IMAGES_PER_CLASS and needs_images(label)
    ]
    if not few:
        return
    advice = ""
    if needs_images is not always_needs_images:
        advice = "; or --describe it in words that the bundle knows, such as names of things"
    raise PicaptionError(
        f"{folder or 'teach'}: a class takes {MIN_IMAGES_PER_CLASS} different pictures or more: "
        f"{', '.join(few)}{advice}"
    )
