"""Files that are written whole or not at all."""

import os
from pathlib import Path

import numpy as np

from device.bundle import lines_of


def write_text(path, text):
    """Write `text` to `path` whole or not at all."""
    temporary = Path(f"{path}.partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_lines(path, lines):
    """Write each of `lines` and a line feed to `path`, whole or not at all."""
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_lines(path):
    """Return the lines of the file at `path`, as a bundle's words are read."""
    return lines_of(Path(path).read_text(encoding="utf-8"))


def save_array(path, array):
    """Write `array` to the .npy file `path`, whole or not at all."""
    with open(f"{path}.partial", "wb") as file:
        np.save(file, array, allow_pickle=False)
    os.replace(f"{path}.partial", path)


def save_arrays(path, arrays):
    """Write `arrays`, a dict by name, to the .npz file `path`, whole or not at all."""
    with open(f"{path}.partial", "wb") as file:
        np.savez(file, **arrays)
    os.replace(f"{path}.partial", path)
