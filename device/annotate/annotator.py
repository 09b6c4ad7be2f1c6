"""The unit of every engine: an Annotator takes a batch of images and returns a table of rows.

It is a plain class that can be pickled. Ray Data's `map_batches`, Spark's `mapInPandas`, Hugging
Face's `datasets.map` and Dask make one in each process; the bundle is opened at the first batch.
"""

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import PicaptionError
from ..images import require_image
from .decoding import decode_for
from .rows import COLUMNS, Row, to_row, to_text

if TYPE_CHECKING:
    from ..recognition.recognizer import Recognizer

#: A table: the values of each column by its name. A pandas.DataFrame is one, too.
Table = Mapping[str, Sequence[Any]]


class Annotator:
    """Captions, tags and classifies batches of images.

    Args:
        bundle: The path of a bundle; None: the shipped one.
        features: Whether rows have the encoder's features.
        scaled: Whether large JPEGs are decoded at a half, a quarter or an eighth of their size.
        beam: Hypotheses of the beam search; None: as many as the bundle says.

    Raises:
        PicaptionError: The bundle is unusable; at the first batch.

    Example:
        annotator = Annotator()
        rows = annotator({"path": ["cat.jpg", "dog.jpg"]})
        print(rows["caption"])
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str] | None = None,
        features: bool = False,
        scaled: bool = True,
        beam: int | None = None,
    ) -> None:
        self.bundle = None if bundle is None else os.fspath(bundle)
        self.features = features
        self.scaled = scaled
        self.beam = beam
        self._recognizer: Recognizer | None = None
        # An interpreter serves one thread at a time, and so does the limit of decoding's memory.
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process is made of: the arguments."""
        return {
            "bundle": self.bundle,
            "features": self.features,
            "scaled": self.scaled,
            "beam": self.beam,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a copy of the arguments."""
        self.__init__(**state)  # type: ignore[misc]

    @property
    def recognizer(self) -> "Recognizer":
        """What recognises, with one thread: opened at the first use."""
        if self._recognizer is None:
            from ..recognition.recognizer import open_recognizer

            # One thread: on all cores, processes are faster, and rows do not depend on the cores.
            self._recognizer = open_recognizer(self.bundle, 1, self.beam)
        return self._recognizer

    def __call__(self, batch: Table) -> dict[str, list[Any]]:
        """Return the rows of a batch of images.

        Args:
            batch: A table with a column "image" (arrays uint8 RGB [height, width, 3], PIL's images,
                or dictionaries with "bytes" and "path"), or "bytes" (of files), or "path" (of
                local files). A column "path" beside them names the rows.

        Returns:
            The columns of `Row` (picaption.device.annotate.rows), and "error": why there is
            nothing in a row but the path, or None. There are as many rows as images.

        Raises:
            PicaptionError: The batch has none of these columns.
        """
        names = [str(name) for name in batch]
        column = next((name for name in ("image", "bytes", "path") if name in names), "")
        if not column:
            raise PicaptionError(
                f"the batch has the columns {', '.join(names) or 'none'}; it needs 'image', "
                "'bytes' or 'path'"
            )
        values = list(batch[column])
        paths = [str(path) for path in batch["path"]] if "path" in names else [""] * len(values)
        columns: dict[str, list[Any]] = {name: [] for name in self.columns}
        for value, path in zip(values, paths):
            row, error = self._try_annotate(value, path)
            for name in self.columns:
                columns[name].append(getattr(row, name, None))
            columns["error"][-1] = error
            columns["path"][-1] = to_text(_path_of(value, path))
        return columns

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of a batch's rows."""
        features = ("features",) if self.features else ()
        return (*COLUMNS, *features, "error")

    def annotate(self, data: bytes, path: str) -> Row:
        """Return the row of a file's bytes.

        Args:
            data: The bytes.
            path: What the row and errors call it.

        Raises:
            PicaptionError: They are no image that can be read.
        """
        with self._lock:
            shape = self.recognizer.model.metadata.input
            image = decode_for(data, to_text(path), shape.height, shape.width, self.scaled)
            recognition = self.recognizer(image)
        digest = hashlib.sha256(data).hexdigest()
        return to_row(path, len(data), digest, recognition, self.features)

    def _try_annotate(self, value: Any, path: str) -> tuple[Row | None, str | None]:
        """Return the row of an image in any form, or else why there is none."""
        try:
            return self._annotate_value(value, path), None
        except PicaptionError as error:
            return None, str(error)

    def _annotate_value(self, value: Any, path: str) -> Row:
        from ..atomic import read_file
        from ..images import MAX_IMAGE_BYTES

        if isinstance(value, Mapping):  # As Hugging Face's datasets store images.
            path = _path_of(value, path)
            value = value.get("bytes") or path
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.annotate(bytes(value), path)
        if isinstance(value, str):
            try:
                return self.annotate(read_file(value, MAX_IMAGE_BYTES), value)
            except OSError as error:
                raise PicaptionError(
                    f"{to_text(value)} cannot be read ({error.strerror}); check the path"
                ) from None
        if hasattr(value, "convert"):  # PIL's, whose pixels may be grey or have a palette.
            value = value.convert("RGB")
        image = np.ascontiguousarray(value)
        require_image(image)
        digest = hashlib.sha256(image.data).hexdigest()
        with self._lock:
            recognition = self.recognizer(image)
        return to_row(path, image.nbytes, digest, recognition, self.features)


def _path_of(value: Any, path: str) -> str:
    """Return the path of an image that may carry its own."""
    if isinstance(value, Mapping) and not path:
        return str(value.get("path") or "")
    return path
