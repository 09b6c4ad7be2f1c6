"""The representative dataset: images like those that the device will see, and what to do with them.

They give activations their ranges, and others of them, held out, check the result.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picaption.device.bundle.metadata import Input
from picaption.device.errors import PicaptionError
from picaption.device.images import list_images, read_image, resize
from picaption.models.data.readers import read_captions

from .options import ConversionOptions

logger = logging.getLogger(__name__)

#: The fewest images that are a representative dataset and some to check on.
MIN_IMAGES = 10


@dataclass(frozen=True)
class RepresentativeImages:
    """The images of a conversion, uint8 RGB [H, W, 3] of the size that the model takes.

    Attributes:
        calibration: Those that give ranges.
        held_out: Others, to check on.
        calibration_paths: The files of `calibration`.
    """

    calibration: list[np.ndarray]
    held_out: list[np.ndarray]
    calibration_paths: list[Path]


def choose_images(
    representative: Path, images: Path | None, size: Input, options: ConversionOptions
) -> RepresentativeImages:
    """Draw the images of a conversion.

    Args:
        representative: A folder of images, or a captions file of images in the folder `images`.
        images: That folder, or None.
        size: The size that the model takes, and how images are brought to it.
        options: How many to draw, and the seed. At most a fifth is held out.

    Raises:
        PicaptionError: There are fewer than MIN_IMAGES.
    """
    paths = representative_paths(representative, images)
    order = np.random.default_rng(options.seed).permutation(len(paths))
    held_out = min(options.held_out, len(paths) // 5)
    drawn = [paths[index] for index in order[: options.count + held_out]]
    loaded = load_images(drawn, size)
    if len(loaded) < MIN_IMAGES:
        raise PicaptionError(
            f"{representative}: {len(loaded)} pictures are too few for a representative dataset; "
            f"give {MIN_IMAGES} or more, better 200"
        )
    return RepresentativeImages(
        calibration=[image for _, image in loaded[held_out:]],
        held_out=[image for _, image in loaded[:held_out]],
        calibration_paths=[path for path, _ in loaded[held_out:]],
    )


def representative_paths(representative: Path, images: Path | None) -> list[Path]:
    """Return the sorted paths of a folder's images, or of those that a captions file names.

    Args:
        representative: The folder or the captions file.
        images: The folder of the captions file's images.

    Raises:
        PicaptionError: There are none, or no folder.
    """
    if not Path(representative).is_file():
        return list_images(representative)
    if not images:
        raise PicaptionError(
            f"{representative} is not a folder: if it is a captions file, give the folder of its "
            "pictures with --images"
        )
    return sorted(record.path for record in read_captions(representative, images).records)


def load_images(paths: Sequence[Path], size: Input) -> list[tuple[Path, np.ndarray]]:
    """Return (path, image uint8 RGB [H, W, 3]) of files; log broken ones and leave them out."""
    loaded = []
    for path in paths:
        try:
            image = resize(read_image(path), size.height, size.width, size.resize)
        except PicaptionError as error:
            logger.warning("left out %s", error)
        else:
            loaded.append((path, image))
    return loaded
