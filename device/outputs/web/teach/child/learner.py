"""What the pictures of the classes show, computed as they come, and the fit to it.

A fit runs in a thread, so that the process answers meanwhile: numpy computes without Python's lock.
"""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from .....bundle.archive import Contents, read_bundle
from .....errors import PicaptionError
from .....images import read_image
from .....log import one_line
from .....recognition.recognizer import Recognizer, open_recognizer
from .....teaching.examples import (
    MIN_IMAGES_PER_CLASS,
    ClassExamples,
    Example,
    extract_example,
    stack_examples,
)
from .....teaching.graph import classifier_graph
from .....teaching.teach import TeachResult, least_classes, teach_examples
from .....teaching.words.descriptions import DESCRIPTIONS, Descriptions, read_descriptions
from .bundles import TaughtBundles
from .gallery import MAX_IMAGES, NONE, Album, StoredImage


class Learner:
    """Knows the examples of images, and fits bundles to them.

    Args:
        bundle: The path of the bundle that lends its encoder and captioner.
        threads: Threads to compute with; None: as the runtime chooses.
        bundles: Where the fitted ones go.
        folder: The folder of class folders, which may have descriptions of classes.

    Attributes:
        problem: Why the last fit came to nothing; empty if it did not.
        wants_fit: Whether a fit waits for the examples of images.

    Raises:
        PicaptionError: The bundle is unusable.
    """

    def __init__(
        self, bundle: Path, threads: int | None, bundles: TaughtBundles, folder: Path
    ) -> None:
        self.problem = ""
        self.wants_fit = False
        classifier_graph()  # What the first fit would wait for.
        self._recognizer: Recognizer = open_recognizer(bundle, threads)
        self._contents: Contents = read_bundle(bundle)
        self._least_classes = least_classes(self._contents)
        self._bundles = bundles
        self._folder = folder
        self._examples: dict[str, Example] = {}
        self._unreadable: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    @property
    def is_fitting(self) -> bool:
        """Whether a fit runs, or waits for the examples of images."""
        return self.wants_fit or (self._thread is not None and self._thread.is_alive())

    def why_unreadable(self, album: Album) -> list[str]:
        """Return a line for each image that cannot be read."""
        return [
            f"{image.label}/{self._unreadable[image.key]}"
            for image in album.images
            if image.key in self._unreadable
        ]

    def missing(self, album: Album) -> list[StoredImage]:
        """Return the images of which there is no example yet."""
        return [
            image
            for image in album.images
            if image.key not in self._examples and image.key not in self._unreadable
        ]

    def learn(self, image: StoredImage) -> None:
        """Compute the example of an image."""
        if len(self._examples) > 2 * MAX_IMAGES:
            self._examples.clear()
        try:
            pixels = read_image(image.path)
            self._examples[image.key] = extract_example(self._recognizer, pixels)
        except PicaptionError as error:
            reason = one_line(str(error)).replace(str(image.path), image.path.name)
            self._unreadable[image.key] = reason
        except MemoryError:
            self._unreadable[image.key] = f"{image.path.name} takes more memory than there is"

    def start_fit(self, album: Album) -> None:
        """Fit the classes of an album, of whose images all examples are known, in a thread."""
        self.wants_fit = False
        images = [image for image in album.images if image.key in self._examples]
        labels = tuple(
            label for label in album.classes if any(image.label == label for image in images)
        )
        fault = fit_fault(labels, images, self._least_classes)
        if fault:
            self.problem = fault
            return
        examples = stack_examples(
            labels,
            [(image.label, image.path) for image in images],
            [self._examples[image.key] for image in images],
        )
        self.problem = ""
        arguments = (examples, album.fingerprint())
        self._thread = threading.Thread(target=self._fit, args=arguments, daemon=True)
        self._thread.start()

    def _fit(self, examples: ClassExamples, fingerprint: str) -> None:
        """Fit a bundle, and keep it; what fails is the `problem`."""
        started = time.perf_counter()
        try:
            result = teach_examples(
                self._contents,
                examples,
                self._bundles.prepare(),
                descriptions=descriptions_of(self._folder, examples.labels),
            )
            seconds = time.perf_counter() - started
            self._bundles.finish(summarize(result, seconds, fingerprint))
        except OSError as error:
            self.problem = f"the bundle cannot be written: {error.strerror}"
        except PicaptionError as error:
            self.problem = one_line(str(error))
        except MemoryError:
            self.problem = "the fit takes more memory than there is; use fewer pictures"
        except Exception as error:  # The page has to hear of it, whatever it is.
            self.problem = one_line(f"the fit failed: {type(error).__name__}: {error}")
        if self.problem:
            self._bundles.discard()


def descriptions_of(folder: Path, labels: tuple[str, ...]) -> Descriptions:
    """Return the descriptions of classes in a folder; of a link, none.

    Raises:
        PicaptionError: One is not valid.
    """
    if (folder / DESCRIPTIONS).is_symlink():
        return {}
    descriptions = read_descriptions(folder)
    return {label: descriptions[label] for label in labels if label in descriptions}


def fit_fault(labels: tuple[str, ...], images: list[StoredImage], least: int = 2) -> str:
    """Return why classes cannot be fitted; empty if they can.

    Args:
        labels: The classes that have images.
        images: These images.
        least: How many classes there have to be, one or two.
    """
    classes = [label for label in labels if label != NONE]
    if len(classes) < least:
        needed = "a class" if least == 1 else "two classes"
        verb = "is" if least == 1 else "are"
        return f"{needed} with pictures {verb} needed, besides {NONE!r}"
    counts = {label: sum(image.label == label for image in images) for label in classes}
    few = [
        f"{label} has {count}" for label, count in counts.items() if count < MIN_IMAGES_PER_CLASS
    ]
    if few:
        return f"a class takes {MIN_IMAGES_PER_CLASS} pictures or more: {', '.join(few)}"
    return ""


def summarize(result: TeachResult, seconds: float, fingerprint: str) -> dict[str, Any]:
    """Return what the page is sent of a fit, as JSON.

    Args:
        result: The fit's.
        seconds: How long it took.
        fingerprint: Of the album that it was fitted to.
    """
    accuracy = result.held_out_accuracy
    return {
        "labels": list(result.image_counts),
        "counts": list(result.image_counts.values()),
        "accuracy": None if np.isnan(accuracy) else round(accuracy, 4),
        "confusion": result.confusion.tolist(),
        "warnings": [*result.skipped, *result.notes],
        "other_share": result.other_share,
        "seconds": round(seconds, 3),
        "time": round(time.time(), 1),
        "album": fingerprint,
    }
