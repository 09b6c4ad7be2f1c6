"""Data sets of images with captions or labels, from the layouts in which they are published.

Every reader returns the same records. What cannot be used is left out and named in `skipped`; a
file that is not in its layout is an error that names the line.
"""

import csv
import errno
import gzip
import io
import logging
import os
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from picaption.device.atomic import MAX_TEXT_BYTES, read_file
from picaption.device.bundle.archive import need_readable
from picaption.device.bundle.names import parse_names
from picaption.device.errors import PicaptionError
from picaption.device.images import find_class_folders, find_images, read_image, resize
from picaption.device.parsing import MalformedError, parse_json

logger = logging.getLogger(__name__)

#: The captions, or the labels, of images by name.
TextsByImage = dict[str, list[str]]

_OTHER_SENSES = """
bar, bars, bee, board, bow, cap, cell, chain, chicken, cock, crane, dip, dish, door, feathers,
field, fish, fly, glass, gong, hair, hammer, head, horn, iron, jack, jay, kite, lens, leopard,
letter, lid, light, meat, mushroom, nail, paper, pen, person, pin, plant, pole, racer, ray, salmon,
scale, shade, shark, shell, spot, squash, stocking, swing, table, tank, teddy, tick, toy, trap,
turkey, wall, water, wheel
"""
_GENERAL_WORDS = """
animal, appliance, big cat, building, clothing, computer equipment, container, cosmetics, drink,
electronics, food, furniture, game bird, insect, kitchen appliance, kitchen tool, kitchenware,
machine, measuring instrument, musical instrument, office supplies, sea animal, shore, sports
equipment, structure, tableware, tool, toy dog, vehicle, wading bird, water bird
"""
#: Names by which no captions are borrowed: captions use them of something else (fish lies on
#: plates, light comes in, kites are on strings), or they say little of an image.
NOT_BORROWED_BY = frozenset(
    " ".join(name.split()) for name in f"{_OTHER_SENSES},{_GENERAL_WORDS}".split(",")
)

#: Names with the number of their line in front or, apart from them, behind.
_NUMBERED = (
    re.compile(r"(?P<number>\d{1,6})(?:\s*[,;:.)\t]\s*|\s+)(?P<name>\S.*)"),
    re.compile(r"(?P<name>.*\S)\s*[,;\t]\s*(?P<number>\d{1,6})"),
)
#: How much of a malformed line an error quotes.
_QUOTED = 60


