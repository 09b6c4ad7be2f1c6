"""Reading, writing, listing and resizing pictures, the broken and the unusual ones too."""

import base64
import os
import struct
import subprocess
import sys
import threading
import zlib

import cv2
import numpy as np
import pytest

from picaption.device import images
from picaption.device.errors import PicaptionError
from picaption.device.images import (
    encode_image,
    find_class_folders,
    find_images,
    limited_memory,
    list_images,
    quiet_stderr,
    read_image,
    resize,
    shrink_to_fit,
    write_image,
)

RED, GREEN = (220, 30, 40), (20, 200, 90)

# The picture of `two_colours` in formats that OpenCV does not write itself.
CMYK_JPEG = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAGBAUGBQQGBgUGBwcGCAoQCgoJCQoUDg8MEBcUGBgXFBYWGh0lHxobIxwWFiAsICMmJykqKRkfLTAtKDAl"
    "KCko/8AAFAgACAAQBEMRAE0RAFkRAEsRAP/EABcAAAMBAAAAAAAAAAAAAAAAAAAHCAn/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oADgRDAE0AWQBL"
    "AAA/AH2nwilUs9FxmEH/2Q=="
)
ANIMATED_GIF = base64.b64decode(
    "R0lGODdhEAAIAIEAABTIWtweKAAAAAAAACwAAAAAEAAIAAAIJAADCBwoEIDBgwYJEkSIUOFAhgcdFoQIQGIAihUlYrS4USPFgAAh+QQBAAACACwA"
    "AAAAEAAIAIEj4dfrN6UAAAAAAAAIJAABCBwoMIDBgwYJEkSIUOFAhgcdFoQYQCIAihUlYrS4USPFgAA7"
)
ANIMATED_WEBP = base64.b64decode(
    "UklGRtgAAABXRUJQVlA4WAoAAAACAAAADwAABwAAQU5JTQYAAAAAAAAAAABBTk1GUgAAAAAAAAAAAA8AAAcAAAAAAAJWUDggOgAAALABAJ0BKhAA"
    "CAAAwBIloAADXy/fUpgA/vpjY6bFgT//6MP/+B//ww/r1//+/df/+3I//+/df/auQABBTk1GUgAAAAAAAAAAAA8AAAcAAAAAAABWUDggOgAAALQB"
    "AJ0BKhAACAAAABIloAADOyyhf/AA/vi35GPDb//9CT/9y//4JPs+///f7H//bQP//gfv/tiAAAA="
)
EXIF_TURN_RIGHT = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


@pytest.fixture
def two_colours():
    """Red on the left, green on the right: uint8 RGB [8, 16, 3]."""
    image = np.empty((8, 16, 3), np.uint8)
    image[:, :8], image[:, 8:] = RED, GREEN
    return image


def encoded(suffix, image, *settings):
    return cv2.imencode(suffix, image, settings)[1].tobytes()


def check_two_colours(image, tolerance=3):
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    assert image.shape == (8, 16, 3)
    np.testing.assert_allclose(image[4, 3].astype(int), RED, atol=tolerance)
    np.testing.assert_allclose(image[4, 12].astype(int), GREEN, atol=tolerance)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif"])
def test_lossless_formats_are_read_exactly(tmp_path, two_colours, suffix):
    path = tmp_path / f"two{suffix}"
    write_image(path, two_colours)
    np.testing.assert_array_equal(read_image(path), two_colours)
    np.testing.assert_array_equal(read_image(str(path)), two_colours)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("width", [1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 65, 129])
