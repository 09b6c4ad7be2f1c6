"""A .tflite file of a classifier as a bundle: its layers and weights stay as they are.

Whatever stands at its end, the bundle is held against the file's own scores before it is taken.
"""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path

from picaption.device.bundle.archive import (
    GRAPH_MAGIC,
    MAX_MEMBER_BYTES,
    Contents,
    read_bytes,
    split_lines,
)
from picaption.device.bundle.flatbuffer import compact_graph
from picaption.device.bundle.metadata import Input, Metadata
from picaption.device.bundle.trust.trust import need_valid_graph
from picaption.device.errors import PicaptionError
from picaption.models.data.readers import need_readable_names, without_line_numbers
from picaption.models.networks.file_format import unknown_file

from .options import ImportOptions
from .tflite.cut import CutGraph, cut_graph
from .tflite.trial import score_difference

#: How far a bundle's probabilities may be from those of the file: a file of 8 bits rounds its own.
MAX_DIFFERENCE = 0.02
#: What zipfile raises for a file that is no archive, or a damaged one, and for text that is none.
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    UnicodeDecodeError,
    OSError,
    EOFError,
    RuntimeError,
    zlib.error,
)


def wrap(path: Path, classifier: ImportOptions) -> Contents:
    """Return the contents of a bundle for the classifier in a .tflite file.

    Args:
        path: The file.
        classifier: What the file does not say; labels inside it, as TFLite's metadata has them,
            are used where none are named, and pixels are needed where it takes floating point.

    Raises:
        PicaptionError: It is no such classifier, or has not as many labels as scores.
    """
    path = Path(path)
    data = read_bytes(path)
    if data[4:8] != GRAPH_MAGIC:
        raise unknown_file(path)
    need_valid_graph(data, path.name)
    cut = cut_graph(data, path.name, classifier.pixels, classifier.head)
    contents = to_contents(cut, data, path.name, classifier)
    need_valid_graph(contents.graph, path.name)
    # From here on both graphs may be opened: a process of its own has survived them.
    difference = score_difference(data, contents.graph, cut, classifier.pixels, path.name)
    if not difference <= MAX_DIFFERENCE:
        raise PicaptionError(
            f"{path}: as a bundle its probabilities differ from its own by {difference:.2f}: its "
            "last layers are of a kind that cannot be taken over; export it with a dense layer and "
            "a softmax or sigmoid at its end"
        )
    return contents


def to_contents(cut: CutGraph, data: bytes, name: str, classifier: ImportOptions) -> Contents:
    """Return the contents of a bundle for a graph that was cut.

    Args:
        cut: The graph.
        data: The bytes that it was cut from.
        name: The name of their file, or of what they were made of.
        classifier: As for `wrap`.

    Raises:
        PicaptionError: There are no labels, or not as many as scores.
    """
    labels = classifier.labels
    if not labels:
        labels = without_line_numbers(labels_inside(data, cut.classes), f"the labels in {name}")
    need_readable_names(labels, f"{name}, its labels")
    if not labels:
        raise PicaptionError(
            f"{name}: it has no labels for its {cut.classes} scores inside: give a file of them, "
            "one a line, with --names"
        )
    if cut.is_one_score and len(labels) != 2:
        raise PicaptionError(
            f"{name}: it gives one score, and {len(labels)} labels are no pair: give two with "
            "--names, first what a score of 0 stands for, then what 1 stands for"
        )
    if len(labels) != cut.classes:
        raise PicaptionError(
            f"{name}: {len(labels)} labels for {cut.classes} scores; give one for each score, in "
            "their order, with --names"
        )
    metadata = Metadata(
        Path(name).stem,
        head=cut.head,
        input=Input(cut.height, cut.width, classifier.resize),
        provenance={"wrapped": name, "sha256": hashlib.sha256(data).hexdigest()},
    )
    return Contents(compact_graph(cut.graph), metadata, tuple(labels), None)


def labels_inside(data: bytes, count: int) -> tuple[str, ...]:
    """Return the lines of the text file in the archive behind a .tflite file's graph.

    Args:
        data: The .tflite file's bytes.
        count: How many labels it should have: of several text files, the first with so many lines
            is it.

    Returns:
        The lines, or () where there is no text file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            texts = [
                split_lines(archive.read(info).decode("utf-8-sig").replace("\r", ""))
                for info in archive.infolist()
                if info.filename.endswith(".txt") and info.file_size <= MAX_MEMBER_BYTES
            ]
    except _ARCHIVE_ERRORS:
        return ()
    for text in texts:
        if len(text) == count:
            return text
    return texts[0] if texts else ()
