"""Files that are written whole or not at all."""

import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path):
    """Give the path of a file that is to be written, which takes the place of `path` once the context ends without an error,
    and is gone in any case."""
    partial = Path(f"{path}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
