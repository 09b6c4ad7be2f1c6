"""Images: read from files, written to files, and brought to the size that a network takes.

An image is uint8 RGB [height, width, 3] everywhere in picaption; OpenCV's BGR stays in this file.
"""

import errno
import logging
import os
import re
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from . import MAX_PIXELS
from .atomic import read_file, write_bytes
from .errors import PicaptionError
from .opencv_path import opencv_path

logger = logging.getLogger(__name__)

#: The endings of the files in a folder that are taken for images.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".gif"),
)
#: The endings of images that OpenCV does not read: of phones, of cameras, of image editors.
UNREADABLE_SUFFIXES = (
    *(".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
    *(".psd", ".xcf", ".svg"),
)
#: The endings of videos that begin as a JPEG does, or may be one.
_JPEG_VIDEO_SUFFIXES = (".mjpeg", ".mjpg")

#: The most bytes that the decoding of an image may take: MAX_PIXELS of 8 bits, turned, and more.
DECODING_BYTES = 800 << 20
#: The most bytes that an image's file may have.
MAX_IMAGE_BYTES = 512 << 20
#: How a PNG begins (ISO/IEC 15948, 5.2).
PNG_START = b"\x89PNG\r\n\x1a\n"
#: How a JPEG begins and ends (ITU-T T.81, B.1.1.3), and bytes that are data of a scan.
JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
JPEG_PADDING = b"\x55" * 64

#: OpenCV's flag for sides of a half, a quarter and an eighth.
REDUCED_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

#: OpenCV's rotation for the angle of an AVIF, in quarter turns anticlockwise.
AVIF_ROTATIONS = {
    1: cv2.ROTATE_90_COUNTERCLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_CLOCKWISE,
}

#: Averaged pixels are made in bands of so many rows: what a band takes, 460 kB at 640 columns, fits
#: into a board's second-level cache.
BAND_ROWS = 120

_memory_lock = threading.Lock()
_stderr_lock = threading.Lock()
#: How many threads discard what is printed there now, and where it goes otherwise.
_silencers = 0
_stderr_copy = -1


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the image at `path` as uint8 RGB [height, width, 3].

    Grey, CMYK and 16-bit images are converted (16 bits scaled to 8), an alpha channel is dropped,
    the orientation that the file says is applied, and an animation yields its first frame.

    Raises:
        PicaptionError: there is no image, or only a part of one.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise PicaptionError(f"there is no picture at {path}; check the path")
        if not path.is_file():
            raise PicaptionError(f"{path} is not a file; give the path of one picture")
        if path.stat().st_size == 0:
            raise PicaptionError(f"{path} is empty (0 bytes); copy it again")
        with opencv_path(path) as name:
            image = _decode(path, name)
    except OSError as error:
        advice = "give a smaller one" if error.errno == errno.EFBIG else "check its permissions"
        raise PicaptionError(f"{path} cannot be read ({error.strerror}); {advice}") from None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def decode_image(data: bytes, label: str, reduction: int = 1) -> np.ndarray:
    """Return the image of a file's bytes, as `read_image` does; for files that others send.

    Args:
        data: The bytes of a JPEG, PNG or WebP file.
        label: What errors call it.
        reduction: 2, 4 or 8 for an image with sides of a half, a quarter or an eighth, which takes
            a JPEG a fraction of the time.

    Returns:
        uint8 RGB [height, width, 3].

    Raises:
        PicaptionError: It is damaged or too large, or its channels are of an unusual depth.
    """
    image = None
    depth = ""
    if _chunks_are_inside(data):
        with quiet_stderr(), limited_memory(DECODING_BYTES):
            try:
                image = _decode_oriented(data, REDUCED_FLAGS[reduction])
            except cv2.error as error:
                _raise_if_large(error, label)
            if image is None:
                depth = _unusual_depth(data)
    if depth:
        raise PicaptionError(_depth_message(label, depth))
    if image is None:
        raise PicaptionError(f"{label} is cut short or damaged; copy it again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def require_image(image: np.ndarray) -> None:
    """Raise PicaptionError unless `image` is uint8 RGB [height, width, 3]."""
    if not isinstance(image, np.ndarray):
        raise PicaptionError(
            f"an image is a numpy array, not {type(image).__name__}; "
            "picaption.device.images.read_image reads one from a file"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise PicaptionError(
            f"an image is uint8 RGB [height, width, 3], not {image.dtype} {list(image.shape)}; "
            "convert it first"
        )


def encode_image(image: np.ndarray, suffix: str, quality: int = 95) -> bytes:
    """Return an image as the bytes of a file.

    Args:
        image: uint8 RGB [height, width, 3].
        suffix: the ending of the file, which chooses the format.
        quality: of a JPEG, up to 100.

    Raises:
        cv2.error: no image format that can be written has this suffix, or not of such an image.
    """
    if not suffix.isascii():
        raise cv2.error(f"no image format has the suffix {suffix!r}")
    is_jpeg = suffix.lower() in (".jpg", ".jpeg")
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if is_jpeg else []
    is_encoded, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    if not is_encoded:  # Such as colours as .pgm.
        raise cv2.error(f"this image cannot be one of the suffix {suffix!r}")
    return data.tobytes()


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write an image, completely or not at all.

    Args:
        path: the file; its ending chooses the format.
        image: uint8 RGB [height, width, 3].

    Raises:
        PicaptionError: the ending is not that of an image, or the file cannot be written.
    """
    path = Path(path)
    try:
        data = encode_image(image, path.suffix)
    except cv2.error:
        raise PicaptionError(
            f"{path} has no ending of a picture that can be written; use .jpg or .png"
        ) from None
    try:
        write_bytes(path, data)
    except OSError as error:
        raise PicaptionError(
            f"{path} cannot be written ({error.strerror}); check the folder"
        ) from None


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the paths of the images in `folder` (not below it), sorted by name.

    Raises:
        PicaptionError: there is no such folder, or no image in it.
    """
    paths = find_images(folder)
    if not paths:
        raise PicaptionError(
            f"the folder {folder} holds no pictures; "
            f"put files ending in {' '.join(IMAGE_SUFFIXES)} there"
        )
    return paths


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the paths of the images in `folder` like `list_images`, but maybe none.

    How many images are of a kind that cannot be read is logged.

    Raises:
        PicaptionError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PicaptionError(f"there is no folder {folder}; check the path")
    paths = [path for path in _visible_entries(folder) if not path.is_dir()]
    unreadable = [path for path in paths if path.suffix.lower() in UNREADABLE_SUFFIXES]
    if unreadable:
        suffixes = " ".join(sorted({path.suffix.lower() for path in unreadable}))
        logger.warning(
            "%s: pictures left out that cannot be read: %d (%s); convert them to JPEG",
            folder,
            len(unreadable),
            suffixes,
        )
    return [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]


def is_image(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is an image, and no video, by its ending or its first bytes."""
    suffix = Path(path).suffix.lower()
    if suffix in IMAGE_SUFFIXES or suffix in UNREADABLE_SUFFIXES:
        return True
    if suffix in _JPEG_VIDEO_SUFFIXES:
        return False
    with opencv_path(path) as name:
        return cv2.haveImageReader(name)


def find_class_folders(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the folders in `folder` that hold the images of a class each, sorted by name."""
    return [path for path in _visible_entries(Path(folder)) if path.is_dir()]


def _visible_entries(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted by name, without hidden files and folders."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise PicaptionError(
            f"{folder} cannot be read ({error.strerror}); check its permissions"
        ) from None


#: A picture that shrinks less than so many times as much one way as the other is averaged by
#: squares: OpenCV takes a fifth of the time for squares of two.
MAX_UNEVEN = 3


def resize(
    image: np.ndarray,
    height: int,
    width: int,
    rule: str,
    buffers: dict[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Return an image in another size.

    Shrinking averages areas, enlarging interpolates linearly: first as many pixels as fit into one
    are averaged, then what is left is interpolated. That is nearly as even as averaging all at
    once, and eight times as fast.

    Args:
        image: uint8 RGB [rows, columns, 3].
        height: of the result.
        width: of the result.
        rule: "stretch" the image to the new shape, or "crop" its centre to it first.
        buffers: keeps the memory of the result for the next call, which overwrites it.

    Returns:
        uint8 RGB [height, width, 3]; the very `image`, not a copy, if that is its size already.
    """
    if image.shape[:2] == (height, width):
        return image
    if rule == "crop":
        image = _centre(image, height, width)
    elif rule != "stretch":
        raise ValueError(f"the resize rule is 'stretch' or 'crop', not {rule!r}")
    if buffers is None:
        buffers = {}
    across = max(1, image.shape[1] // width)
    down = max(1, image.shape[0] // height)
    if max(across, down) < MAX_UNEVEN * min(across, down):
        across = down = min(across, down)
    if across > 1 or down > 1:
        image = _average(image, across, down, buffers)
    # EXACT rounds alike on every CPU, which plain linear does not: a Pi gets the very pixels of
    # training. OpenCV writes into the array it gets if the shape fits, and else makes another.
    buffers["scaled"] = cv2.resize(
        image, (width, height), buffers.get("scaled"), interpolation=cv2.INTER_LINEAR_EXACT
    )
    return buffers["scaled"]


def _centre(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the largest part in the middle of `image` with the proportions of the shape."""
    rows, columns = image.shape[:2]
    scale = max(height / rows, width / columns)
    part_rows = min(rows, round(height / scale))
    part_columns = min(columns, round(width / scale))
    top = (rows - part_rows) // 2
    left = (columns - part_columns) // 2
    return image[top : top + part_rows, left : left + part_columns]


def _average(
    image: np.ndarray, across: int, down: int, buffers: dict[str, np.ndarray]
) -> np.ndarray:
    """Return `image` with every `across` times `down` pixels averaged to a single one."""
    rows = image.shape[0] // down
    columns = image.shape[1] // across
    averaged = buffers.get("averaged")
    if averaged is None or averaged.shape != (rows, columns, 3):
        averaged = buffers["averaged"] = np.empty((rows, columns, 3), np.uint8)
    for top in range(0, rows, BAND_ROWS):
        band = image[top * down : min(rows, top + BAND_ROWS) * down, : columns * across]
        # OpenCV waits for each line of a frame that is not in the cache; read straight through
        # first, it comes in half the time.
        band.max()
        cv2.resize(
            band,
            (columns, len(band) // down),
            averaged[top : top + BAND_ROWS],
            interpolation=cv2.INTER_AREA,
        )
    return averaged


def shrink_to_fit(image: np.ndarray, side: int) -> np.ndarray:
    """Return `image` with a longer side of at most `side`; the very `image` if it fits."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    rows, columns = image.shape[:2]
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _decode(path: Path, name: str) -> np.ndarray:
    """Return the file's image as uint8 BGR [height, width, 3].

    Args:
        path: the file.
        name: its path as OpenCV can open it.

    Raises:
        PicaptionError: it is not an image, or damaged, or too large.
    """
    data = read_file(path, MAX_IMAGE_BYTES)
    is_gif = data.startswith(b"GIF")
    image = None
    depth = ""
    if not _chunks_are_inside(data):
        raise PicaptionError(f"{path} is cut short or damaged; copy it again")
    with quiet_stderr(), limited_memory(DECODING_BYTES):
        has_decoder = cv2.haveImageReader(name)
        try:
            if has_decoder:
                # From memory a file cut short fails; from disk, some decoders fill it up with grey.
                image = _decode_oriented(data)
            elif is_gif:
                # OpenCV before 4.12 reads a GIF only as a video.
                image = cv2.VideoCapture(name, cv2.CAP_FFMPEG).read()[1]
        except cv2.error as error:
            _raise_if_large(error, path)
        if image is None and has_decoder:
            depth = _unusual_depth(data)
    if image is not None:
        return image
    if depth:
        raise PicaptionError(_depth_message(path, depth))
    if has_decoder or is_gif:
        raise PicaptionError(f"{path} is cut short or damaged; copy it again")
    raise PicaptionError(
        f"{path} is not a picture that can be read; give a JPEG, PNG, WebP, BMP or TIFF file"
    )


def _raise_if_large(error: cv2.error, label: str | Path) -> None:
    """Raise PicaptionError if OpenCV refuses an image for its pixels, or for its memory."""
    if "MAX_IMAGE" in str(error):
        raise PicaptionError(
            f"{label} has more than {MAX_PIXELS // 10**6} million pixels; scale it down first"
        ) from None
    if error.code == cv2.Error.StsNoMem:
        raise PicaptionError(
            f"{label} takes more than {DECODING_BYTES >> 20} MB of memory to read; "
            "scale it down first"
        ) from None


def _depth_message(label: str | Path, depth: str) -> str:
    return (
        f"{label} is of a kind that cannot be read ({depth} a channel); "
        "save it with 8 or 16 bits a channel"
    )


def _decode_oriented(data: bytes, flags: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    """Return the image of a file's bytes, turned as they say: uint8 BGR; None if it is damaged."""
    if data[4:8] == b"ftyp":
        return _decode_avif(data)
    image = _imdecode(data, flags)
    if image is None and data.startswith(JPEG_START) and not data.endswith(JPEG_END):
        image = _decode_open_jpeg(data, flags)
    return image


def _imdecode(data: bytes, flags: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def _decode_open_jpeg(data: bytes, flags: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    """Return the image of a JPEG without its end marker; None if rows are missing too.

    Where all rows are there, it makes no difference what stands between them and the end.
    """
    image = _imdecode(data + JPEG_END, flags)
    padded = _imdecode(data + JPEG_PADDING + JPEG_END, flags)
    if image is None or padded is None or not np.array_equal(image, padded):
        return None
    return image


def _decode_avif(data: bytes) -> np.ndarray | None:
    """Return the image of an AVIF, rotated and mirrored as its properties irot and imir say.

    OpenCV leaves that out, and heeds an orientation in EXIF that AVIF does not use.
    """
    image = _imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        return None
    header = _avif_header(data)
    rotation = re.search(rb"\0\0\0\x09irot(.)", header, re.DOTALL)
    mirror = re.search(rb"\0\0\0\x09imir(.)", header, re.DOTALL)
    if rotation and rotation[1][0] & 3:
        image = cv2.rotate(image, AVIF_ROTATIONS[rotation[1][0] & 3])
    if mirror:
        image = cv2.flip(image, mirror[1][0] & 1)
    return image


def _avif_header(data: bytes) -> bytes:
    """Return the box "meta" of an AVIF, b"" without one (ISO/IEC 14496-12, 8.11)."""
    start = 0
    while start + 8 <= len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        if data[start + 4 : start + 8] == b"meta":
            return data[start : start + size]
        if size < 8:
            break
        start += size
    return b""


def _unusual_depth(data: bytes) -> str:
    """Return the type of a channel in an image that is whole, but not of 8 or 16 bits, else ""."""
    try:
        image = _imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return ""
    if image is None or image.dtype in (np.uint8, np.uint16):
        return ""
    return f"{image.dtype.itemsize * 8} bits, {image.dtype}"


def _chunks_are_inside(data: bytes) -> bool:
    """Return whether the chunks of a PNG are as long as they say; True for other files.

    A decoder takes memory for a chunk before it reads it: for one that says 2 GB, 2 GB.
    """
    if not data.startswith(PNG_START):
        return True
    start = len(PNG_START)
    while start + 8 <= len(data):
        if data[start + 4 : start + 8] == b"IEND":
            return True
        # Length and type are before the chunk's data, a checksum behind.
        start += 12 + int.from_bytes(data[start : start + 4], "big")
    return False


@contextmanager
def limited_memory(most: int) -> Iterator[None]:
    """Let this process take so many bytes of memory more at most: for files of others.

    What asks for more gets an error from the system, as if the memory were used up. Threads that
    use it at the same time take turns.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # Another system than Linux.
        yield
        return
    with _memory_lock:
        before = resource.getrlimit(resource.RLIMIT_AS)
        limits = [limit for limit in before if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([size + most, *limits]), before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Discard what libraries print to the process' standard error directly.

    Several threads may do so at once: none waits for another, which may wait for a camera.
    """
    global _silencers, _stderr_copy
    with _stderr_lock:
        if not _silencers:
            _stderr_copy = os.dup(2)
            with open(os.devnull, "wb") as devnull:
                os.dup2(devnull.fileno(), 2)
        _silencers += 1
    try:
        yield
    finally:
        with _stderr_lock:
            _silencers -= 1
            if not _silencers:
                os.dup2(_stderr_copy, 2)
                os.close(_stderr_copy)
