"""The entry for Raspberry Pi Imager: what its schema asks for, of the image as it is unpacked."""

import datetime
import lzma

import pytest

from tools.imager_entry import os_list

#: SHA-256 of "abc", from FIPS 180-2.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("suffix", [".img", ".img.xz"])
def test_an_entry_describes_the_image_unpacked_and_packed(tmp_path, suffix):
    image = tmp_path / f"card{suffix}"
    packed = lzma.compress(b"abc") if suffix.endswith(".xz") else b"abc"
    image.write_bytes(packed)
    day = datetime.date(2026, 11, 28)
    (entry,) = os_list(image, "https://a/card", "https://a/icon", "picaption", day)["os_list"]
    assert entry["extract_sha256"] == ABC
    assert entry["extract_size"] == 3
    assert entry["image_download_size"] == len(packed)
    assert entry["release_date"] == "2026-11-28"
    # Imager's own customisation would replace what starts the first boot.
    assert entry["init_format"] == "none"
    assert {"name", "description", "icon", "url", "devices"} <= set(entry)