@dataclass(frozen=True)
class Record:
    """An image with its captions, or the names of its classes.

    Attributes:
        name: Of the image in its data set.
        path: Of its file.
        captions: Sentences about it.
        labels: The names of its classes.
        borrowed: Whether the captions are those of other images.
        unknown: Classes of which nobody said whether the image has them.
        paraphrases: Captions of other images that say much the same as its own.
    """

    name: str
    path: Path
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    borrowed: bool = False
    unknown: tuple[str, ...] = ()
    paraphrases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Images with captions or labels.

    Attributes:
        records: One an image.
        classes: The names of the classes, in order.
        skipped: A line "name: reason" for each image or caption that is left out.
    """

    records: tuple[Record, ...]
    classes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        need_readable_names(self.classes, "the classes")


def need_readable_names(names: Iterable[str], source: str | Path) -> None:
    """Raise PicaptionError for a name that no bundle takes, such as one with control characters.

    Args:
        names: The names.
        source: Where they are from.
    """
    for name in names:
        try:
            need_readable(name)
        except ValueError as error:
            raise PicaptionError(f"{source}: {error}; rename it") from None


def label_matrix(records: Sequence[Record], classes: Sequence[str]) -> np.ndarray:
    """Return which of `classes` each of `records` has, float32 [N, classes] of 0 and 1.

    It is nan where that is unknown.
    """
    matrix = np.array(
        [[name in record.labels for name in classes] for record in records], np.float32
    )
    for row, record in zip(matrix, records):
        if record.unknown:
            row[[name in record.unknown for name in classes]] = np.nan
    return matrix


def read_captions(
    captions: str | Path, images: str | Path, split: str | Path | None = None
) -> Dataset:
    """Read captions in Flickr8k's, Kaggle's or COCO's layout, or from a table with tabs.

    The content tells them apart.

    Args:
        captions: The captions file.
        images: The folder of the images.
        split: A file with one image name a line; None for all images.

    Raises:
        PicaptionError: The input is malformed, or nothing is left.
    """
    skipped: list[str] = []
    texts = read_caption_texts(captions, skipped)
    return _collect(texts, images, split, captions, "captions", skipped)


def read_caption_texts(path: str | Path, skipped: list[str] | None = None) -> TextsByImage:
    """Return the captions in a file of any layout of read_captions, without looking for images.

    Args:
        path: The file.
        skipped: Gets a line for each caption that is left out.

    Raises:
        PicaptionError: The file is missing or malformed.
    """
    text = read_text(path, "captions")
    if text.lstrip().startswith("{"):
        return read_coco(path, text, skipped)
    header = text.partition("\n")[0].strip().lower()
    if header.replace(" ", "") == "image,caption":
        return read_kaggle(path, text)
    columns = header.split("\t")
    if "image" in columns and "caption" in columns:
        return read_table(path, text)
    return read_flickr8k(path, text)


def read_training_captions(
    captions: str | Path, images: str | Path, split: str | Path | None, evaluated: Dataset
) -> Dataset:
    """Read the captions of the images that a model was trained on.

    Args:
        captions: As for read_captions.
        images: Likewise.
        split: Likewise; None: all images that are not evaluated.
        evaluated: The images to evaluate.

    Raises:
        PicaptionError: Nothing is left, or the split has an image that is evaluated.
    """
    training = read_captions(captions, images, split)
    names = {record.name for record in evaluated.records}
    records = tuple(record for record in training.records if record.name not in names)
    if split and len(records) < len(training.records):
        raise PicaptionError(
            f"{split}: {len(training.records) - len(records)} of its pictures are among those to "
            "evaluate; list only pictures that are not"
        )
    if not records:
        raise PicaptionError(
            f"{captions}: it has no pictures but those to evaluate; give these with --split"
        )
    return replace(training, records=records)


def read_flickr8k(path: str | Path, text: str) -> TextsByImage:
    """Return the captions in Flickr8k.token.txt: `image.jpg#number<TAB>caption` a line.

    Args:
        path: The file, for errors.
        text: Its content.
    """
    texts: TextsByImage = {}
    for line_number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        key, tab, caption = line.partition("\t")
        name, mark, _ = key.rpartition("#")
        if not tab or not mark or not name or not caption.strip():
            raise PicaptionError(
                f"{path}, line {line_number}: a line is picture.jpg#0, a tab, and a caption; "
                f"this one is {line[:_QUOTED]!r}"
            )
        texts.setdefault(name, []).append(caption.strip())
    return texts


def read_kaggle(path: str | Path, text: str) -> TextsByImage:
    """Return the captions in Kaggle's captions.txt: CSV with the header `image,caption`.

    Args:
        path: The file, for errors.
        text: Its content.
    """
    texts: TextsByImage = {}
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    line_number = 2
    try:
        next(rows)
        for row in rows:
            if row:
                name = row[0].strip()
                # Some captions hold commas without quotes.
                caption = " ".join(",".join(row[1:]).split())
                if not (name and caption):
                    raise PicaptionError(
                        f"{path}, line {line_number}: a line is picture.jpg,caption; this one is "
                        f"{','.join(row)[:_QUOTED]!r}"
                    )
                texts.setdefault(name, []).append(caption)
            line_number = rows.line_num + 1
    except csv.Error as error:
        raise PicaptionError(
            f"{path}, line {line_number}: its quotation marks do not match ({error})"
        ) from None
    return texts


def read_table(path: str | Path, text: str) -> TextsByImage:
    """Return the captions in a table with tabs between its columns.

    Its first line names the columns; `image` and `caption` count.

    Args:
        path: The file, for errors.
        text: Its content.
    """
    header, *lines = text.split("\n")
    columns = header.strip().lower().split("\t")
    texts: TextsByImage = {}
    for line_number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        cells = dict(zip(columns, line.rstrip("\r").split("\t")))
        name = cells.get("image", "").strip()
        caption = cells.get("caption", "").strip()
        if not name or not caption:
            raise PicaptionError(
                f"{path}, line {line_number}: it has no image or no caption, in the columns of the "
                f"first line: {line[:_QUOTED]!r}"
            )
        texts.setdefault(name, []).append(caption)
    return texts


def read_coco(path: str | Path, text: str, skipped: list[str] | None = None) -> TextsByImage:
    """Return the captions in COCO's captions JSON, with its `images` and `annotations`.

    Args:
        path: The file, for errors.
        text: Its content.
        skipped: Gets a line for each image and annotation that is left out: one without a name or
            a caption, or of an image that is not listed.
    """
    try:
        content = parse_json(text)
    except MalformedError as error:
        line = f", line {error.line}" if error.line else ""
        raise PicaptionError(f"{path}{line}: not valid JSON: {error}") from None
    left_out: list[str] = []
    names: dict[int | str, str] = {}
    entries = _coco_entries(content, "images")
    for number, image in enumerate(entries, 1):
        identifier = _coco_value(image, "id", (int, str))
        name = _coco_value(image, "file_name", (str,))
        if identifier is None or not name:
            left_out.append(f"image {number} of {path}: it has no id or no file_name")
        else:
            names[identifier] = name
    texts: TextsByImage = {name: [] for name in names.values()}
    annotations = _coco_entries(content, "annotations")
    used = 0
    for number, annotation in enumerate(annotations, 1):
        identifier = _coco_value(annotation, "image_id", (int, str))
        caption = _coco_value(annotation, "caption", (str,))
        if identifier is None or identifier not in names:
            left_out.append(f"annotation {number} of {path}: its image_id is not among the images")
            continue
        if caption is None:
            left_out.append(f"annotation {number} of {path}: it has no caption")
            continue
        used += 1
        if caption.strip():
            texts[names[identifier]].append(caption.strip())
    if not names or (annotations and not used):
        raise PicaptionError(
            f"{path}: not in the layout of COCO captions (images with id and file_name, "
            f"annotations with image_id and caption): {(left_out or ['it has no images'])[0]}"
        )
    if skipped is not None:
        skipped += left_out
    return texts


def _coco_entries(content: Any, name: str) -> list[Any]:
    """Return a list of COCO's JSON; [] where there is none."""
    entries = content.get(name) if isinstance(content, dict) else None
    return entries if isinstance(entries, list) else []


