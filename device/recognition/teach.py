"""New classes for a bundle, taught on the device: its encoder and captioner stay, the classifier is fitted anew.

One folder a class, a few pictures in each. What the bundle sees and calls for in them is all that the fit needs
(picaption.device.recognition.classifier); neither TensorFlow nor a training run takes part.
"""

import hashlib
import time
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..bundle.bundle import Bundle, read_bundle, write_checked
from ..errors import PicaptionError
from ..images import list_images, read_image, write_image
from .classifier import fit_calibrated, name_prior, probabilities
from .recognizer import Recognizer

#: Pictures that a class must have: one to be held out, and two to learn from.
FEWEST = 3
#: The longest name of a class, in characters.
LONGEST_NAME = 60
#: How far the probabilities of the new bundle may be from the head's: what weights of 8 bits cost, and no more.
BOUND = 0.05


@dataclass(frozen=True)
class TeachResult:
    """What was taught: pictures by class, the share of pictures told rightly by heads that were fitted without them (nan
    where there were too few for that), and, as lines, what was left out."""

    pictures: dict
    held_out: float
    skipped: tuple


@dataclass(frozen=True)
class ClassExamples:
    """What a bundle sees in pictures of classes: labels, the classes' names; paths; truth float32 [N, C]; features [N, F] and
    evidence [N, V], which is None without a captioner; skipped, a line for each picture that cannot be read."""

    labels: tuple
    paths: tuple
    truth: np.ndarray
    features: np.ndarray
    evidence: np.ndarray | None
    skipped: tuple

    @property
    def counts(self):
        """Return the number of pictures of each class, {label: count}."""
        return dict(zip(self.labels, self.truth.sum(0).astype(int).tolist()))


def teach(base, folder, output, threads=None, progress=lambda pictures: pictures):
    """Write a bundle to `output` that tells the classes of the folders in `folder` apart, and return what was Taught.

    base: the bundle whose encoder and captioner it gets; `output` may be the same file. progress: wraps the list of
    (class, path) that is gone through. `output` is as it was until the new bundle has been loaded and says what the head
    says. Raises PicaptionError where the pictures or the bundle are unusable.
    """
    contents = read_bundle(base)
    labels, pictures, skipped = find_class_images(folder)
    seen = extract_features(Recognizer(Bundle(base, threads)), labels, progress(pictures))
    need_enough(folder, seen.counts)
    head, held_out = fit_classes(seen, contents.vocabulary)
    write_taught_bundle(output, contents, labels, head, seen.features, seen.evidence, seen.counts)
    known = ~np.isnan(held_out).any(1)
    right = held_out[known].argmax(1) == seen.truth[known].argmax(1)
    return TeachResult(
        seen.counts, float(right.mean()) if known.any() else float("nan"), (*skipped, *seen.skipped)
    )


def extract_features(recognizer, labels, pictures):
    """Return what a Recognizer has Seen in `pictures`, an iterable of (class, path); classes are of `labels`."""
    numbers, paths, features, evidence, skipped = [], [], [], [], []
    for label, path in pictures:
        try:
            encoded = recognizer.model.encode(recognizer.prepare(read_image(path)))
        except PicaptionError as error:
            skipped.append(str(error))
            continue
        numbers.append(labels.index(label))
        paths.append(path)
        features.append(encoded.features[0])
        evidence.append(recognizer.evidence(encoded))
    if not paths:
        raise PicaptionError(
            f"none of {len(skipped)} pictures can be read; the first: {skipped[0]}"
        )
    return ClassExamples(
        labels,
        tuple(paths),
        np.eye(len(labels), dtype=np.float32)[numbers],
        np.stack(features),
        np.stack(evidence) if recognizer.model.vocabulary else None,
        tuple(skipped),
    )


def fit_classes(seen, vocabulary, judged=None):
    """Return (the Head fitted to Seen, as sure as it is right; logits [N, C] that say how good it is: of `judged`, other
    pictures that were Seen, or by heads like it that were fitted without the picture, nan where there is none).

    vocabulary: the captioner's, or None.
    """
    prior = vocabulary and name_prior(seen.labels, vocabulary)
    dev = judged and (judged.features, judged.evidence, judged.truth)
    return fit_calibrated(
        seen.features, seen.evidence, seen.truth, prior, multi_label=False, dev=dev
    )


