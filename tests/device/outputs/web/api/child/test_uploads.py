"""Pictures as clients send them, and what is said of those that are none."""

import base64

import numpy as np
import pytest

from picaption.device.images import encode_image
from picaption.device.outputs.web.api.child.uploads import (
    decode_base64,
    decode_upload,
    decode_url,
    extract_upload,
)
from picaption.device.outputs.web.api.exchange import ApiError

RED = np.full((6, 9, 3), (250, 0, 0), np.uint8)
PNG = encode_image(RED, ".png")
TEXT = base64.b64encode(PNG).decode()


def form(*parts, boundary="edge"):
    """Return the body of a form of (headers, content) parts."""
    lines = b"".join(
        f"--{boundary}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n"
        for headers, content in parts
    )
    return lines + f"--{boundary}--\r\n".encode()


def disposition(name, filename=None):
    ending = "" if filename is None else f'; filename="{filename}"'
    return f'Content-Disposition: form-data; name="{name}"{ending}'


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_three_formats_are_decoded(suffix):
    image = decode_upload(encode_image(RED, suffix))
    assert image.shape == (6, 9, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - RED).mean() < 6


@pytest.mark.parametrize(
    "data, status, message",
    [
        (b"", 400, "empty"),
        (b"hello", 415, "not a JPEG, PNG or WebP"),
        (encode_image(RED, ".bmp"), 415, "not a JPEG, PNG or WebP"),
        (PNG[:40], 400, "cut short or damaged"),
        (encode_image(RED, ".jpg")[:100], 400, "cut short or damaged"),
        (b"RIFF\0\0\0\0WEBP" + bytes(50), 400, "cut short or damaged"),
        # A header that says 40,000 times 40,000 pixels.
        (PNG[:16] + (40_000).to_bytes(4, "big") * 2 + PNG[24:], 400, "damaged|million pixels"),
    ],
)
def test_what_is_no_picture_is_refused(data, status, message):
    with pytest.raises(ApiError, match=message) as error:
        decode_upload(data)
    assert error.value.status in (status, 413)


def test_too_many_pixels_are_refused_before_they_are_decoded():
    import zlib

    def chunk(name, data):
        checked = name + data
        return len(data).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")

    header = (20_000).to_bytes(4, "big") + (20_000).to_bytes(4, "big") + b"\x08\x02\0\0\0"
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    bomb = PNG[:8] + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
    with pytest.raises(ApiError, match="million pixels; scale it down") as error:
        decode_upload(bomb)
    assert error.value.status == 413


def test_base64_comes_with_and_without_a_data_url():
    for text in (TEXT, f"data:image/png;base64,{TEXT}", f"{TEXT[:20]}\n{TEXT[20:]}\r\n"):
        assert np.array_equal(decode_base64(text), RED)
    assert np.array_equal(decode_url(f"DATA:image/png;BASE64,{TEXT}"), RED)


@pytest.mark.parametrize("text", [None, 5, ["a"], "%%%", TEXT[:-3] + "é==", TEXT[:-1] + "?", "A"])
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(ApiError) as error:
        decode_base64(text)
    assert error.value.status == 400


@pytest.mark.parametrize(
    "url", ["http://elsewhere.example/cat.jpg", "file:///etc/passwd", "data:,", "", None, {}]
)
def test_no_address_is_opened(url):
    with pytest.raises(ApiError) as error:
        decode_url(url)
    assert error.value.status == 400


def test_a_body_is_the_picture_itself_or_a_form_with_it():
    assert extract_upload(PNG, "image/png") == extract_upload(PNG, "") == PNG
    content_type = "multipart/form-data; boundary=edge"
    tricky = b"\r\n--edg\r\n\r" + PNG + b"\r\n"
    for parts in (
        [(disposition("file", "a.png"), tricky)],
        [(disposition("note"), b"hello"), (disposition("image"), tricky)],
        [(disposition("anything", "b.png") + "\r\nContent-Type: image/png", tricky)],
        [(disposition("file", "a.png"), tricky), (disposition("file", "b.png"), b"other")],
    ):
        assert extract_upload(form(*parts), content_type) == tricky


@pytest.mark.parametrize(
    "content_type, body, message",
    [
        ("multipart/form-data", b"", "no boundary"),
        ("multipart/form-data; boundary=edge", form((disposition("note"), b"hi")), "has no file"),
        ("multipart/form-data; boundary=edge", b"hello", "broken"),
        ("multipart/form-data; boundary=edge", form(*[(disposition("a"), b"")] * 21), "20 parts"),
    ],
)
def test_a_form_without_a_picture_is_refused(content_type, body, message):
    with pytest.raises(ApiError, match=message) as error:
        extract_upload(body, content_type)
    assert error.value.status == 400