def _coco_value(entry: Any, name: str, types: tuple[type, ...]) -> Any:
    """Return a value of one of COCO's images or annotations; None where it is of no such type."""
    value = entry.get(name) if isinstance(entry, dict) else None
    return value if isinstance(value, types) else None


def read_labels(
    labels: str | Path,
    images: str | Path,
    split: str | Path | None = None,
    classes: str | Path | None = None,
) -> Dataset:
    """Read a multi-label list, `image<TAB>label,label` a line.

    Args:
        labels: The list.
        images: The folder of the images.
        split: A file with one image name a line; None for all images.
        classes: A file with one class name a line, in order; None for all labels, sorted.

    Raises:
        PicaptionError: The input is malformed, or nothing is left.
    """
    order = None
    if classes:
        order = _split_labels(read_text(classes, "classes"), "\n")
    texts: dict[str, tuple[str, ...]] = {}
    skipped: list[str] = []
    for line_number, line in enumerate(read_text(labels, "labels").split("\n"), 1):
        if not line.strip():
            continue
        name, tab, rest = line.partition("\t")
        name = name.strip()
        if not tab or not name:
            raise PicaptionError(
                f"{labels}, line {line_number}: a line is picture.jpg, a tab, and label,label; "
                f"this one is {line[:_QUOTED]!r}"
            )
        names = _split_labels(rest, ",")
        if order:
            unknown = [label for label in names if label not in order]
            skipped += [
                f"{name}: its label {label!r} is not among the classes" for label in unknown
            ]
            names = tuple(label for label in names if label in order)
        texts[name] = tuple(dict.fromkeys(texts.get(name, ()) + names))
    if not order:
        order = tuple(sorted({label for names in texts.values() for label in names}))
    dataset = _collect(texts, images, split, labels, "labels", skipped)
    return replace(dataset, classes=order)


def read_identifiers(labels: str | Path, images: str | Path, identifiers: Sequence[str]) -> Dataset:
    """Read a list of photographs of one class each, `image<TAB>identifier` a line.

    Args:
        labels: The list; further columns are comments.
        images: The folder of the images.
        identifiers: Those of all classes (picaption.device.bundle.names.NamedClass).

    Returns:
        Records whose one label is the identifier.

    Raises:
        PicaptionError: The input is malformed, or nothing is left.
    """
    known = frozenset(identifiers)
    texts: dict[str, tuple[str, ...]] = {}
    skipped: list[str] = []
    for line_number, line in enumerate(read_text(labels, "labels").split("\n"), 1):
        if not line.strip():
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) < 2 or not columns[0] or not columns[1]:
            raise PicaptionError(
                f"{labels}, line {line_number}: a line is picture.jpg, a tab, and the identifier "
                f"of a name; this one is {line[:_QUOTED]!r}"
            )
        name, identifier = columns[:2]
        if identifier in known:
            texts[name] = (identifier,)
        else:
            skipped.append(f"{name}: no name has the identifier {identifier[:_QUOTED]!r}")
    dataset = _collect(texts, images, None, labels, "labels", skipped)
    return replace(dataset, classes=tuple(identifiers))


