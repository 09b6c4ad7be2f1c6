"""Data sets of pictures with captions or labels, from the layouts they are commonly found in.

Every reader gives the same records. What cannot be used is left out and named in `skipped`; a file that
does not hold what it should is an error with the line it stands in.
"""

import csv
import gzip
import io
import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from picaption.device.errors import PicaptionError
from picaption.device.images import IMAGE_SUFFIXES, read_image, resize


@dataclass(frozen=True)
class Record:
    """A picture with what people said of it: captions, or the names of its classes."""

    name: str
    path: Path
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Records, the class names in order, and a line "name: reason" for each picture or caption left out."""

    records: tuple[Record, ...]
    classes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def label_matrix(records, classes):
    """Return which of `classes` each of `records` has, float32 [N, classes] of 0 and 1."""
    return np.array([[name in record.labels for name in classes] for record in records], np.float32)


def read_captions(captions, images, split=None):
    """Read captions in Flickr8k's, Kaggle's or COCO's layout, told apart by content; returns a Dataset.

    captions: the captions file; images: the pictures' folder; split: a file with one picture name a line,
    or None for all. Raises PicaptionError on malformed input and where nothing is left.
    """
    text = read_text(captions, "captions")
    if text.lstrip().startswith("{"):
        told = read_coco(captions, text)
    elif text.partition("\n")[0].strip().lower().replace(" ", "") == "image,caption":
        told = read_kaggle(captions, text)
    else:
        told = read_flickr8k(captions, text)
    return collect(told, images, split, captions, "captions")


def read_flickr8k(path, text):
    """Return {picture: [caption, ...]} of Flickr8k.token.txt: `picture.jpg#number<TAB>caption`."""
    told = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        key, tab, caption = line.partition("\t")
        name, mark, _ = key.rpartition("#")
        if not tab or not mark or not name or not caption.strip():
            raise PicaptionError(
                f"{path}, line {number}: a line is picture.jpg#0, a tab, and a caption; "
                f"this one is {line[:60]!r}"
            )
        told.setdefault(name, []).append(caption.strip())
    return told


def read_kaggle(path, text):
    """Return {picture: [caption, ...]} of Kaggle's captions.txt: CSV with the header `image,caption`."""
    told, rows, line = {}, csv.reader(io.StringIO(text, newline=""), strict=True), 2
    try:
        next(rows)
        for row in rows:
            # Some captions hold commas without quotes.
            name, caption = "".join(row[:1]).strip(), " ".join(",".join(row[1:]).split())
            if row and not (name and caption):
                raise PicaptionError(
                    f"{path}, line {line}: a line is picture.jpg,caption; this one is "
                    f"{','.join(row)[:60]!r}"
                )
            if row:
                told.setdefault(name, []).append(caption)
            line = rows.line_num + 1
    except csv.Error as error:
        raise PicaptionError(
            f"{path}, line {line}: its quotation marks do not match ({error})"
        ) from None
    return told


def read_coco(path, text):
    """Return {picture: [caption, ...]} of COCO's captions JSON, with its `images` and `annotations`."""
    try:
        content = json.loads(text)
        names = {image["id"]: image["file_name"] for image in content["images"]}
        told = {name: [] for name in names.values()}
        for annotation in content["annotations"]:
            if annotation["caption"].strip():
                told[names[annotation["image_id"]]].append(annotation["caption"].strip())
        if not all(isinstance(name, str) for name in told):
            raise TypeError("a file_name that is no text")
    except json.JSONDecodeError as error:
        raise PicaptionError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise PicaptionError(f"{path}: its JSON is nested too deeply for COCO captions") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise PicaptionError(
            f"{path}: not in the layout of COCO captions (images with id and file_name, annotations "
            f"with image_id and caption): {type(error).__name__} {error}"
        ) from None
    return told


def read_labels(labels, images, split=None, classes=None):
    """Read a multi-label list, `picture<TAB>label,label` a line; returns a Dataset.

    classes: a file with one class name a line, in order; without it, all labels found, sorted.
    """
    named, order = {}, None
    if classes:
        order = tuple(
            name.strip() for name in read_text(classes, "classes").split("\n") if name.strip()
        )
    skipped = []
    for number, line in enumerate(read_text(labels, "labels").split("\n"), 1):
        if not line.strip():
            continue
        name, tab, rest = line.partition("\t")
        if not tab or not name.strip():
            raise PicaptionError(
                f"{labels}, line {number}: a line is picture.jpg, a tab, and label,label; "
                f"this one is {line[:60]!r}"
            )
        name, found = (
            name.strip(),
            tuple(label.strip() for label in rest.split(",") if label.strip()),
        )
        if order:
            skipped += [
                f"{name}: its label {label!r} is not among the classes"
                for label in found
                if label not in order
            ]
            found = tuple(label for label in found if label in order)
        named[name] = tuple(dict.fromkeys(named.get(name, ()) + found))
    order = order or tuple(sorted({label for found in named.values() for label in found}))
    return replace(collect(named, images, split, labels, "labels", tuple(skipped)), classes=order)


def add_labels(dataset, labelled):
    """Return the Dataset `dataset` with the labels and classes that the Dataset `labelled` has for its pictures.

    Raises PicaptionError where it has none for any of them.
    """
    found, names = (
        {record.name: record.labels for record in labelled.records},
        {each.name for each in dataset.records},
    )
    if not names & found.keys():
        raise PicaptionError(
            f"none of the {len(names)} pictures with captions has labels: "
            "check that --captions and --labels name the same pictures"
        )
    records = tuple(
        replace(record, labels=found.get(record.name, ())) for record in dataset.records
    )
    skipped = tuple(line for line in labelled.skipped if line.partition(": ")[0] in names)
    return Dataset(records, labelled.classes, dataset.skipped + skipped)


