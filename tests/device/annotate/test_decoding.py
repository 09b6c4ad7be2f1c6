import cv2
import numpy as np
import pytest

from picaption.device.annotate.decoding import choose_reduction, decode_for, jpeg_size
from picaption.device.errors import PicaptionError
from picaption.device.images import encode_image, read_image
from tests.tiny import DEMO

#: EXIF that says: turn by 90 degrees.
TURNED = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


@pytest.fixture(scope="module")
def photo():
    return cv2.resize(read_image(DEMO / "cat.jpg"), (1000, 800))


@pytest.mark.parametrize(
    ("size", "reduction"),
    [((800, 1000), 1), ((895, 4000), 1), ((896, 896), 2), ((1792, 2000), 4), ((9000, 3584), 8)],
)
def test_a_reduced_image_has_twice_the_networks_sides(size, reduction):
    assert choose_reduction(size, 224) == reduction


def test_a_header_says_the_size(photo):
    data = encode_image(photo, ".jpg")
    assert jpeg_size(data) == (800, 1000)
    assert jpeg_size(data[:2] + TURNED + data[2:]) == (800, 1000)
    progressive = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert jpeg_size(progressive) == (800, 1000)
    for data in (b"\xff\xd8", b"\xff\xd8\xff\xe0\x00\x00", b"\xff\xd8" + b"\xff" * 100):
        assert jpeg_size(data) is None


def test_a_large_jpeg_is_decoded_smaller_and_turned(photo):
    data = encode_image(photo, ".jpg")
    assert decode_for(data, "x", 64, 64, is_scaled=True).shape == (200, 250, 3)
    assert decode_for(data, "x", 64, 64, is_scaled=False).shape == (800, 1000, 3)
    turned = data[:2] + TURNED + data[2:]
    assert decode_for(turned, "x", 64, 64, is_scaled=True).shape == (250, 200, 3)
    full = decode_for(data, "x", 64, 64, is_scaled=False)
    small = decode_for(data, "x", 64, 64, is_scaled=True)
    averaged = cv2.resize(full, (250, 200), interpolation=cv2.INTER_AREA)
    assert np.abs(averaged.astype(int) - small).mean() < 1.5


def test_other_formats_are_decoded_in_full(photo):
    data = encode_image(photo, ".png")
    assert decode_for(data, "x", 64, 64, is_scaled=True).shape == (800, 1000, 3)


def test_a_jpeg_cut_short_is_damaged_at_any_size(photo):
    data = encode_image(photo, ".jpg")
    for is_scaled in (True, False):
        with pytest.raises(PicaptionError, match="x is cut short or damaged"):
            decode_for(data[: len(data) // 2], "x", 64, 64, is_scaled)
    # Only the end's marker is missing.
    assert decode_for(data[:-2], "x", 64, 64, is_scaled=True).shape == (200, 250, 3)


def test_a_giant_jpeg_is_refused_however_small_it_would_be_decoded(photo):
    data = bytearray(encode_image(photo, ".jpg"))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(PicaptionError, match="more than 100 million pixels"):
        decode_for(bytes(data), "x", 64, 64, is_scaled=True)
