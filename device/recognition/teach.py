"""New classes for a bundle, taught on the device: only its classifier is fitted again.

There is a folder for each class with a few images in it. The bundle's features and word evidence
of these are all that the fit needs (picaption.device.recognition.classifier); neither TensorFlow
nor a training run takes part.
"""

import hashlib
import itertools
import os
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np

from ..atomic import read_file
from ..bundle.archive import Contents, read_bundle, require_bundle_or_none
from ..bundle.bundle import Bundle, write_checked
from ..bundle.metadata import Guidance, Silence
from ..bundle.vocabulary import Vocabulary
from ..errors import PicaptionError
from ..images import find_class_folders, list_images, read_image, write_image
from ..sources.source import Source
from .classifier import Classifier, fit_calibrated, name_prior, probabilities
from .prototypes import name_prototypes
from .recognizer import Recognizer
from .stopwatch import Stopwatch

#: Images that a class must have: one to be held out, and two to learn from.
MIN_IMAGES_PER_CLASS = 3
#: The longest name of a class, in characters.
MAX_NAME_LENGTH = 60
#: How far the probabilities of the new bundle may be from the classifier's: what weights of 8 bits
#: cost, and no more.
MAX_SCORE_DIFFERENCE = 0.05

#: An image and its class: (class name, path).
LabelledPath = tuple[str, Path]


@dataclass(frozen=True)
class TeachResult:
    """What was taught.

    Attributes:
        image_counts: images by class.
        held_out_accuracy: the share of a class' images that classifiers got right that were fitted
            without them, as the mean over the classes; nan where there were too few for that.
        skipped: what was left out, as lines.
    """

    image_counts: dict[str, int]
    held_out_accuracy: float
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class ClassExamples:
    """What a bundle makes of N images of C classes.

    Attributes:
        labels: the class names.
        paths: of the images.
        truth: float32 [N, C] of 0 and 1.
        features: float32 [N, F].
        word_evidence: float32 [N, V]; None without a captioner.
        skipped: a line for each image that cannot be read.
        silent: whether there is nothing to see in one of them, as the bundle has it.
    """

    labels: tuple[str, ...]
    paths: tuple[Path, ...]
    truth: np.ndarray
    features: np.ndarray
    word_evidence: np.ndarray | None
    skipped: tuple[str, ...]
    silent: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of images by class."""
        return dict(zip(self.labels, self.truth.sum(0).astype(int).tolist()))


def teach(
    base: str | Path,
    folder: str | Path,
    output: str | Path,
    threads: int | None = None,
    on_progress: Callable[[list[LabelledPath]], Iterable[LabelledPath]] | None = None,
    max_difference: float = MAX_SCORE_DIFFERENCE,
) -> TeachResult:
    """Write a bundle that tells the classes of `folder` apart.

    `output` stays as it was until the new bundle has been loaded and agrees with its classifier.

    Args:
        base: the bundle that lends its encoder and captioner.
        folder: a folder with a folder of images for each class.
        output: where to write the new bundle; may be `base`.
        threads: how many threads the runtime may use; None leaves the choice to it.
        on_progress: wraps the list of images while it is gone through.
        max_difference: how far the new bundle's scores may be from the classifier's.

    Raises:
        PicaptionError: the images or the bundle are unusable.
    """
    require_bundle_or_none(output)
    contents = read_bundle(base)
    labels, images, skipped = find_class_images(folder)
    recognizer = Recognizer(Bundle(base, threads))
    examples = extract_features(recognizer, labels, on_progress(images) if on_progress else images)
    require_enough_images(folder, examples.counts)
    prototypes = class_prototypes(contents, labels, examples.features)
    classifier, held_out = fit_classes(examples, contents.vocabulary, prototypes=prototypes)
    if examples.silent:
        contents = speaking_always(contents)
    write_taught_bundle(
        output,
        contents,
        labels,
        classifier,
        examples.features,
        examples.word_evidence,
        examples.counts,
        max_difference,
    )
    return TeachResult(
        examples.counts,
        mean_class_accuracy(held_out, examples.truth),
        (*skipped, *examples.skipped),
    )


def extract_features(
    recognizer: Recognizer, labels: tuple[str, ...], images: Iterable[LabelledPath]
) -> ClassExamples:
    """Return the ClassExamples of `images`, the classes of which are among `labels`.

    Raises:
        PicaptionError: none of the images can be read.
    """
    class_ids = []
    paths = []
    features = []
    word_evidence = []
    skipped = []
    silent = False
    for label, path in images:
        try:
            image = read_image(path)
        except PicaptionError as error:
            skipped.append(str(error))
            continue
        prepared, silence = recognizer.look(image, Stopwatch())
        silent = silent or silence is not None
        encoded = recognizer.encode_prepared(prepared, Stopwatch())
        class_ids.append(labels.index(label))
        paths.append(path)
        features.append(encoded.features[0])
        evidence = recognizer.word_evidence(encoded)
        if evidence is not None:
            word_evidence.append(evidence)
    if not paths:
        raise PicaptionError(
            f"none of {len(skipped)} pictures can be read; the first: {skipped[0]}"
        )
    return ClassExamples(
        labels=labels,
        paths=tuple(paths),
        truth=np.eye(len(labels), dtype=np.float32)[class_ids],
        features=np.stack(features),
        word_evidence=np.stack(word_evidence) if word_evidence else None,
        skipped=tuple(skipped),
        silent=silent,
    )


def class_prototypes(
    contents: Contents, labels: Sequence[str], features: np.ndarray
) -> np.ndarray | None:
    """Return what a bundle's names know of classes (name_prototypes); None for nothing.

    Args:
        contents: of the bundle.
        labels: the class names.
        features: what the bundle makes of images of the classes, float32 [N, F].
    """
    if not contents.names:
        return None
    weights = _classifier_graph().read_name_weights(contents.graph)
    if weights is None:
        return None
    return name_prototypes(labels, contents.names, weights, features)


def _classifier_graph() -> ModuleType:
    """Return picaption.device.bundle.classifier_graph, which needs the schema of TFLite's files."""
    try:
        from ..bundle import classifier_graph
    except ImportError:
        raise PicaptionError(
            "teaching writes a graph, for which tflite-runtime has no means: "
            "pip install ai-edge-litert"
        ) from None
    return classifier_graph


