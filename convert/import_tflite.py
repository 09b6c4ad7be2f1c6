"""A .tflite file of a classifier as a bundle: its layers and weights stay as they are.

Whatever stands at its end, the bundle is held against the file's own scores before it is taken.
"""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

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
from picaption.device.sources.demo_frames import DEMO_IMAGES
from picaption.models.data.readers import need_readable_names, without_line_numbers
from picaption.models.networks.file_format import unknown_file
from picaption.models.pixels import PixelScaling, parse_pixels

from .options import ImportOptions
from .representative import load_images, representative_paths
from .tflite.cut import CutGraph, cut_graph
from .tflite.normalization import normalization
from .tflite.trial import TrialGraphs, WrapAgreement, hold_against_file

#: How many pictures a bundle is compared with its file on.
COMPARED_IMAGES = 50
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
    """Return the contents of a bundle for the classifier in a .tflite file; see wrap_compared."""
    return wrap_compared(path, classifier)[0]


def wrap_compared(
    path: Path, classifier: ImportOptions, representative: Path | None = None
) -> tuple[Contents, WrapAgreement]:
    """Return the contents of a bundle for the classifier in a .tflite file.

    Args:
        path: The file.
        classifier: What the file does not say; labels and the range of pixels inside it, as
            TFLite's metadata has them, are used where none are named, and a range is needed where
            it takes floating point.
        representative: A folder of pictures to compare the bundle with the file on; None: those
            of the demo.

    Returns:
        The contents, and how far their scores are from the file's own.

    Raises:
        PicaptionError: It is no such classifier, has not as many labels as scores, or its bundle is
            further off than the allowed difference.
    """
    path = Path(path)
    data = read_bytes(path)
    if data[4:8] != GRAPH_MAGIC:
        raise unknown_file(path)
    need_valid_graph(data, path.name)
    if classifier.pixels:
        scaling: PixelScaling | None = parse_pixels(classifier.pixels)
    else:
        scaling = normalization(schema.ModelT.InitFromPackedBuf(data, 0))
    head = classifier.head
    cut = cut_graph(data, path.name, scaling, head, classifier.is_embedding)
    contents = to_contents(cut, data, path.name, classifier)
    need_valid_graph(contents.graph, path.name)
    # From here on both graphs may be opened: a process of its own has survived them.
    images = _comparison_images(representative, contents.metadata.input)
    graphs = TrialGraphs(data, contents.graph, cut, scaling, images)
    agreement = hold_against_file(graphs, path.name)
    if not agreement.largest <= classifier.allowed_difference:
        name = "features" if classifier.is_embedding else "probabilities"
        raise PicaptionError(
            f"{path}: as a bundle its {name} differ from its own by {agreement.largest:.2f}: its "
            "last layers are of a kind that cannot be taken over; export it with a dense layer and "
            "a softmax or sigmoid at its end, or allow more with --allow-difference"
        )
    return contents, agreement


def _comparison_images(representative: Path | None, size: Input) -> list[np.ndarray]:
    """Return pictures to compare on, uint8 [H, W, 3]: of a folder, or those of the demo."""
    paths = representative_paths(representative or DEMO_IMAGES, None)
    return [image for _, image in load_images(paths[:COMPARED_IMAGES], size)]


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
    provenance = {"wrapped": name, "sha256": hashlib.sha256(data).hexdigest()}
    size = Input(cut.height, cut.width, classifier.resize)
    if cut.head is None:
        metadata = Metadata(Path(name).stem, input=size, provenance=provenance)
        return Contents(compact_graph(cut.graph), metadata, (), None)
    labels = classifier.labels
    if not labels:
        labels = without_line_numbers(labels_inside(data, cut.classes), f"the labels in {name}")
    need_readable_names(labels, f"{name}, its labels")
    if not labels:
        raise PicaptionError(
            f"{name}: it has no labels for its {cut.classes} scores inside: give a file of them, "
            "one a line, with --names; or, where these are features, --embedding"
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
        input=size,
        provenance=provenance,
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