def read_partly_labelled(folder: str | Path, classes: Sequence[str]) -> Dataset:
    """Read images that were labelled with some of the classes only.

    Args:
        folder: With `images`, `labels.tsv` as for read_labels, and `classes_known.txt`, a line for
            each class that the images were labelled with.
        classes: All classes, in order.

    Returns:
        The images; of the other classes it is unknown whether they have them.

    Raises:
        PicaptionError: The input is malformed, or nothing is left.
    """
    folder = Path(folder)
    path = folder / "classes_known.txt"
    known = set(_split_labels(read_text(path, "classes"), "\n"))
    if not known.issubset(classes):
        raise PicaptionError(
            f"{path}: {sorted(known.difference(classes))[0]!r} is none of the {len(classes)} "
            "classes; correct it, or leave the line out"
        )
    dataset = read_labels(folder / "labels.tsv", folder / "images")
    unknown = tuple(name for name in classes if name not in known)
    records = tuple(
        replace(
            record,
            labels=tuple(label for label in record.labels if label in known),
            unknown=unknown,
        )
        for record in dataset.records
    )
    return replace(dataset, records=records, classes=tuple(classes))


def _split_labels(text: str, separator: str) -> tuple[str, ...]:
    """Return the names between separators, without blank ones."""
    return tuple(label.strip() for label in text.split(separator) if label.strip())


def add_labels(dataset: Dataset, labelled: Dataset) -> Dataset:
    """Return a Dataset with the labels and classes that another has for its images.

    Args:
        dataset: Images with captions.
        labelled: Images with labels, the same and perhaps more.

    Raises:
        PicaptionError: None of the images has labels.
    """
    labels = {record.name: record.labels for record in labelled.records}
    names = {record.name for record in dataset.records}
    if names.isdisjoint(labels):
        raise PicaptionError(
            f"none of the {len(names)} pictures with captions has labels: "
            "check that --captions and --labels name the same pictures"
        )
    records = tuple(
        replace(record, labels=labels.get(record.name, ())) for record in dataset.records
    )
    skipped = tuple(line for line in labelled.skipped if line.partition(": ")[0] in names)
    return Dataset(records, labelled.classes, dataset.skipped + skipped)


def read_text_captions(path: str | Path) -> tuple[Record, ...]:
    """Read captions without their images, `image<TAB>label,label<TAB>caption` a line.

    Args:
        path: The file, gzipped if it ends in .gz.

    Returns:
        One Record an image, with captions and labels, and the name for a path.

    Raises:
        PicaptionError: The file is missing or malformed.
    """
    captions: TextsByImage = {}
    labels: dict[str, tuple[str, ...]] = {}
    for line_number, line in enumerate(read_text(path, "captions").split("\n"), 1):
        if not line.strip():
            continue
        name, names, caption = [part.strip() for part in (line + "\t\t").split("\t")[:3]]
        if line.count("\t") != 2 or not name or not caption:
            raise PicaptionError(
                f"{path}, line {line_number}: a line is a picture's name, a tab, label,label, a "
                f"tab, and a caption; this one is {line[:_QUOTED]!r}"
            )
        captions.setdefault(name, []).append(caption)
        labels[name] = _split_labels(names, ",")
    return tuple(
        Record(name, Path(name), tuple(texts), labels[name]) for name, texts in captions.items()
    )


def read_unlabelled_captions(path: str | Path) -> TextsByImage:
    """Read captions without their images, `image<TAB>source<TAB>caption` a line.

    Args:
        path: The file, gzipped if it ends in .gz.

    Returns:
        The captions by the image's name; the source, such as human, does not count.

    Raises:
        PicaptionError: The file is missing or malformed.
    """
    records = read_text_captions(path)
    return {record.name: list(record.captions) for record in records}


