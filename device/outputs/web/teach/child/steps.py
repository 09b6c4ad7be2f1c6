"""The last steps, which can be taken back, and the trash that this takes."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from .files import is_real_folder, remove

#: Steps that can be taken back at most, and bytes of deleted images.
MAX_STEPS = 30
MAX_TRASH_BYTES = 256 << 20


@dataclass(frozen=True)
class Move:
    """A file or folder that has moved; source None: it is new."""

    source: Path | None
    target: Path


@dataclass
class Step:
    """What can be taken back at once.

    Attributes:
        text: What it did, as the end of "Undo: ".
        moves: What has moved, in this order.
        take: What is equal for steps that are one: the images of one press.
        names: A class without a folder that was renamed: from, to.
    """

    text: str
    moves: list[Move] = field(default_factory=list)
    take: str = ""
    names: tuple[str, str] | None = None


class Steps:
    """The last steps.

    Args:
        trash: The folder of deleted images.
        max_steps: Steps at most.
        max_bytes: Bytes of deleted images at most.
    """

    def __init__(
        self, trash: Path, max_steps: int = MAX_STEPS, max_bytes: int = MAX_TRASH_BYTES
    ) -> None:
        self._trash = trash
        self._max_steps = max_steps
        self._max_bytes = max_bytes
        self._steps: list[Step] = []

    @property
    def last(self) -> Step | None:
        """The last step; None: there is none."""
        return self._steps[-1] if self._steps else None

    def push(self, step: Step) -> None:
        """Note a step; the oldest are forgotten, and what they deleted, beyond the bounds."""
        if not step.moves and not step.names:
            return
        if step.take and self.last and self.last.take == step.take:
            self.last.moves += step.moves
        else:
            self._steps.append(step)
        while len(self._steps) > self._max_steps or (
            len(self._steps) > 1 and self._trash_bytes() > self._max_bytes
        ):
            self._forget(self._steps.pop(0))

    def pop(self) -> Step | None:
        """Return the last step, which is forgotten; None: there is none."""
        return self._steps.pop() if self._steps else None

    def clear(self) -> None:
        """Forget all steps, and remove what they deleted."""
        for step in self._steps:
            self._forget(step)
        self._steps.clear()

    def _forget(self, step: Step) -> None:
        for path in self._trashed(step):
            remove(path)

    def _trashed(self, step: Step) -> list[Path]:
        return [move.target for move in step.moves if move.target.parent == self._trash]

    def _trash_bytes(self) -> int:
        paths = [path for step in self._steps for path in self._trashed(step)]
        return sum(map(count_bytes, paths))


def count_bytes(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    paths = path.rglob("*") if is_real_folder(path) else [path]
    return sum(os.lstat(file).st_size for file in paths if os.path.lexists(file))
