"""From the command line's sources to items: folders, globs, images, tar shards, addresses."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from ...addresses import scheme_of, without_secrets
from ...errors import PicaptionError
from ...images import IMAGE_SUFFIXES, UNREADABLE_SUFFIXES
from .filesystems import (
    FileSystem,
    LocalFiles,
    RemoteFiles,
    file_version,
    info_version,
    open_file_system,
    remote_errors,
)
from .items import Item
from .patterns import expand_braces, matches, may_hold_match, split_pattern
from .tar_shards import is_read_through, is_tar, list_members

#: Of an address of the web, a question mark begins the query.
_WEB_SCHEMES = ("http", "https")
_WEB_MAGIC = "*["


@dataclass
class Listing:
    """The items of a collection, listed as they are asked for: never all at once.

    Attributes:
        sources: What the collection consists of.
        unreadable: How many files are images of a kind that is not read, by their endings; known
            once all items are listed.
        is_complete: Whether all folders could be read, so far.
    """

    sources: Sequence["Source | Files"]
    unreadable: dict[str, int] = field(default_factory=dict)
    is_complete: bool = True

    def __iter__(self) -> Iterator[Item]:
        """Yield the items, sorted within each source; none twice."""
        self.unreadable = {}
        self.is_complete = True
        for index, source in enumerate(self.sources):
            for item in source.list_items(self):
                if not any(earlier.covers(item) for earlier in self.sources[:index]):
                    yield from _members_or_self(item)

    def leave_out(self, suffix: str) -> None:
        """Count a file whose kind is not read."""
        self.unreadable[suffix] = self.unreadable.get(suffix, 0) + 1


def _members_or_self(item: Item) -> Iterator[Item]:
    if item.is_shard and not is_read_through(item):
        return list_members(item)
    return iter((item,))


@dataclass(frozen=True)
class Source:
    """A folder or address with what is below it.

    Attributes:
        prefix: What the paths of its rows begin with.
        folder: The folder that is walked.
        root: The fsspec address; empty: a local folder.
        pattern: What the paths below it match, in parts; empty: all.
        below: The folder for what is written about its files, where there are several sources.
    """

    prefix: str
    folder: str
    root: str = ""
    pattern: tuple[str, ...] = ()
    below: str = ""

    def list_items(self, listing: Listing) -> Iterator[Item]:
        """Yield the images and shards below the folder, depth first, sorted by name.

        Args:
            listing: Counts what is left out.
        """
        file_system = _file_system(self.root)
        # A stack in place of a recursion: a hostile tree is deeper than Python's.
        stack: list[tuple[tuple[str, ...], str, Iterator]] = []
        stack.append(((), self.folder, self._entries(file_system, self.folder, listing)))
        while stack:
            parts, folder, entries = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                continue
            if isinstance(entry, Item):
                yield entry
                continue
            path = (*parts, entry.name)
            address = file_system.join(folder, entry.name)
            if entry.is_folder:
                if not self.pattern or may_hold_match(path, self.pattern):
                    stack.append((path, address, self._entries(file_system, address, listing)))
            elif not self.pattern or matches(path, self.pattern):
                item = _file_item(self, path, address, entry.version, listing)
                if item is not None:
                    yield item

    def _entries(self, file_system: FileSystem, folder: str, listing: Listing) -> Iterator:
        """Yield a folder's entries; in place of those that cannot be listed an item that says so.

        Raises:
            PicaptionError: The source itself cannot be listed.
        """
        try:
            if self.root:
                with remote_errors(self.prefix):
                    yield from file_system.entries(folder)
            else:
                yield from file_system.entries(folder)
        except (OSError, PicaptionError) as error:
            reason = str(error)
            if isinstance(error, OSError):
                reason = f"{os.fspath(folder)} cannot be read ({error.strerror})"
            if folder == self.folder:
                raise PicaptionError(f"{reason}; check its permissions") from None
            listing.is_complete = False
            yield Item(folder, problem=f"{reason}; check its permissions")

    def covers(self, item: Item) -> bool:
        """Return whether this source lists an item of another one, too."""
        folder = self.folder.rstrip("/") + "/"
        if item.root != self.root or not item.address.startswith(folder):
            return False
        return not self.pattern or matches(item.address[len(folder) :].split("/"), self.pattern)


@dataclass(frozen=True)
class Files:
    """Files that the command line names, which may be many: a shell's own glob.

    Attributes:
        items: The files.
    """

    items: dict[tuple[str, str], Item]

    def list_items(self, listing: Listing) -> Iterator[Item]:
        """Yield the items, sorted by path."""
        return iter(sorted(self.items.values(), key=_item_path))

    def covers(self, item: Item) -> bool:
        """Return whether an item is among these."""
        return (item.root, item.address) in self.items


def _item_path(item: Item) -> bytes:
    return os.fsencode(item.path)


def open_collection(sources: Sequence[str]) -> Listing:
    """Return the items of sources.

    Args:
        sources: Folders, files, globs, tar shards and fsspec addresses.

    Raises:
        PicaptionError: One of them is not there, or is nothing of that.
    """
    files: dict[tuple[str, str], Item] = {}
    walks: list[Source] = []
    for text in chain.from_iterable(map(_expand, sources)):
        opened = _open_remote(text) if scheme_of(text) else _open_local(text)
        if isinstance(opened, Item):
            files.setdefault((opened.root, opened.address), opened)
        else:
            walks.append(opened)
    if len(walks) > 1 or files:
        walks = [replace(walk, below=_inner_path(walk.prefix)) for walk in walks]
    # Of what two sources list, the first's path holds.
    return Listing([Files(files), *walks] if files else walks)


def _expand(text: str) -> Iterator[str]:
    if os.path.lexists(text):
        return iter((text,))
    return expand_braces(text)


def _open_local(text: str) -> Item | Source:
    """Return a local source: its file, or the folder that is walked."""
    path = os.path.abspath(text)
    if os.path.isdir(path):
        return Source(text.rstrip("/") or "/", path)
    if os.path.isfile(path):
        return _named_item(text, path, "", file_version(os.stat(path)))
    folder, pattern = split_pattern(text)
    if pattern and os.path.isdir(folder or "."):
        return Source(folder.rstrip("/"), os.path.abspath(folder or "."), "", pattern)
    raise PicaptionError(
        f"there is no picture, folder or tar at {text}; give a path that is there, a pattern such "
        "as 'photos/**/*.jpg', or an address such as s3://bucket/photos"
    )


def _open_remote(text: str) -> Item | Source:
    """Return a source at an address."""
    magic = _WEB_MAGIC if scheme_of(text) in _WEB_SCHEMES else "*?["
    folder, pattern = split_pattern(text, magic)
    file_system, name = open_file_system(folder)
    with remote_errors(text):
        info = file_system.info(name)
    shown = without_secrets(text if not pattern else folder)
    if info["type"] == "directory":
        return Source(shown.rstrip("/"), name, folder, pattern)
    return _named_item(shown, name, folder, info_version(info))


def _named_item(text: str, address: str, root: str, version: str) -> Item:
    """Return a file that the command line names; whatever its ending, it is looked at."""
    return Item(text, address, _inner_path(text), version, root, is_shard=is_tar(address))


def _inner_path(text: str) -> str:
    """Return a path that stays inside whatever folder it is joined to."""
    rest = text.partition("://")[2] if scheme_of(text) else text
    parts = os.path.normpath(rest).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def _file_item(
    source: Source, parts: tuple[str, ...], address: str, version: str, listing: Listing
) -> Item | None:
    """Return a file as an item; None if it is neither image nor shard."""
    suffix = os.path.splitext(parts[-1])[1].lower()
    if suffix in UNREADABLE_SUFFIXES:
        listing.leave_out(suffix)
    is_shard = is_tar(parts[-1])
    if suffix not in IMAGE_SUFFIXES and not is_shard:
        return None
    relative = "/".join(parts)
    path = relative
    if source.prefix:
        path = f"{source.prefix.rstrip('/')}/{relative}"
    if source.below:
        relative = f"{source.below}/{relative}"
    return Item(path, address, relative, version, source.root, is_shard=is_shard)


def _file_system(root: str) -> FileSystem:
    if not root:
        return LocalFiles()
    return RemoteFiles(open_file_system(root)[0])
