"""Files that are written whole or not at all."""

from pathlib import Path

import numpy as np

from picaption.device.atomic import atomic_write
from picaption.device.bundle.bundle import split_lines
from picaption.device.errors import PicaptionError


def write_text(path, text):
    """Write `text` to `path` whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def need_folder(path):
    """Raise PicaptionError where the file `path` has no folder to stand in."""
    if not Path(path).absolute().parent.is_dir():
        raise PicaptionError(f"{path} cannot be written: make its folder first")


def write_lines(path, lines):
    """Write each of `lines` and a line feed to `path`, whole or not at all."""
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_lines(path):
    """Return the lines of the file at `path`, as a bundle's words are read."""
    return split_lines(Path(path).read_text(encoding="utf-8"))


def save_array(path, array):
    """Write `array` to the .npy file `path`, whole or not at all."""
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.save(file, array, allow_pickle=False)


def save_arrays(path, arrays):
    """Write `arrays`, a dict by name, to the .npz file `path`, whole or not at all."""
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)
