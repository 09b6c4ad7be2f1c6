"""What a bundle makes of images in general, by which words without images are measured.

They are views of the demo's photographs, of streets, rooms, animals and people, which are on every
device: each as it is, and parts of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...images import list_images, read_image
from ...recognition.recognizer import Recognizer
from ...recognition.stopwatch import Stopwatch
from ...sources.demo_frames import DEMO_IMAGES
from ..examples import ClassExamples

#: The sides of the parts, as shares of the photograph's. There is one in each corner.
PART_SIDES = (0.5, 0.7)


@dataclass(frozen=True)
class Background:
    """What a bundle makes of B images that need not show any class.

    Attributes:
        features: float32 [B, F].
        word_evidence: float32 [B, V]; None without a captioner.
    """

    features: np.ndarray
    word_evidence: np.ndarray | None


def extract_background(recognizer: Recognizer) -> Background:
    """Return the Background of the demo's photographs, about 90 views."""
    features = []
    word_evidence = []
    for path in list_images(DEMO_IMAGES):
        for view in views(read_image(path)):
            encoded = recognizer.encode(view, Stopwatch())
            features.append(encoded.features[0])
            evidence = recognizer.word_evidence(encoded)
            if evidence is not None:
                word_evidence.append(evidence)
    return Background(np.stack(features), np.stack(word_evidence) if word_evidence else None)


def no_examples(labels: tuple[str, ...], background: Background) -> ClassExamples:
    """Return the ClassExamples of classes without an image.

    Args:
        labels: the class names.
        background: has the sizes of features and word evidence.
    """
    word_evidence = None
    if background.word_evidence is not None:
        word_evidence = background.word_evidence[:0]
    truth = np.zeros((0, len(labels)), np.float32)
    return ClassExamples(labels, (), truth, background.features[:0], word_evidence, ())


def views(image: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an image, uint8 RGB [height, width, 3], and its parts."""
    yield image
    height, width = image.shape[:2]
    for side in PART_SIDES:
        rows = int(side * height)
        columns = int(side * width)
        for top in (0, height - rows):
            for left in (0, width - columns):
                yield image[top : top + rows, left : left + columns]