def read_text_captions(path):
    """Read captions without their pictures, `picture<TAB>label,label<TAB>caption` a line, gzipped or not; returns a
    tuple of Record, one a picture, with captions and labels and the name for a path."""
    captions, labels = {}, {}
    for number, line in enumerate(read_text(path, "captions").split("\n"), 1):
        if not line.strip():
            continue
        name, named, caption = [part.strip() for part in (line + "\t\t").split("\t")[:3]]
        if line.count("\t") != 2 or not name or not caption:
            raise PicaptionError(
                f"{path}, line {number}: a line is a picture's name, a tab, label,label, a tab, and a "
                f"caption; this one is {line[:60]!r}"
            )
        captions.setdefault(name, []).append(caption)
        labels[name] = tuple(label.strip() for label in named.split(",") if label.strip())
    return tuple(
        Record(name, Path(name), tuple(told), labels[name]) for name, told in captions.items()
    )


def read_folders(root):
    """Read class folders, `root/class_name/picture.jpg`; returns a Dataset with the classes sorted by name."""
    root = Path(root)
    if not root.is_dir():
        raise PicaptionError(f"{root}: there is no such folder of class folders; check the path")
    folders = sorted(
        path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    records, skipped = [], []
    for folder in folders:
        pictures = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        )
        if not pictures:
            skipped.append(f"{folder.name}: no pictures in this class folder")
        records += [
            Record(f"{folder.name}/{path.name}", path, (), (folder.name,)) for path in pictures
        ]
    classes = tuple(sorted({record.labels[0] for record in records}))
    if len(classes) < 2:
        raise PicaptionError(
            f"{root}: {len(classes)} class folder{'' if len(classes) == 1 else 's'} with pictures; "
            "a classifier needs at least two, one folder a class"
        )
    return Dataset(tuple(records), classes, tuple(skipped))


def read_mapping(path):
    """Read which labels of a model each class is, `class<TAB>label` a line; returns {class: [label, ...]}."""
    named = {}
    for number, line in enumerate(read_text(path, "mapping").split("\n"), 1):
        if not line.strip():
            continue
        name, label = [part.strip() for part in (line + "\t").split("\t")[:2]]
        if line.count("\t") != 1 or not name or not label:
            raise PicaptionError(
                f"{path}, line {number}: a line is a class, a tab, and a label of the model for it; this one "
                f"is {line[:60]!r}"
            )
        named.setdefault(name, []).append(label)
    return named


def read_names(path):
    """Return the lines of the file at `path`, without blank ones at its end, as a tuple."""
    return tuple(line.strip() for line in read_text(path, "names").rstrip().split("\n"))


def load_images(dataset, height, width, rule):
    """Return (Dataset, pictures uint8 [N, height, width, 3]) with the broken pictures dropped and named."""
    pictures = np.empty((len(dataset.records), height, width, 3), np.uint8)
    records, skipped = [], list(dataset.skipped)
    for record in dataset.records:
        try:
            pictures[len(records)] = resize(read_image(record.path), height, width, rule)
            records.append(record)
        except PicaptionError as error:
            skipped.append(f"{record.name}: {error}")
    if not records:
        raise PicaptionError(
            f"none of {len(dataset.records)} pictures can be read; the first: {skipped[0]}"
        )
    return replace(dataset, records=tuple(records), skipped=tuple(skipped)), pictures[
        : len(records)
    ]


def read_text(path, what):
    """Return the text of the file at `path`, gzipped where it ends in .gz; raises PicaptionError where it is missing,
    empty or no text."""
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if Path(path).suffix == ".gz" else data).decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise PicaptionError(
            f"{path}: cannot read the {what}: it is no whole gzip file; copy it again"
        ) from None
    except OSError as error:
        raise PicaptionError(
            f"{path}: cannot read the {what}: {error.strerror}; check the path"
        ) from None
    except UnicodeDecodeError:
        raise PicaptionError(f"{path}: the {what} are not UTF-8 text") from None
    if not text.strip():
        raise PicaptionError(f"{path}: the {what} file is empty")
    return text


def collect(told, images, split, source, what, skipped=()):
    """Return the Dataset of the pictures named in `told` (and in `split`, if given) that are in the folder `images`."""
    images, records, skipped = Path(images), [], list(skipped)
    if not images.is_dir():
        raise PicaptionError(f"{images}: there is no such folder of pictures; check the path")
    names = told
    if split:
        names = dict.fromkeys(
            line.strip() for line in read_text(split, "split list").split("\n") if line.strip()
        )
    for name in names:
        path = images / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise PicaptionError(
                f"{split or source}: the picture name {name!r} leads out of {images}; correct it"
            )
        if not told.get(name):
            skipped.append(f"{name}: it has no {what} in {source}")
        elif not path.is_file():
            skipped.append(f"{name}: there is no such picture in {images}")
        else:
            records.append(Record(name, path, **{what: tuple(told[name])}))
    if not records:
        raise PicaptionError(
            f"{split or source}: none of its {len(names)} pictures is in {images} with {what}; "
            f"the first: {(skipped or ['none'])[0]}"
        )
    return Dataset(tuple(records), (), tuple(skipped))
