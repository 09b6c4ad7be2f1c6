"""The options that say which images with captions or labels a model is measured on.

`picaption evaluate`, `picaption convert` and `python -m picaption.models.evaluation.caption_study`
declare them here and read them as one DataSelection.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picaption.device.cli import PathType
from picaption.device.errors import PicaptionError

if TYPE_CHECKING:
    from .data.readers import Dataset

#: Types of options that take a path.
FILE = PathType(dir_okay=False, path_type=Path)
FOLDER = PathType(file_okay=False, path_type=Path)

#: The type of an option's value, and its help.
_OPTIONS: dict[str, tuple[click.ParamType, str]] = {
    "captions": (
        FILE,
        "Captions file: Flickr8k.token.txt, Kaggle's captions.txt, COCO's JSON, or a table.",
    ),
    "labels": (FILE, "Multi-label list: picture, tab, label,label."),
    "folders": (FOLDER, "Class folders: one folder of pictures a class."),
    "images": (FOLDER, "Folder of the pictures that --captions or --labels name."),
    "split": (FILE, "Only the pictures listed in this file, one a line."),
    "classes": (FILE, "The class names of --labels, one a line."),
    "names": (FILE, "Photographs of MODEL's names: picture, tab, identifier."),
    "mapping": (FILE, "Which labels of MODEL each class folder is: folder, tab, label."),
    "limit": (click.IntRange(1), "Only the first pictures."),
    "training": (
        FILE,
        "Captions file of the training pictures, for the share of captions that are new and for "
        "the score of copying.",
    ),
    "training_split": (
        FILE,
        "The training pictures, one a line.  [default: all of --training that are not evaluated]",
    ),
    "training_images": (FOLDER, "Folder of the training pictures.  [default: --images]"),
}
#: The options that select data, and those that select what a captioner was trained on.
SELECTION = ("captions", "labels", "folders", "images", "split", "classes", "mapping", "limit")
TRAINING = ("training", "training_split", "training_images")


@dataclass(frozen=True)
class DataSelection:
    """The values of the data options; None where an option is not given."""

    captions: Path | None = None
    labels: Path | None = None
    folders: Path | None = None
    names: Path | None = None
    images: Path | None = None
    split: Path | None = None
    classes: Path | None = None
    mapping: Path | None = None
    limit: int | None = None
    training: Path | None = None
    training_split: Path | None = None
    training_images: Path | None = None

    @property
    def has_source(self) -> bool:
        """Whether --captions, --labels or --folders name the data."""
        return bool(self.captions or self.labels or self.folders)


def data_options(*names: str, **help_texts: str) -> Callable[[Callable], Callable]:
    """Return the decorator that declares data options and passes them on as one argument, `data`.

    Args:
        names: Fields of DataSelection, such as *SELECTION.
        help_texts: Replace the help of the options of these names.
    """

    def decorate(command: Callable) -> Callable:
        @functools.wraps(command)
        def with_selection(*arguments: Any, **parameters: Any) -> Any:
            data = DataSelection(**{name: parameters.pop(name) for name in names})
            return command(*arguments, data=data, **parameters)

        decorated: Callable = with_selection
        for name in reversed(names):
            param_type, default_help = _OPTIONS[name]
            option = click.option(
                "--" + name.replace("_", "-"),
                name,
                type=param_type,
                help=help_texts.get(name, default_help),
            )
            decorated = option(decorated)
        return decorated

    return decorate


def check_mapping(data: DataSelection) -> None:
    """Raise PicaptionError where --mapping has no class folders to map."""
    if data.mapping and not data.folders:
        raise PicaptionError("--mapping goes with --folders")


def check_selection(data: DataSelection, with_gallery: bool = False) -> None:
    """Raise PicaptionError where data options do not go together.

    Args:
        data: The options' values.
        with_gallery: Whether --gallery asks for a page of captions.
    """
    if data.names:
        if data.captions or data.labels or data.folders:
            raise PicaptionError("--names measures the names alone: give no other data with it")
        if data.split or data.classes or data.mapping:
            raise PicaptionError("--split, --classes and --mapping do not go with --names")
    elif bool(data.folders) == bool(data.captions or data.labels):
        raise PicaptionError(
            "give the data by one of --captions, --labels and --folders, or by --captions and "
            "--labels"
        )
    if data.folders and (data.images or data.split or data.classes):
        raise PicaptionError(
            "--images, --split and --classes go with --captions or --labels: "
            "folders need none of them"
        )
    if not data.folders and not data.images:
        raise PicaptionError("give the folder of the pictures with --images")
    if (data.training or with_gallery) and not data.captions:
        raise PicaptionError("--training and --gallery are about captions: give --captions")
    if (data.training_split or data.training_images) and not data.training:
        raise PicaptionError(
            "--training-split and --training-images go with --training: give the captions file "
            "there"
        )
    check_mapping(data)


def read_selection(data: DataSelection) -> tuple[Dataset, Dataset | None]:
    """Read the data that options select.

    Args:
        data: The options' values, as check_selection lets them pass.

    Returns:
        The Dataset to measure on, and that of --training or None.

    Raises:
        PicaptionError: A file or folder is missing or malformed, or nothing is left.
    """
    from .data import readers

    training = None
    if data.captions:
        assert data.images is not None
        dataset = readers.read_captions(data.captions, data.images, data.split)
        if data.labels:
            labelled = readers.read_labels(data.labels, data.images, None, data.classes)
            dataset = readers.add_labels(dataset, labelled)
        if data.training:
            training = readers.read_training_captions(
                data.training, data.training_images or data.images, data.training_split, dataset
            )
    elif data.labels:
        assert data.images is not None
        dataset = readers.read_labels(data.labels, data.images, data.split, data.classes)
    else:
        assert data.folders is not None
        dataset = readers.read_folders(data.folders)
    if data.limit:
        dataset = dataclasses.replace(dataset, records=dataset.records[: data.limit])
    return dataset, training
