"""The kinds of input that are pictures and videos."""

import zlib
from pathlib import Path
from random import Random

import cv2
import numpy as np

from picaption.device.config.settings import Config
from picaption.device.images import encode_image, read_image
from picaption.device.live.pipeline import open_configured_source

from .kind import Kind
from .mutation import mutate_bytes

PICTURE_SUFFIXES = (
    ".jpg",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".ppm",
    ".pgm",
    ".gif",
    ".avif",
    ".jp2",
)
VIDEOS = ((".avi", "MJPG"), (".mp4", "mp4v"), (".webm", "VP80"))
#: Frames that are read of a video at most.
_MAX_FRAMES = 30
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _picture() -> np.ndarray:
    """Return a picture of 48 x 32 pixels with colours and noise."""
    return np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)


def _pictures_seeds(folder: Path) -> list[bytes]:
    seeds = []
    for suffix in PICTURE_SUFFIXES:
        try:
            seeds.append(encode_image(_picture(), suffix))
        except cv2.error:
            continue  # This OpenCV does not write the format.
    return seeds


def _use_picture(content: bytes, folder: Path) -> None:
    path = folder / "input.jpg"  # OpenCV goes by the content.
    path.write_bytes(content)
    read_image(path)


def _mutate_picture(seed: bytes, random: Random) -> bytes:
    """Return mutated bytes; those of a PNG with right checksums half of the time."""
    content = mutate_bytes(seed, random)
    if content.startswith(_PNG_SIGNATURE) and random.random() < 0.5:
        return _with_checksums(content)
    return content


def _with_checksums(png: bytes) -> bytes:
    """Return a PNG with the right checksum behind every chunk."""
    content = bytearray(png)
    start = len(_PNG_SIGNATURE)
    while start + 12 <= len(content):
        length = int.from_bytes(content[start : start + 4], "big")
        end = start + 8 + length
        if end + 4 > len(content):
            break
        content[end : end + 4] = zlib.crc32(content[start + 4 : end]).to_bytes(4, "big")
        start = end + 4
    return bytes(content)


def _videos_seeds(folder: Path) -> list[bytes]:
    seeds = []
    for suffix, codec in VIDEOS:
        path = folder / f"seed{suffix}"
        code = cv2.VideoWriter.fourcc(*codec)
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 25, (48, 32))
        if not writer.isOpened():
            continue  # This OpenCV does not write the format.
        for shift in range(5):
            writer.write(np.roll(_picture(), shift, 1))
        writer.release()
        seeds.append(path.read_bytes())
    return seeds


def _use_video(content: bytes, folder: Path) -> None:
    path = folder / "input.video"
    path.write_bytes(content)
    source = open_configured_source(str(path), Config())
    try:
        for _ in range(_MAX_FRAMES):
            if source.read() is None:
                break
    finally:
        source.close()


KINDS = (
    Kind("pictures", _pictures_seeds, _use_picture, _mutate_picture),
    Kind("videos", _videos_seeds, _use_video, mutate_bytes),
)