def test_channels_are_exchanged_at_any_width(tmp_path, width):
    image = np.random.default_rng(width).integers(0, 256, (5, width, 3), np.uint8)
    write_image(tmp_path / "any.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "any.png"), image)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_keep_the_colours(tmp_path, two_colours, suffix):
    path = tmp_path / f"zwei Farben ü{suffix}"
    write_image(path, two_colours)
    image = read_image(path)
    np.testing.assert_allclose(image[4, 1].astype(int), RED, atol=12)
    np.testing.assert_allclose(image[4, 14].astype(int), GREEN, atol=12)


@pytest.mark.parametrize(
    "data, name",
    [(CMYK_JPEG, "cmyk.jpg"), (ANIMATED_GIF, "animated.gif"), (ANIMATED_WEBP, "animated.webp")],
)
def test_cmyk_and_the_first_frame_of_an_animation(tmp_path, data, name):
    (tmp_path / name).write_bytes(data)
    check_two_colours(read_image(tmp_path / name), tolerance=8)


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = np.arange(128, dtype=np.uint8).reshape(8, 16)
    (tmp_path / "grey.png").write_bytes(encoded(".png", grey))
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.stack([grey] * 3, axis=2))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, two_colours, suffix):
    deep = two_colours[..., ::-1].astype(np.uint16) * 257
    (tmp_path / f"deep{suffix}").write_bytes(encoded(suffix, deep))
    check_two_colours(read_image(tmp_path / f"deep{suffix}"), tolerance=1)
    (tmp_path / f"night{suffix}").write_bytes(
        encoded(suffix, np.full((8, 16), 40 * 256, np.uint16))
    )
    assert set(read_image(tmp_path / f"night{suffix}").ravel()) == {40}


def test_alpha_is_dropped(tmp_path, two_colours):
    (tmp_path / "alpha.png").write_bytes(
        encoded(".png", np.dstack([two_colours[..., ::-1], np.full((8, 16), 128)]))
    )
    check_two_colours(read_image(tmp_path / "alpha.png"), tolerance=0)


def test_exif_orientation_is_applied(tmp_path, two_colours):
    jpeg = encoded(".jpg", two_colours[..., ::-1])
    segment = b"\xff\xe1" + struct.pack(">H", len(EXIF_TURN_RIGHT) + 2) + EXIF_TURN_RIGHT
    (tmp_path / "turned.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    image = read_image(tmp_path / "turned.jpg")
    assert image.shape == (16, 8, 3)
    np.testing.assert_allclose(image[1, 4].astype(int), RED, atol=12)
    np.testing.assert_allclose(image[14, 4].astype(int), GREEN, atol=12)


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("missing.jpg", None, "there is no picture at"),
        ("empty.jpg", b"", "is empty"),
        ("notes.jpg", b"this is only text\n" * 40, "is not a picture"),
        ("four.png", b"\x89PNG", "is not a picture"),
        ("cut.gif", ANIMATED_GIF[:40], "is cut short or damaged"),
    ],
)
def test_what_is_no_picture_is_one_line(tmp_path, capfd, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(PicaptionError, match=message) as error:
        read_image(tmp_path / name)
    assert name in str(error.value) and "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".ppm"])
@pytest.mark.parametrize("missing_bytes", [2, 12, 700, 0.5, 0.9])
def test_a_picture_cut_short_is_refused(tmp_path, capfd, suffix, missing_bytes):
    if (suffix, missing_bytes) == (".jpg", 2):
        pytest.skip("a JPEG without its end marker has all its rows")
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    data = encoded(suffix, image)
    cut = missing_bytes if missing_bytes > 1 else int(missing_bytes * len(data))
    (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) - cut])
    with pytest.raises(PicaptionError, match="is cut short or damaged"):
        read_image(tmp_path / f"cut{suffix}")
    assert capfd.readouterr() == ("", "")