def fit_classes(
    examples: ClassExamples,
    vocabulary: Vocabulary | None,
    dev: ClassExamples | None = None,
    prototypes: np.ndarray | None = None,
) -> tuple[Classifier, np.ndarray]:
    """Fit a calibrated Classifier to images of classes; every class counts alike.

    Args:
        examples: what it is fitted to.
        vocabulary: the captioner's; None without a captioner.
        dev: other images to calibrate on; None: the same, by classifiers fitted without them.
        prototypes: what the bundle's names know of the classes; None for nothing.

    Returns:
        The Classifier, and logits [N, C] of the images that it was calibrated on, nan where there
        is no classifier fitted without them (see `held_out_logits`).
    """
    return fit_calibrated(
        examples.features,
        examples.word_evidence,
        examples.truth,
        name_prior(examples.labels, vocabulary) if vocabulary else None,
        multi_label=False,
        dev=(dev.features, dev.word_evidence, dev.truth) if dev else None,
        prototypes=prototypes,
        balanced=True,
    )


def mean_class_accuracy(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean over the classes of the share of images that are classified rightly.

    Args:
        logits: [N, C]; nan where unknown.
        truth: [N, C] of 0 and 1, one 1 in every row.

    Returns:
        0 to 1; nan if all logits are unknown.
    """
    known = ~np.isnan(logits).any(1)
    correct = logits[known].argmax(1) == truth[known].argmax(1)
    counts = truth[known].sum(0)
    correct_counts = truth[known][correct].sum(0)
    if not known.any():
        return float("nan")
    return float((correct_counts[counts > 0] / counts[counts > 0]).mean())


def find_class_images(
    folder: str | Path,
) -> tuple[tuple[str, ...], list[LabelledPath], list[str]]:
    """Find the images in the class folders in `folder`; an image that is twice in one counts once.

    Returns:
        The class names, the images, and lines that say what was left out.

    Raises:
        PicaptionError: there are fewer than two classes, a folder has no valid class name, or two
            classes have the same image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PicaptionError(
            f"there is no folder {folder}; give one that has a folder of pictures for each class"
        )
    labels = [class_name(path) for path in find_class_folders(folder)]
    if len(labels) < 2:
        folders = "class folder" if len(labels) == 1 else "class folders"
        raise PicaptionError(
            f"{folder} has {len(labels)} {folders}; it takes two or more, a "
            "folder of pictures for each class"
        )
    images: list[LabelledPath] = []
    skipped = []
    first_use: dict[bytes, LabelledPath] = {}
    for label in labels:
        for path in list_images(folder / label):
            first_label, first_path = first_use.setdefault(file_hash(path), (label, path))
            if first_label != label:
                raise PicaptionError(
                    f"{path} is the same picture as {first_path}: "
                    "take it out of one of the two classes"
                )
            if first_path != path:
                skipped.append(f"{path} is the same picture as {first_path}")
            else:
                images.append((label, path))
    require_enough_images(folder, count_images(labels, images))
    return tuple(labels), images, skipped


def count_images(labels: Sequence[str], images: Sequence[LabelledPath]) -> dict[str, int]:
    """Return the number of images by class."""
    counts = dict.fromkeys(labels, 0)
    for label, _ in images:
        counts[label] += 1
    return counts


def file_hash(path: str | Path) -> bytes:
    """Return the SHA-256 of the file at `path`: equal for the same image."""
    try:
        return hashlib.sha256(read_file(path)).digest()
    except OSError as error:
        raise PicaptionError(
            f"{path} cannot be read ({error.strerror}); check its permissions"
        ) from None


def class_name(path: Path) -> str:
    """Return the name of the class whose folder is at `path`.

    Raises:
        PicaptionError: the folder's name cannot be that of a class.
    """
    name = path.name
    is_valid = name.strip() and len(name) <= MAX_NAME_LENGTH
    if not is_valid or any(unicodedata.category(letter)[0] == "C" for letter in name):
        raise PicaptionError(
            f"{str(path)!r}: a class is named by its folder, in 1 to {MAX_NAME_LENGTH} characters "
            "without control characters; rename it"
        )
    return name


def require_enough_images(folder: str | Path, counts: dict[str, int]) -> None:
    """Raise PicaptionError if a class in `folder` has too few images; `counts` are by class."""
    few = [
        f"{label} has {count}" for label, count in counts.items() if count < MIN_IMAGES_PER_CLASS
    ]
    if few:
        raise PicaptionError(
            f"{folder}: a class takes {MIN_IMAGES_PER_CLASS} different pictures or more: "
            f"{', '.join(few)}"
        )


def speaking_always(contents: Contents) -> Contents:
    """Return the contents of a bundle that says something about every image.

    A class may be that it is dark: what a bundle is taught to tell apart, it has to say.
    """
    return replace(contents, metadata=replace(contents.metadata, silence=Silence()))


def write_taught_bundle(
    output: str | Path,
    contents: Contents,
    labels: tuple[str, ...],
    classifier: Classifier,
    features: np.ndarray,
    word_evidence: np.ndarray | None,
    counts: dict[str, int],
    max_difference: float = MAX_SCORE_DIFFERENCE,
) -> None:
    """Write a bundle with another classifier, once it was loaded and agrees with it.

    Args:
        output: the path to write to.
        contents: of the bundle that lends the rest.
        labels: the new classes.
        classifier: the new classifier.
        features: of images to compare it on, [N, F].
        word_evidence: of these images, [N, V]; None without a captioner.
        counts: images by class that it was fitted to, for the metadata.
        max_difference: how far the bundle's scores may be from the classifier's.

    Raises:
        PicaptionError: they are further apart, or the bundle cannot be written.
    """
    with_classify = _classifier_graph().with_classify
    lender = contents.metadata
    taught_before = lender.provenance.get("taught")
    base = lender.name
    if isinstance(taught_before, dict):  # It is taught again.
        base = taught_before.get("bundle", base)
    metadata = replace(
        lender,
        name=bundle_name(output),
        head="single-label",
        label_threshold=0.5,
        guidance=Guidance(),
        object_words=(),
        other_things=(),
        confidence=None,
        measured={},
        provenance=lender.provenance | {"taught": {"bundle": base, "pictures": counts}},
    )
    taught = replace(
        contents,
        graph=with_classify(contents.graph, classifier, multi_label=False),
        metadata=metadata,
        labels=labels,
    )
    expected = probabilities(classifier.logits(features, word_evidence), multi_label=False)

    def check(bundle: Bundle) -> None:
        scores = [
            bundle.classify(features[row : row + 1], _row(word_evidence, row))
            for row in range(len(features))
        ]
        difference = float(np.abs(np.stack(scores) - expected).max())
        if not difference <= max_difference:
            raise PicaptionError(
                f"{output} is not written: what it says differs by {difference:.3f} from what was "
                "learned; give more pictures, or report this"
            )

    write_checked(output, taught, check)


def bundle_name(path: str | Path) -> str:
    """Return what a bundle at `path` is called: its file without the ending."""
    return os.fsencode(Path(path).stem).decode(errors="replace")


def _row(rows: np.ndarray | None, index: int) -> np.ndarray | None:
    return None if rows is None else rows[index]


def capture(camera: Source, folder: Path, count: int, interval: float) -> list[Path]:
    """Write frames of a camera to a folder, as JPEGs with numbers that are not there yet.

    Args:
        camera: an open source.
        folder: the folder; it is made if need be.
        count: how many frames to write.
        interval: seconds from one frame to the next.

    Returns:
        The paths of the frames: fewer than `count` if the camera ends before.
    """
    class_name(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    unused_paths = _unused_paths(folder)
    while len(paths) < count:
        due = time.monotonic() + interval
        frame = camera.read()
        while camera.live and frame is not None and time.monotonic() < due:
            frame = camera.read()  # The frames that a camera has buffered are old.
        if frame is None:
            break
        path = next(unused_paths)
        write_image(path, frame)
        paths.append(path)
    return paths


def _unused_paths(folder: Path) -> Iterator[Path]:
    """Yield the paths of the numbers that no image in `folder` has."""
    for number in itertools.count():
        path = folder / f"{number:04}.jpg"
        if not path.exists():
            yield path
