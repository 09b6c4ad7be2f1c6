"""The class folders that the page works on: FOLDER/CLASS/*.jpg, as `picaption teach` takes them.

What requests say is compared with what is there, and never becomes a path: an image is asked for by
the hash of its content, and the name of a class is one folder's, checked.
"""

import hashlib
import itertools
import os
import time
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .....atomic import read_file
from .....images import IMAGE_SUFFIXES, MAX_IMAGE_BYTES
from .....teaching.examples import MAX_NAME_LENGTH, NONE_OF_THESE
from ...api.exchange import ApiError
from .files import is_real_folder, make_folder, write_new
from .steps import Move, Step

#: Classes, and images in all, at most.
MAX_CLASSES = 100
MAX_IMAGES = 3000
#: The class of what is none of the others, which is always there.
NONE = NONE_OF_THESE
#: Hexadecimal digits of a content's hash that an image is asked for by.
KEY_DIGITS = 20
#: A folder is listed again while it has just been changed: some file systems tell times coarsely.
SETTLED_NS = 3_000_000_000


@dataclass(frozen=True)
class StoredImage:
    """An image of a class.

    Attributes:
        key: The beginning of its content's hash.
        label: The name of the class.
        path: Its file.
    """

    key: str
    label: str
    path: Path


@dataclass(frozen=True)
class Album:
    """What there is.

    Attributes:
        classes: The images by class; of equal ones the first only.
        left_out: What is not used, and why, as lines.
    """

    classes: dict[str, tuple[StoredImage, ...]]
    left_out: tuple[str, ...]

    @property
    def images(self) -> Iterator[StoredImage]:
        """Yield all images, class by class."""
        return itertools.chain.from_iterable(self.classes.values())

    def find(self, keys: Iterable[Any]) -> list[StoredImage]:
        """Return the images with these keys, in the order of the album.

        Raises:
            ApiError: There is none with one of them.
        """
        wanted = set(keys)
        images = [image for image in self.images if image.key in wanted]
        if len(images) < len(wanted):
            raise ApiError(404, "a picture is gone; what there is now is shown")
        return images

    def fingerprint(self) -> str:
        """Return what differs once a class has other images, or another name."""
        content = hashlib.sha256()
        for label, images in self.classes.items():
            keys = " ".join(sorted(image.key for image in images))
            content.update(f"{label}\n{keys}\n".encode())
        return content.hexdigest()