def test_a_progressive_jpeg_cut_short_is_refused(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    data = encoded(".jpg", image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    (tmp_path / "cut.jpg").write_bytes(data[: -len(data) // 4])
    with pytest.raises(PicaptionError, match="is cut short or damaged"):
        read_image(tmp_path / "cut.jpg")


def test_a_folder_and_a_device_are_no_pictures(tmp_path):
    for path in (tmp_path, "/dev/zero"):
        with pytest.raises(PicaptionError, match="is not a file"):
            read_image(path)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    (tmp_path / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(90001 * 40)))
        + chunk(b"IEND", b"")
    )
    # OpenCV takes its limit when it is loaded, so this needs a fresh process.
    path = str(tmp_path / "bomb.png")
    program = f"from picaption.device.images import read_image; read_image({path!r})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 1
    assert "bomb.png has more than 100 million pixels" in result.stderr.splitlines()[-1]


def test_write_picture_leaves_nothing_half_written(tmp_path, two_colours):
    # OpenCV reads .pgm, but does not write colours so.
    for name in ("two.txt", "two", "absent/two.png", "two.pgm"):
        with pytest.raises(PicaptionError, match=name):
            write_image(tmp_path / name, two_colours)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PicaptionError, match="cannot be written"):
        write_image(tmp_path / "folder.png", two_colours)
    assert os.listdir(tmp_path) == ["folder.png"]


def test_a_picture_of_lower_quality_takes_fewer_bytes(two_colours):
    low, high = (encode_image(two_colours, ".jpg", quality) for quality in (20, 95))
    assert low[:2] == high[:2] == b"\xff\xd8" and len(low) < len(high)
    assert encode_image(two_colours, ".jpg") == high


def test_write_picture_replaces_the_file(tmp_path, two_colours):
    path = tmp_path / "two.png"
    path.write_bytes(b"old")
    write_image(path, two_colours)
    np.testing.assert_array_equal(read_image(path), two_colours)


def test_list_pictures_sorts_and_leaves_other_files_out(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.jpeg", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.PNG", "c.jpeg"]


def test_list_pictures_without_pictures(tmp_path):
    with pytest.raises(PicaptionError, match="holds no pictures"):
        list_images(tmp_path)
    with pytest.raises(PicaptionError, match="there is no folder"):
        list_images(tmp_path / "absent")


def test_resize_returns_the_very_array_where_the_size_fits(two_colours):
    assert resize(two_colours, 8, 16, "stretch") is two_colours
    assert resize(two_colours, 8, 16, "crop") is two_colours


def test_squash_averages_the_whole_frame():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:2, :4] = 100
    image[2:, 4:] = [40, 80, 120]
    image[0, 0] = 140
    # Each output pixel is the mean of a 2 x 4 block: (7 * 100 + 140) / 8 = 105.
    expected = [[[105] * 3, [0] * 3], [[0] * 3, [40, 80, 120]]]
    np.testing.assert_array_equal(resize(image, 2, 2, "stretch"), expected)


def test_crop_keeps_the_centre():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 2:6] = [10, 20, 30]
    np.testing.assert_array_equal(resize(image, 2, 2, "crop"), np.full((2, 2, 3), [10, 20, 30]))
    np.testing.assert_array_equal(resize(image, 4, 4, "crop"), image[:, 2:6])
    tall = np.ascontiguousarray(image.transpose(1, 0, 2))
    np.testing.assert_array_equal(resize(tall, 2, 2, "crop"), np.full((2, 2, 3), [10, 20, 30]))


def test_enlarging_interpolates_linearly():
    image = np.array([[[0] * 3, [100] * 3]], np.uint8)
    # Output centres lie at -0.25, 0.25, 0.75 and 1.25 of the input's pixels; beyond the edge the
    # edge holds.
    np.testing.assert_array_equal(resize(image, 1, 4, "stretch")[0, :, 0], [0, 25, 75, 100])


@pytest.mark.parametrize("rule", ["stretch", "crop"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 2), (1080, 1920)])
def test_resize_takes_any_size(shape, rule):
    image = np.full((*shape, 3), 77, np.uint8)
    resized = resize(image, 24, 32, rule)
    assert resized.shape == (24, 32, 3) and resized.dtype == np.uint8
    assert (resized == 77).all()


@pytest.mark.parametrize("rule", ["stretch", "crop"])
def test_resize_uses_the_memory_it_is_given_again(photos, rule):
    kept = {}
    first = resize(photos["cat"], 100, 100, rule, kept)
    np.testing.assert_array_equal(first, resize(photos["cat"], 100, 100, rule))
    again = resize(photos["coffee"], 100, 100, rule, kept)
    assert again is first
    for other in (
        photos["coffee"],
        photos["cat"][:130, :90],
        photos["cat"],
    ):  # Also where the picture has another size.
        np.testing.assert_array_equal(
            resize(other, 100, 100, rule, kept), resize(other, 100, 100, rule)
        )


