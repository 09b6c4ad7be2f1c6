"""Is there anything to see? Frames too dark, blank, covered or blurred get no caption.

Three figures of the image that the encoder would take, each with a threshold in the bundle
(picaption.device.bundle.metadata.Silence). They measure the picture and not the network: a frame
that shows nothing costs neither encoder nor captioner. All three stand on how a photograph's power
spectrum falls, as 1/f^2 (Field, "Relations between the statistics of natural images and the
response properties of cortical cells", JOSA A 4, 1987): what a photograph shows differs from cell
to cell about as much on a coarse grid as on a fine one. Noise is stronger the finer the grid is,
a lens out of focus leaves only the coarse, and a cover neither.
"""

from typing import NamedTuple

import cv2
import numpy as np

from ..bundle.metadata import Silence

TOO_DARK = "too dark to tell"
NOTHING = "nothing to see"
TOO_BLURRED = "too blurred to tell"

#: The cells of the three grids, along a side.
FINE = 56
MIDDLE = 28
COARSE = 14
#: The highest 3 % of a grid's cells stand for what it shows: a small thing on plain ground is
#: something to see, and a hot pixel is not.
TOP_SHARE = 0.03
#: How much of the fine grid's mean contrast is noise in the top of the coarse one, and of the
#: middle one: white noise has a fourth, and half, of its deviation in cells of four times, and
#: twice, the side; its highest 3 % are at 2.2 deviations, and compression makes it coarser.
COARSE_NOISE = 0.6
MIDDLE_NOISE = 0.4
#: A frame after a silent one must be so much above the thresholds, so that what is said does not
#: flicker at their edge.
LEAVE_FACTOR = 1.15

# The Laplacian's gain for white noise, by which contrasts are divided: 1 + 1 + 1 + 1 + 4 * 4 = 20.
_LAPLACIAN_GAIN = 20**0.5


class Visibility(NamedTuple):
    """How much there is to see in an image.

    Attributes:
        brightness: the luma, 0 to 255, that only the brightest 3 % of the coarse cells exceed.
        contrast: how far such cells differ from their neighbours, in grey levels, without noise.
        sharpness: the same on the middle grid, as a share of the luma's standard deviation.
    """

    brightness: float
    contrast: float
    sharpness: float


def measure(image: np.ndarray) -> Visibility:
    """Measure the Visibility of an image, uint8 RGB [height, width, 3], as the encoder takes it."""
    area = cv2.INTER_AREA
    # Grey first: averaging one channel takes a third of the time that three take.
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    fine = cv2.resize(grey, (FINE, FINE), interpolation=area).astype(np.float32)
    middle = cv2.resize(fine, (MIDDLE, MIDDLE), interpolation=area)
    coarse = cv2.resize(middle, (COARSE, COARSE), interpolation=area)
    noise = cv2.norm(_laplacian(fine)) / (FINE - 2) / _LAPLACIAN_GAIN
    deviation = max(cv2.meanStdDev(middle)[1].item(), 1.0)
    return Visibility(
        brightness=_top(middle),
        contrast=max(0.0, _top_contrast(coarse) - COARSE_NOISE * noise),
        sharpness=max(0.0, _top_contrast(middle) - MIDDLE_NOISE * noise) / deviation,
    )


def reason_for_silence(
    visibility: Visibility, thresholds: Silence, factor: float = 1.0
) -> str | None:
    """Return why nothing can be said about an image, None if something can.

    Args:
        visibility: the image's.
        thresholds: the bundle's.
        factor: what the thresholds are multiplied by.
    """
    if visibility.brightness < factor * thresholds.brightness:
        return TOO_DARK
    if visibility.contrast < factor * thresholds.contrast:
        return NOTHING
    if visibility.sharpness < factor * thresholds.sharpness:
        return TOO_BLURRED
    return None


def _laplacian(grid: np.ndarray) -> np.ndarray:
    """Return the Laplacian of each inner cell: four times how far it is below its neighbours' mean.

    Args:
        grid: float32 [N, N].

    Returns:
        float32 [N - 2, N - 2]; 0 along an even slope.
    """
    return cv2.Laplacian(grid, cv2.CV_32F)[1:-1, 1:-1]


def _top_contrast(grid: np.ndarray) -> float:
    """Return how far the TOP_SHARE of a grid's inner cells differ from their neighbours at least.

    The unit is the deviation of white noise that would do as much.
    """
    return _top(np.abs(_laplacian(grid))) / _LAPLACIAN_GAIN


def _top(grid: np.ndarray) -> float:
    """Return the value that TOP_SHARE of a grid's cells, float32 [N, N], exceed."""
    index = grid.size - 1 - int(TOP_SHARE * grid.size)
    return float(np.partition(grid, index, axis=None)[index])