def read_named_images(
    names: str | Path, images: str | Path, words: Mapping[str, Sequence[str]] | None = None
) -> Dataset:
    """Read images that have a name each and no captions, `image<TAB>id<TAB>name, name` a line.

    Args:
        names: The list; the id is that of the name, such as WordNet's.
        images: The folder of the images.
        words: What people call what has an id, the best word first; an id without words has no
            name. None takes the list's names.

    Returns:
        The images, the names among the labels of each.

    Raises:
        PicaptionError: The list is missing or malformed, or nothing is left.
    """
    texts: dict[str, tuple[str, ...]] = {}
    for line_number, line in enumerate(read_text(names, "names").split("\n"), 1):
        if not line.strip():
            continue
        name, identifier, rest = [part.strip() for part in (line + "\t\t").split("\t")[:3]]
        if line.count("\t") != 2 or not name or not identifier or not rest:
            raise PicaptionError(
                f"{names}, line {line_number}: a line is picture.jpg, a tab, an id, a tab, and "
                f"name, name; this one is {line[:_QUOTED]!r}"
            )
        texts[name] = _split_labels(rest, ",")
        if words is not None:
            texts[name] = tuple(words.get(identifier, ()))
    return _collect(texts, images, None, names, "labels")


def read_borrowing_words(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Read by which words of a file of names images may borrow captions.

    Args:
        path: Lines as of picaption.device.bundle.names.

    Returns:
        The words of each identifier, without NOT_BORROWED_BY.

    Raises:
        PicaptionError: The file is missing or malformed.
    """
    try:
        names = parse_names(read_text(path, "names"))
    except ValueError as error:
        raise PicaptionError(f"{path}: {error}") from None
    return {
        item.identifier: tuple(word for word in item.words if word not in NOT_BORROWED_BY)
        for item in names
    }


def read_folders(root: str | Path) -> Dataset:
    """Read class folders, `root/class_name/image.jpg`, as a Dataset with sorted classes.

    Raises:
        PicaptionError: There are no two folders with images.
    """
    root = Path(root)
    if not root.is_dir():
        raise PicaptionError(f"{root}: there is no such folder of class folders; check the path")
    records: list[Record] = []
    skipped = []
    for folder in find_class_folders(root):
        paths = find_images(folder)
        if not paths:
            skipped.append(f"{folder.name}: no pictures in this class folder")
        for path in paths:
            records.append(Record(f"{folder.name}/{path.name}", path, (), (folder.name,)))
    classes = tuple(sorted({record.labels[0] for record in records}))
    if len(classes) < 2:
        plural = "" if len(classes) == 1 else "s"
        raise PicaptionError(
            f"{root}: {len(classes)} class folder{plural} with pictures; "
            "a classifier needs at least two, one folder a class"
        )
    return Dataset(tuple(records), classes, tuple(skipped))


def read_mapping(path: str | Path) -> dict[str, list[str]]:
    """Read which labels of a model each class is, `class<TAB>label` a line.

    Raises:
        PicaptionError: The file is missing or malformed.
    """
    mapping: dict[str, list[str]] = {}
    for line_number, line in enumerate(read_text(path, "mapping").split("\n"), 1):
        if not line.strip():
            continue
        name, label = [part.strip() for part in (line + "\t").split("\t")[:2]]
        if line.count("\t") != 1 or not name or not label:
            raise PicaptionError(
                f"{path}, line {line_number}: a line is a class, a tab, and a label of the model "
                f"for it; this one is {line[:_QUOTED]!r}"
            )
        mapping.setdefault(name, []).append(label)
    return mapping


def read_names(path: str | Path) -> tuple[str, ...]:
    """Return the names in a file, one a line, without blank ones at its end.

    Numbers of the lines are taken off as without_line_numbers has it.
    """
    lines = read_text(path, "names").rstrip().split("\n")
    names = without_line_numbers(tuple(line.strip() for line in lines), path)
    need_readable_names(names, path)
    return names


def without_line_numbers(names: tuple[str, ...], source: str | Path) -> tuple[str, ...]:
    """Return names without the numbers that stand on their lines, and log that.

    "0 red", "1: red" and "red,0" are so: a number from 0 or 1 on, once each. They order the names.
    Numbers that are otherwise belong to the names, and are logged as such.

    Args:
        names: One a line.
        source: Where they are from, for the log.
    """
    for pattern in _NUMBERED:
        matches = [pattern.fullmatch(name) for name in names]
        numbered = {int(match["number"]): match["name"] for match in matches if match}
        if len(names) < 2 or None in matches:
            continue
        first = min(numbered)
        is_complete = first in (0, 1) and sorted(numbered) == list(range(first, first + len(names)))
        ordered = tuple(numbered[number] for number in sorted(numbered))
        if not is_complete or len(set(ordered)) < len(ordered):
            logger.warning(
                "%s: every name has a number (%r), which is not that of its line: it stays part of "
                "the name",
                source,
                names[0],
            )
            return names
        logger.warning(
            "%s: the numbers on its lines are taken off: %r is called %r",
            source,
            names[0],
            numbered[int(matches[0]["number"])] if matches[0] else "",
        )
        return ordered
    return names


def load_images(
    dataset: Dataset, height: int, width: int, resize_rule: str
) -> tuple[Dataset, np.ndarray]:
    """Read and resize the images of a Dataset.

    Args:
        dataset: Its records' paths are read.
        height: Rows of pixels.
        width: Columns of pixels.
        resize_rule: As picaption.device.images.resize takes it.

    Returns:
        The Dataset without broken images, which are in `skipped`, and the images,
        uint8 [N, height, width, 3].

    Raises:
        PicaptionError: No image can be read.
    """
    images = np.empty((len(dataset.records), height, width, 3), np.uint8)
    records: list[Record] = []
    skipped = list(dataset.skipped)
    for record in dataset.records:
        try:
            images[len(records)] = resize(read_image(record.path), height, width, resize_rule)
            records.append(record)
        except PicaptionError as error:
            skipped.append(f"{record.name}: {error}")
    if not records:
        raise PicaptionError(
            f"none of {len(dataset.records)} pictures can be read; the first: {skipped[0]}"
        )
    readable = replace(dataset, records=tuple(records), skipped=tuple(skipped))
    return readable, images[: len(records)]


def _unpack(data: bytes) -> bytes:
    """Return what gzip has packed; raises OSError if it is more than a text may have."""
    with gzip.open(io.BytesIO(data)) as file:
        unpacked = file.read(MAX_TEXT_BYTES + 1)
    if len(unpacked) > MAX_TEXT_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MAX_TEXT_BYTES >> 20} MB unpacked")
    return unpacked


def read_text(path: str | Path, content: str) -> str:
    """Return the text of a file, unpacked if its name ends in .gz.

    Args:
        path: The file.
        content: What it holds, for errors.

    Raises:
        PicaptionError: It is missing, empty or no text.
    """
    try:
        data = read_file(path, MAX_TEXT_BYTES)
        if Path(path).suffix == ".gz":
            data = _unpack(data)
        text = data.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise PicaptionError(
            f"{path}: cannot read the {content}: it is not a whole gzip file; copy it again"
        ) from None
    except OSError as error:
        raise PicaptionError(
            f"{path}: cannot read the {content}: {error.strerror}; check the path"
        ) from None
    except UnicodeDecodeError:
        raise PicaptionError(f"{path}: the {content} are not UTF-8 text") from None
    if not text.strip():
        raise PicaptionError(f"{path}: the {content} file is empty")
    return text


def _collect(
    texts: Mapping[str, Sequence[str]],
    images: str | Path,
    split: str | Path | None,
    source: str | Path,
    field: str,
    skipped: Sequence[str] = (),
) -> Dataset:
    """Return the Dataset of the images with texts that are in the folder `images`.

    Args:
        texts: Captions or labels by image.
        images: The folder of the images.
        split: A file with one image name a line; None for all of `texts`.
        source: The file of the texts, for errors.
        field: The field of Record that they go into.
        skipped: What was left out before.
    """
    images = Path(images)
    if not images.is_dir():
        raise PicaptionError(f"{images}: there is no such folder of pictures; check the path")
    if not os.access(images, os.X_OK):
        raise PicaptionError(f"{images}: its pictures cannot be read; check its permissions")
    names = list(texts)
    if split:
        names = list(dict.fromkeys(_split_labels(read_text(split, "split list"), "\n")))
    records: list[Record] = []
    left_out = list(skipped)
    for name in names:
        path = images / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise PicaptionError(
                f"{split or source}: the picture name {name!r} leads out of {images}; correct it"
            )
        if not texts.get(name):
            left_out.append(f"{name}: it has no {field} in {source}")
        elif not os.path.isfile(path):  # Path.is_file raises for a name that is too long.
            left_out.append(f"{name}: there is no such picture in {images}")
        else:
            values: dict[str, Any] = {field: tuple(texts[name])}
            records.append(Record(name, path, **values))
    if not records:
        raise PicaptionError(
            f"{split or source}: none of its {len(names)} pictures is in {images} with {field}; "
            f"the first: {(left_out or ['none'])[0]}"
        )
    return Dataset(tuple(records), (), tuple(left_out))