@pytest.mark.parametrize(("columns", "expected"), [(4, [5, 25]), (12, [25, 85])])
def test_what_shrinks_one_way_alone_is_averaged_too(columns, expected):
    row = np.arange(columns, dtype=np.uint8) * 10
    image = np.broadcast_to(row[None, :, None], (2, columns, 3)).copy()
    assert resize(image, 2, 2, "stretch")[:, :, 0].tolist() == [expected] * 2


def test_resize_refuses_an_unknown_rule(two_colours):
    with pytest.raises(ValueError, match="letterbox"):
        resize(two_colours, 4, 4, "letterbox")


def test_shrunk_keeps_the_shape_and_leaves_small_pictures_alone():
    picture = np.full((240, 480, 3), 90, np.uint8)
    assert shrink_to_fit(picture, 480) is picture and shrink_to_fit(picture, 100).shape == (
        50,
        100,
        3,
    )
    assert shrink_to_fit(np.zeros((2, 4000, 3), np.uint8), 100).shape == (1, 100, 3)


def test_class_folders_are_the_visible_folders_and_images_may_be_missing(tmp_path):
    for name in ("dog", "cat", ".cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.jpg").write_bytes(b"")
    (tmp_path / "cat" / "folder.jpg").mkdir()
    (tmp_path / "cat" / ".hidden.jpg").write_bytes(b"")
    assert find_class_folders(tmp_path) == [tmp_path / "cat", tmp_path / "dog"]
    assert find_images(tmp_path / "cat") == []
    (tmp_path / "cat" / "1.PNG").write_bytes(b"")
    assert find_images(tmp_path / "cat") == [tmp_path / "cat" / "1.PNG"]
    with pytest.raises(PicaptionError, match="there is no folder"):
        find_images(tmp_path / "bird")


# --- files that are turned, lack their end, or are of unusual kinds


