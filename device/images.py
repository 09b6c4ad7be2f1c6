"""Pictures: read from files, written to files, and brought to the size a network takes.

A picture is uint8 RGB [height, width, 3] everywhere in picaption; OpenCV's B,G,R stays in this file.
"""

import os
import threading
from contextlib import contextmanager
from pathlib import Path

#: Pictures beyond this many pixels are refused: decoded, they would fill a small board's memory.
MAX_PIXELS = 100_000_000

# OpenCV reads these once, when it is loaded. What it would print, picaption says in its own one line.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from .errors import PicaptionError  # noqa: E402

#: File names that are taken for pictures in a folder.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif")

#: Averaged pixels are made in bands of so many rows: what one takes, 460 kB at 640 columns, fits into a board's second cache.
BAND = 120

_stderr_lock = threading.Lock()


def read_image(path):
    """Return the picture at `path` as uint8 RGB [height, width, 3].

    Grey, CMYK and 16-bit pictures are converted (16 bits scaled to 8), an alpha channel is dropped, the
    EXIF orientation of a JPEG or PNG is applied, and of an animation the first frame is taken. Raises
    PicaptionError where there is no picture, or only a part of one.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise PicaptionError(f"there is no picture at {path}; check the path")
        if not path.is_file():
            raise PicaptionError(f"{path} is not a file; give the path of one picture")
        if path.stat().st_size == 0:
            raise PicaptionError(f"{path} is empty (0 bytes); copy it again")
        image = _decode(path)
    except OSError as error:
        raise PicaptionError(
            f"{path} cannot be read ({error.strerror}); check its permissions"
        ) from None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def encode_image(image, suffix, quality=95):
    """Return uint8 RGB [height, width, 3] as the bytes of a file that ends in `suffix`; quality, to 100, is a JPEG's.

    Raises cv2.error where `suffix` is no picture's that can be written.
    """
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix.lower() in (".jpg", ".jpeg") else []
    return cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)[1].tobytes()


def write_image(path, image):
    """Write uint8 RGB [height, width, 3] to `path`, whole or not at all; its ending chooses the format.

    Raises PicaptionError where the ending is no picture's or the file cannot be written.
    """
    path = Path(path)
    try:
        data = encode_image(image, path.suffix)
    except cv2.error:
        raise PicaptionError(
            f"{path} has no ending of a picture that can be written; use .jpg or .png"
        ) from None
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise PicaptionError(
            f"{path} cannot be written ({error.strerror}); check the folder"
        ) from None


def list_images(folder):
    """Return the paths of the pictures in `folder` (not below it), sorted by name.

    Raises PicaptionError where there is no such folder or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PicaptionError(f"there is no folder {folder}; check the path")
    try:
        paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES
            and not path.name.startswith(".")
            and not path.is_dir()
        )
    except OSError as error:
        raise PicaptionError(
            f"{folder} cannot be read ({error.strerror}); check its permissions"
        ) from None
    if not paths:
        raise PicaptionError(
            f"the folder {folder} holds no pictures; put files ending in {' '.join(IMAGE_SUFFIXES)} there"
        )
    return paths


def resize(image, height, width, rule, kept=None):
    """Return uint8 RGB [height, width, 3]: the whole of `image` squashed to the shape, or its centre cropped to it.

    `rule` is "stretch" or "crop". Shrinking averages areas, enlarging interpolates linearly. An `image`
    of that size already is returned itself, not a copy. kept: a dict, which keeps the memory of the result, and of what it
    takes, for the next call with that dict; the result is overwritten then.
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    if rule == "crop":
        scale = max(height / rows, width / columns)
        kept_rows, kept_columns = (
            min(rows, round(height / scale)),
            min(columns, round(width / scale)),
        )
        top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
        image = image[top : top + kept_rows, left : left + kept_columns]
    elif rule != "stretch":
        raise ValueError(f"the resize rule is 'stretch' or 'crop', not {rule!r}")
    # First whole numbers of pixels are averaged, then what is left, less than twice, is interpolated: nearly as even as
    # averaging all at once, and eight times as fast.
    kept = {} if kept is None else kept
    across, down = max(1, image.shape[1] // width), max(1, image.shape[0] // height)
    if across > 1 or down > 1:
        image = _averaged(image, across, down, kept)
    # EXACT rounds alike on every CPU, which plain linear does not: a Pi sees the very pixels that training did. OpenCV writes
    # into the array it is given where that has the right shape, and otherwise makes another.
    kept["scaled"] = cv2.resize(
        image, (width, height), kept.get("scaled"), interpolation=cv2.INTER_LINEAR_EXACT
    )
    return kept["scaled"]


def _averaged(image, across, down, kept):
    """Return `image` with every `across` times `down` pixels averaged to one; see `resize` for `kept`."""
    rows, columns = image.shape[0] // down, image.shape[1] // across
    averaged = kept.get("averaged")
    if averaged is None or averaged.shape != (rows, columns, 3):
        averaged = kept["averaged"] = np.empty((rows, columns, 3), np.uint8)
    for top in range(0, rows, BAND):
        band = image[top * down : min(rows, top + BAND) * down, : columns * across]
        # OpenCV waits for each line of a frame that is not in the cache; read straight through first, it comes in half the time.
        band.max()
        cv2.resize(
            band,
            (columns, len(band) // down),
            averaged[top : top + BAND],
            interpolation=cv2.INTER_AREA,
        )
    return averaged


def shrink_to_fit(image, side):
    """Return uint8 RGB [height, width, 3] whose longer side is at most `side`; `image` itself where it is."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = tuple(max(1, round(length * scale)) for length in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _decode(path):
    """Return the file's picture as uint8 BGR; raise PicaptionError where it is none, damaged or too large."""
    with open(path, "rb") as file:
        gif = file.read(3) == b"GIF"
    with quiet_stderr():
        known = cv2.haveImageReader(str(path))
        try:
            if known:
                # From memory a picture cut short fails; from a file, some decoders fill it up with grey.
                image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
            else:
                # OpenCV before 4.12 knows a GIF as a video only.
                image = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).read()[1] if gif else None
        except cv2.error as error:
            if "MAX_IMAGE" in str(error):
                raise PicaptionError(
                    f"{path} has more than {MAX_PIXELS // 10**6} million pixels; "
                    "scale it down first"
                ) from None
            image = None
    if image is None and (known or gif):
        raise PicaptionError(f"{path} is cut short or damaged; copy it again")
    if image is None:
        raise PicaptionError(
            f"{path} is not a picture that can be read; give a JPEG, PNG, WebP, BMP or TIFF file"
        )
    return image


@contextmanager
def quiet_stderr():
    """Keep what libraries print from the process' standard error, which they write to directly."""
    with _stderr_lock, open(os.devnull, "wb") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