class Gallery:
    """The class folders in a folder.

    Args:
        folder: The folder; it is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Classes that have no folder yet, or none any more.
        self._names = {NONE: None}
        self._keys: dict[tuple[int, int, int], str] = {}
        self._listings: dict[str, tuple[int, tuple[StoredImage, ...], tuple[str, ...]]] = {}

    def scan(self) -> Album:
        """Return what is there now.

        Raises:
            ApiError: The folder cannot be read.
        """
        classes: dict[str, tuple[StoredImage, ...]] = dict.fromkeys(self._names, ())
        left_out: list[str] = []
        try:
            names = sorted(os.listdir(self._folder))
            for name in names:
                if name.startswith(".") or not os.path.isdir(self._folder / name):
                    continue
                problem = self._why_not(name, classes)
                if problem:
                    left_out.append(f"{_shown(name)}: {problem}")
                    continue
                self._names[name] = None
                classes[name], lines = self._list(name)
                left_out += lines
        except OSError as error:
            raise ApiError(500, f"{self._folder} cannot be read: {error.strerror}") from None
        return _without_doubles(classes, left_out)

    def add(self, label: str, data: bytes, take: str, album: Album) -> Step:
        """Write an image into a class; return the step, which several images may share.

        Args:
            label: As `check_label` returns it.
            data: A JPEG.
            take: What is equal for the images of one step.
            album: What there is.

        Raises:
            ApiError: It is there already, or too many are.
        """
        key = _key_of(data)
        double = next((image for image in album.images if image.key == key), None)
        if double is not None:
            raise ApiError(409, f"the very same picture is in {double.label} already")
        if sum(1 for _ in album.images) >= MAX_IMAGES:
            raise ApiError(409, f"there are {MAX_IMAGES} pictures already; delete some first")
        self.name(label, album)
        path = self._unused_path(label)
        write_new(path, data)
        self._listings.pop(label, None)
        return Step(f"add to {label}", [Move(None, path)], take)

    def name(self, label: str, album: Album) -> None:
        """Note the name of a class, which appears without images.

        Raises:
            ApiError: There are as many as may be, or there is something else of that name.
        """
        path = self._folder / label
        if os.path.lexists(path) and not is_real_folder(path):
            raise ApiError(409, f"{label} is a link or a file in the folder; move it away first")
        if label not in album.classes and len(album.classes) >= MAX_CLASSES:
            raise ApiError(409, f"there are {MAX_CLASSES} classes already")
        self._names[label] = None

    def move(self, images: list[StoredImage], label: str, album: Album) -> Step:
        """Move images into a class; return the step."""
        self.name(label, album)
        step = Step(f"move {_count(images)} to {label}", [])
        try:
            for image in images:
                if image.label != label:
                    self._rename(image.path, self._unused_path(label, image.path.suffix), step)
        except OSError:
            self.take_back(step)
            raise
        self._tidy(label, *(image.label for image in images))
        return step

    def delete(self, images: list[StoredImage], trash: Path) -> Step:
        """Move images into a folder for what was deleted; return the step."""
        step = Step(f"delete {_count(images)}", [])
        make_folder(trash)
        try:
            for image in images:
                self._rename(image.path, _unused_in(trash), step)
        except OSError:
            self.take_back(step)
            raise
        self._tidy(*(image.label for image in images))
        return step

    def rename(self, label: str, new: str, album: Album) -> Step:
        """Give a class another name; return the step.

        Raises:
            ApiError: There is no such class, or one that has the new name.
        """
        if label == NONE or label not in album.classes:
            raise ApiError(404, f"there is no class {label} that can be renamed")
        if new in album.classes or (self._folder / new).exists():
            raise ApiError(409, f"there is a class {new} already; move the pictures there")
        step = Step(f"rename {label}", [])
        if is_real_folder(self._folder / label):
            self._rename(self._folder / label, self._folder / new, step)
        else:
            step.names = (label, new)
        self.swap_name(label, new)
        return step

    def swap_name(self, label: str, new: str) -> None:
        """Let a class without a folder go by another name."""
        self._names.pop(label, None)
        self._names[new] = None
        self._tidy(label, new)

    def remove(self, label: str, album: Album, trash: Path) -> Step:
        """Delete a class with all that is in its folder; return the step."""
        if label not in album.classes:
            raise ApiError(404, f"there is no class {label}")
        step = Step(f"delete {label}", [])
        if is_real_folder(self._folder / label):
            make_folder(trash)
            self._rename(self._folder / label, _unused_in(trash), step)
        self._tidy(label)
        if label != NONE:
            self._names.pop(label, None)
        return step

    def take_back(self, step: Step) -> None:
        """Undo a step; what is gone meanwhile stays gone."""
        if step.names:
            label, new = step.names
            self.swap_name(new, label)
        for move in reversed(step.moves):
            if move.source is None:
                move.target.unlink(missing_ok=True)
                self._tidy(move.target.parent.name)
            elif move.source.parent == self._folder:
                self._return_folder(move.source, move.target)
            else:
                self._return_image(move.source, move.target)

    def _return_folder(self, source: Path, target: Path) -> None:
        """Give a class its name of before."""
        if source.exists() or not is_real_folder(target):
            raise ApiError(409, f"there is a class {source.name} meanwhile")
        os.rename(target, source)
        self.swap_name(target.name, source.name)

    def _return_image(self, source: Path, target: Path) -> None:
        """Put an image back into its class, which may be gone meanwhile, or have such a file."""
        if not target.is_file():
            return
        label = source.parent.name
        if source.exists():
            source = self._unused_path(label, source.suffix)
        else:
            make_folder(source.parent)
        os.rename(target, source)
        self._names[label] = None
        self._tidy(label, target.parent.name)

    def _rename(self, source: Path, target: Path, step: Step) -> None:
        os.rename(source, target)
        step.moves.append(Move(source, target))

    def _tidy(self, *labels: str) -> None:
        """Remove folders of classes that are empty now: `picaption teach` takes none."""
        for label in set(labels):
            self._listings.pop(label, None)
            path = self._folder / label
            if label in self._names and is_real_folder(path) and not os.listdir(path):
                os.rmdir(path)

    def _unused_path(self, label: str, suffix: str = ".jpg") -> Path:
        """Return a path for a new image of a class, whose folder is there then."""
        folder = self._folder / label
        make_folder(folder)
        names = set(os.listdir(folder))
        unused = (f"{number:04}{suffix}" for number in itertools.count())
        return folder / next(name for name in unused if name not in names)

    def _why_not(self, name: str, classes: dict[str, tuple[StoredImage, ...]]) -> str:
        """Return why a folder is no class; empty if it is one."""
        if os.path.islink(self._folder / name):
            return "it is a link, and left out"
        if name not in classes and len(classes) >= MAX_CLASSES:
            return f"it is left out: there are {MAX_CLASSES} classes already"
        try:
            check_label(name)
        except ApiError:
            return "it is left out: a class cannot have such a name"
        return ""

    def _list(self, label: str) -> tuple[tuple[StoredImage, ...], tuple[str, ...]]:
        """Return the images in the folder of a class, and lines that say what was left out."""
        folder = self._folder / label
        changed = os.stat(folder).st_mtime_ns
        known = self._listings.get(label)
        if known and known[0] == changed and time.time_ns() - changed > SETTLED_NS:
            return known[1], known[2]
        images = []
        left_out = []
        for name in sorted(os.listdir(folder)):
            path = folder / name
            if name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            if path.is_symlink() or not path.is_file():
                left_out.append(f"{_shown(label)}/{_shown(name)}: it is not a file, and left out")
                continue
            try:
                images.append(StoredImage(self._key(path), label, path))
            except OSError as error:
                left_out.append(f"{_shown(label)}/{_shown(name)}: {error.strerror}")
        self._listings[label] = (changed, tuple(images), tuple(left_out))
        return tuple(images), tuple(left_out)

    def _key(self, path: Path) -> str:
        """Return the key of a file, which is read only if it was not before."""
        status = path.stat()
        signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        if signature not in self._keys:
            if len(self._keys) > 2 * MAX_IMAGES:
                self._keys.clear()
            self._keys[signature] = _key_of(read_file(path, MAX_IMAGE_BYTES))
        return self._keys[signature]


def check_label(value: Any, classes: Collection[str] = ()) -> str:
    """Return the name of a class.

    Args:
        value: What a request says, of any type.
        classes: Names that there are: one that differs by capitals only is meant.

    Raises:
        ApiError: It can be none.
    """
    if isinstance(value, str) and value in classes:
        return value
    label = ""
    if isinstance(value, str):
        label = unicodedata.normalize("NFC", value).strip()
    is_plain = not any(unicodedata.category(letter)[0] == "C" for letter in label)
    is_short = 0 < len(label) <= MAX_NAME_LENGTH
    if not is_short or not is_plain or "/" in label or label.startswith("."):
        raise ApiError(
            400,
            f"a class has a name of 1 to {MAX_NAME_LENGTH} characters, without slashes and control "
            "characters, and without a dot before it",
        )
    if len(label.encode()) > 255:
        raise ApiError(400, "the name of a class has 255 bytes at most")
    for name in (NONE, *classes):
        if _plain(name) == _plain(label):
            return name
    return label


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _without_doubles(classes: dict[str, tuple[StoredImage, ...]], left_out: list[str]) -> Album:
    """Return the Album of classes, of equal images the first only."""
    first: dict[str, StoredImage] = {}
    for _, images in sorted(classes.items()):
        for image in images:
            other_image = first.setdefault(image.key, image)
            if other_image is not image:
                reason = f"it is left out, the same picture as {_file_name(other_image)}"
                left_out.append(f"{_file_name(image)}: {reason}")
    labels = sorted(label for label in classes if label != NONE)
    unique = {
        label: tuple(image for image in classes[label] if first[image.key] is image)
        for label in (*labels, NONE)
    }
    return Album(unique, tuple(left_out))


def _unused_in(trash: Path) -> Path:
    """Return a path in the folder of what was deleted."""
    unused = (trash / str(number) for number in itertools.count(time.time_ns()))
    return next(path for path in unused if not path.exists())


def _file_name(image: StoredImage) -> str:
    return f"{image.label}/{_shown(image.path.name)}"


def _key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:KEY_DIGITS]


def _shown(name: str) -> str:
    """Return a file's name as text, which it need not be."""
    return os.fsencode(name).decode(errors="replace")


def _count(images: list[StoredImage]) -> str:
    return "1 picture" if len(images) == 1 else f"{len(images)} pictures"
