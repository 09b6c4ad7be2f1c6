"""A classifier for classes of one's own, fitted to class folders over a bundle.

`picaption train --classes` does what picaption.device.teaching does on a board, for
folders of any size, and leaves a run with a report (picaption.models.evaluation.class_report).
"""

import logging
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from picaption.device import Recognizer
from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.bundle import Bundle, read_trusted
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import Classifier
from picaption.device.teaching.examples import (
    ClassExamples,
    LabelledPath,
    count_images,
    extract_features,
    file_hash,
    find_class_images,
    require_enough_images,
)
from picaption.device.teaching.fit import class_prototypes, fit_classes
from picaption.device.teaching.write import speaking_always, write_taught_bundle

from ..evaluation.class_report import ClassReport, write_report
from ..files import read_lines, save_arrays, write_lines
from ..run_folder import load_classifier, save_classifier

logger = logging.getLogger(__name__)

#: The bundle that a run of class folders stands on; the file tells such a run from others.
BASE = "base.tflite"
#: How many images a run keeps to check its bundle with.
CHECK_IMAGES = 50


def train_classes(
    folder: str | Path,
    base: str | Path,
    run: str | Path,
    dev: str | Path | None = None,
    threads: int | None = None,
) -> ClassReport:
    """Fit a classifier to class folders over a bundle and report how good it is.

    Args:
        folder: Holds a folder of images for each class.
        base: The bundle that lends encoder and captioner.
        run: The folder to leave the run in.
        dev: Class folders of the same names, to calibrate and report on. Images of `folder` that
            are there too are left out. None: the images themselves, by classifiers that were fitted
            without them.
        threads: Of the bundle's runtime; None leaves the choice to it.

    Returns:
        The report, which `run` holds too.

    Raises:
        PicaptionError: The images are unusable, or `run` holds a run of a recipe.
    """
    run = Path(run)
    if (run / "settings.json").exists():
        raise PicaptionError(f"{run} holds a run of a recipe: give another --out")
    contents = read_bundle(base)
    labels, images, skipped = find_class_images(folder)
    dev_images: list[LabelledPath] = []
    if dev:
        dev_labels, dev_images, dev_skipped = find_class_images(dev)
        if dev_labels != labels:
            raise PicaptionError(
                f"{folder} and {dev} have different classes: "
                + ", ".join(sorted({*labels} ^ {*dev_labels}))
            )
        images, shared = without_shared(images, dev_images)
        skipped += [*dev_skipped, *shared]
        require_enough_images(folder, count_images(labels, images))
    recognizer = Recognizer(Bundle(base, threads))
    progress = tqdm(images, "pictures", disable=None)
    examples = extract_features(recognizer, labels, progress)
    require_enough_images(folder, examples.counts)
    dev_examples = None
    if dev:
        progress = tqdm(dev_images, "dev pictures", disable=None)
        dev_examples = extract_features(recognizer, labels, progress)
    logger.info("%d pictures of %d classes; fitting", len(examples.paths), len(labels))
    prototypes = class_prototypes(contents, labels, examples.features)
    classifier, logits = fit_classes(examples, contents.vocabulary, dev_examples, prototypes)
    run.mkdir(parents=True, exist_ok=True)
    save_class_run(run, base, classifier, examples)
    skipped += examples.skipped
    if dev_examples:
        skipped += dev_examples.skipped
    for line in skipped:
        logger.warning("left out %s", line)
    return write_report(run, dev_examples or examples, logits)


def without_shared(
    images: Sequence[LabelledPath], dev_images: Sequence[LabelledPath]
) -> tuple[list[LabelledPath], list[str]]:
    """Return the images whose file is none of the dev images, and a line for each of the rest."""
    dev_paths = {file_hash(path): path for _, path in dev_images}
    unshared = []
    skipped = []
    for label, path in images:
        dev_path = dev_paths.get(file_hash(path))
        if dev_path:
            skipped.append(f"{path} is the same picture as {dev_path}")
        else:
            unshared.append((label, path))
    return unshared, skipped


def save_class_run(
    run: Path, base: str | Path, classifier: Classifier, examples: ClassExamples
) -> None:
    """Leave in the folder `run` what `convert_classes` reads: the bundle, the classifier, images.

    Args:
        run: Is there already.
        base: The bundle.
        classifier: The new classifier.
        examples: What it was fitted to; some of them are kept to check the new bundle with.
    """
    # It comes last: a run without it is not complete.
    (run / "checked.npz").unlink(missing_ok=True)
    shutil.copyfile(base, run / BASE)
    write_lines(run / "labels.txt", examples.labels)
    save_classifier(classifier, run / "classifier.npz")
    count = len(examples.paths)
    rows = np.linspace(0, count - 1, min(CHECK_IMAGES, count)).astype(int)
    arrays = {
        "features": examples.features[rows],
        "counts": examples.truth.sum(0).astype(int),
        "silent": np.array(examples.silent),
    }
    if examples.word_evidence is not None:
        arrays["evidence"] = examples.word_evidence[rows]
    save_arrays(run / "checked.npz", arrays)


def convert_classes(run: str | Path, output: str | Path) -> None:
    """Write the bundle of a run of `train_classes`.

    It is the one that the run stands on with the new classifier, and is written once it was loaded
    and agrees with the classifier.

    Args:
        run: The run's folder.
        output: The path of the bundle.

    Raises:
        PicaptionError: The bundle disagrees, or the run is not complete.
    """
    run = Path(run)
    contents = read_trusted(run / BASE)  # It is written as made here, and the run may be anyone's.
    labels = read_lines(run / "labels.txt")
    classifier = load_classifier(run / "classifier.npz")
    try:
        with np.load(run / "checked.npz", allow_pickle=False) as arrays:
            counts = dict(zip(labels, arrays["counts"].tolist()))
            features = arrays["features"]
            word_evidence = arrays.get("evidence")
            if arrays.get("silent", False):
                contents = speaking_always(contents)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile):
        raise PicaptionError(
            f"{run}: it is not a finished run; call picaption train --classes again"
        ) from None
    write_taught_bundle(output, contents, labels, classifier, features, word_evidence, counts)