def find_class_images(folder):
    """Return (class names, [(class, path)], lines that say what was left out) of class folders in `folder`.

    A picture that stands twice in a class counts once. Raises PicaptionError on fewer than two classes, on a name that is
    none, and where two classes have the same picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PicaptionError(
            f"there is no folder {folder}; give one that has a folder of pictures for each class"
        )
    found, owners, skipped = [], {}, []
    labels = [
        class_name(path)
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    ]
    if len(labels) < 2:
        raise PicaptionError(
            f"{folder} has {len(labels)} class folder{'s' * (len(labels) != 1)}; it takes two or more, a "
            "folder of pictures for each class"
        )
    for label in labels:
        for path in list_images(folder / label):
            other, first = owners.setdefault(content(path), (label, path))
            if other != label:
                raise PicaptionError(
                    f"{path} is the same picture as {first}: take it out of one of the two classes"
                )
            if first != path:
                skipped.append(f"{path} is the same picture as {first}")
            else:
                found.append((label, path))
    need_enough(folder, {label: sum(each == label for each, _ in found) for label in labels})
    return tuple(labels), found, skipped


def content(path):
    """Return the SHA-256 of the file at `path`: equal for the same picture."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).digest()
    except OSError as error:
        raise PicaptionError(
            f"{path} cannot be read ({error.strerror}); check its permissions"
        ) from None


def class_name(path):
    """Return the name of the class whose folder is at `path`; raises PicaptionError where it cannot be one."""
    name = path.name
    if (
        not name.strip()
        or len(name) > LONGEST_NAME
        or any(unicodedata.category(letter)[0] == "C" for letter in name)
    ):
        raise PicaptionError(
            f"{str(path)!r}: a class is named by its folder, in 1 to {LONGEST_NAME} characters without "
            "control characters; rename it"
        )
    return name


def need_enough(folder, counts):
    """Raise PicaptionError where a class has fewer than FEWEST pictures; counts: pictures by class."""
    few = [f"{label} has {count}" for label, count in counts.items() if count < FEWEST]
    if few:
        raise PicaptionError(
            f"{folder}: a class takes {FEWEST} different pictures or more: {', '.join(few)}"
        )


def write_taught_bundle(output, contents, labels, head, features, evidence, counts):
    """Write the bundle of `contents` with `labels` and `head` to `output`, once it was loaded and does what the head
    does for `features` [N, F] and `evidence` [N, V]; raises PicaptionError where it does not."""
    try:
        from ..bundle.classifier_graph import with_classify
    except ImportError:
        raise PicaptionError(
            "teaching writes a graph, for which tflite-runtime has no means: pip install ai-edge-litert"
        ) from None
    metadata = replace(
        contents.metadata,
        head="single-label",
        label_threshold=0.5,
        measured={},
        provenance=contents.metadata.provenance | {"taught": {"pictures": counts}},
    )
    new = replace(
        contents,
        graph=with_classify(contents.graph, head, multi_label=False),
        metadata=metadata,
        labels=labels,
    )
    told = [None] * len(features) if evidence is None else evidence

    def check(bundle):
        said = np.stack([bundle.classify(seen[None], words) for seen, words in zip(features, told)])
        off = float(
            np.abs(said - probabilities(head.logits(features, evidence), multi_label=False)).max()
        )
        if not off <= BOUND:
            raise PicaptionError(
                f"{output} is not written: what it says differs by {off:.3f} from what was learned; "
                "give more pictures, or report this"
            )

    write_checked(output, new, check)


def capture(camera, folder, count, every):
    """Write `count` frames of `camera` (picaption.device.sources.sources.open_source), `every` so many seconds one, to `folder`, made if need
    be, as JPEGs with numbers that are not there yet, and return their paths: fewer where the camera ends before."""
    class_name(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths, number = [], 0
    while len(paths) < count:
        due = time.monotonic() + every
        frame = camera.read()
        while camera.live and frame is not None and time.monotonic() < due:
            frame = camera.read()  # What a camera has kept meanwhile is old.
        if frame is None:
            break
        while (path := folder / f"{number:04}.jpg").exists():
            number += 1
        write_image(path, frame)
        paths.append(path)
    return paths