def quarters(image):
    """Return the levels in the middle of the four quarters of an image, in reading order."""
    rows, columns = image.shape[:2]
    points = [(y, x) for y in (rows // 4, 3 * rows // 4) for x in (columns // 4, 3 * columns // 4)]
    return [int(round(image[point].mean() / 60)) for point in points]


@pytest.mark.parametrize(
    "properties, expected",
    [
        ({}, [1, 2, 3, 4]),
        ({"imir": 1}, [2, 1, 4, 3]),
        ({"irot": 2}, [4, 3, 2, 1]),
        ({"imir": 0}, [3, 4, 1, 2]),
        ({"irot": 1, "imir": 0}, [1, 3, 2, 4]),
        ({"irot": 3}, [3, 1, 4, 2]),
        ({"irot": 3, "imir": 0}, [4, 2, 3, 1]),
        ({"irot": 1}, [2, 4, 1, 3]),
    ],
)
def test_avif_is_turned_as_its_properties_say(tmp_path, properties, expected):
    """The orientations of EXIF from 1 to 8, in the properties that phones write for them."""
    image = np.empty((64, 64, 3), np.uint8)
    image[:32, :32], image[:32, 32:], image[32:, :32], image[32:, 32:] = 60, 120, 180, 240
    (tmp_path / "turned.avif").write_bytes(with_properties(encoded(".avif", image), properties))
    assert quarters(read_image(tmp_path / "turned.avif")) == expected


def with_properties(avif, properties):
    """Return an AVIF with properties of a byte each, for all of its images."""
    boxes = b"".join(
        b"\0\0\0\x09" + name.encode() + bytes([value]) for name, value in properties.items()
    )
    meta = avif.index(b"meta") - 4
    size = int.from_bytes(avif[meta : meta + 4], "big")
    ipco = avif.index(b"ipco", meta) - 4
    end = ipco + int.from_bytes(avif[ipco : ipco + 4], "big")
    data = bytearray(avif[:end] + boxes + avif[end:])
    for start in (meta, avif.index(b"iprp", meta) - 4, ipco):
        grown = int.from_bytes(data[start : start + 4], "big") + len(boxes)
        data[start : start + 4] = grown.to_bytes(4, "big")
    # The data of the image lies so much further behind: iloc holds its offset.
    offset = (meta + size + 8).to_bytes(4, "big")
    at = data.index(offset, data.index(b"iloc"))
    data[at : at + 4] = (meta + size + 8 + len(boxes)).to_bytes(4, "big")
    return bytes(data)


def test_a_jpeg_without_its_end_marker_is_whole_and_one_without_rows_is_not(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (40, 48, 3), np.uint8)
    data = encoded(".jpg", image)
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "open.jpg").write_bytes(data[:-2])
    np.testing.assert_array_equal(
        read_image(tmp_path / "open.jpg"), read_image(tmp_path / "whole.jpg")
    )
    for length in (len(data) // 2, len(data) - 60):
        (tmp_path / "open.jpg").write_bytes(data[:length])
        with pytest.raises(PicaptionError, match="cut short or damaged"):
            read_image(tmp_path / "open.jpg")


@pytest.mark.parametrize("dtype, kind", [(np.float32, "32 bits, float32"), (np.int32, "int32")])
def test_a_tiff_of_32_bits_is_refused_as_that(tmp_path, dtype, kind):
    (tmp_path / "deep.tif").write_bytes(encoded(".tif", np.ones((8, 8, 3), dtype)))
    with pytest.raises(PicaptionError, match=f"of a kind that cannot be read .*{kind}"):
        read_image(tmp_path / "deep.tif")


def test_pictures_that_cannot_be_read_are_counted(tmp_path, caplog):
    for name in ("a.jfif", "b.AVIF", "c.heic", "d.HEIC", "e.nef", "f.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_images(tmp_path)] == ["a.jfif", "b.AVIF"]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: pictures left out that cannot be read: 3 (.heic .nef); convert them to JPEG"
    ]


def png_chunk(name, data, length=None):
    """Return a chunk of a PNG that says to have `length` bytes of data."""
    length = len(data) if length is None else length
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", length) + name + data + checksum


@pytest.mark.parametrize("name", [b"IDAT", b"tEXt", b"eXIf"])
def test_a_png_with_a_chunk_beyond_its_end_is_refused_before_it_is_decoded(
    tmp_path, monkeypatch, name
):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    chunk = png_chunk(name, b"x" * 99, 0x7FFFFFF0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk + png_chunk(b"IEND", b""))
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(PicaptionError, match="is cut short or damaged"):
        read_image(path)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_decoding_has_a_limit_of_memory():
    with limited_memory(100 << 20):
        bytearray(50 << 20)
        with pytest.raises(MemoryError):
            bytearray(200 << 20)
    bytearray(200 << 20)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_a_file_that_asks_for_more_is_one_line(tmp_path, monkeypatch):
    # 6000 x 6000 pixels take 108 MB, of a file of a few kB.
    path = tmp_path / "large.png"
    path.write_bytes(encode_image(np.zeros((6000, 6000, 3), np.uint8), ".png"))
    monkeypatch.setattr(images, "DECODING_BYTES", 32 << 20)
    with pytest.raises(PicaptionError, match="large.png") as error:
        read_image(path)
    assert "\n" not in str(error.value)


def test_a_file_beyond_all_images_is_not_read(tmp_path):
    with open(tmp_path / "sparse.jpg", "wb") as file:
        file.truncate(1 << 40)
    message = r"sparse.jpg cannot be read \(it has more than 512 MB\); give a smaller one$"
    with pytest.raises(PicaptionError, match=message):
        read_image(tmp_path / "sparse.jpg")


def test_standard_error_is_quiet_until_the_last_thread_has_done_and_none_waits(capfd):
    let_go = threading.Event()
    entered = threading.Event()

    def hang():
        with quiet_stderr():
            entered.set()
            let_go.wait(20)

    hanging = threading.Thread(target=hang)
    hanging.start()
    assert entered.wait(20)
    with quiet_stderr():  # As if another camera took long to open: this one need not wait.
        os.write(2, b"one\n")
    os.write(2, b"two\n")
    let_go.set()
    hanging.join()
    os.write(2, b"three\n")
    assert capfd.readouterr().err == "three\n"
