"""Text and arrays in files that are written completely or not at all."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from picaption.device.atomic import atomic_write, read_text, write_text
from picaption.device.bundle.archive import split_lines
from picaption.device.errors import PicaptionError


def need_folder(path: str | Path) -> None:
    """Raise PicaptionError where the folder that the file `path` goes into does not exist."""
    if not Path(path).absolute().parent.is_dir():
        raise PicaptionError(f"{path} cannot be written: make its folder first")


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write lines to `path`, a line feed after each, completely or not at all."""
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_lines(path: str | Path) -> tuple[str, ...]:
    """Return the lines of a file, by the rule for a bundle's labels and vocabulary."""
    return split_lines(read_text(path, encoding="utf-8"))


def save_array(path: str | Path, array: np.ndarray) -> None:
    """Write an array to the .npy file `path`, completely or not at all."""
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.save(file, array, allow_pickle=False)


def save_arrays(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write NumPy arrays by name to the .npz file `path`, completely or not at all."""
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)
