"""Print the os_list entry by which Raspberry Pi Imager offers a card's image.

    python -m tools.imager_entry card.img.xz --url https://example.org/card.img.xz \
        --icon https://example.org/icon.png > os_list.json

The image is one that `picaption flash image` has made, compressed by xz or not. Imager gets the
list as `rpi-imager --repo os_list.json`, or from its settings. It must not customise the image: it
would replace the files that start the first boot, so the entry says `"init_format": "none"`.
"""

import argparse
import datetime
import hashlib
import json
import lzma
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20
#: Boards with a 64-bit processor, as Imager names them.
DEVICES = ("pi5-64bit", "pi4-64bit", "pi3-64bit")


def os_list(image: Path, url: str, icon: str, name: str, date: datetime.date) -> dict[str, Any]:
    """Return Imager's list with one entry.

    Args:
        image: The image as it is downloaded: plain, or compressed by xz.
        url: Where it is downloaded from.
        icon: The address of the picture beside its name.
        name: What the list calls it.
        date: The day of its release.
    """
    digest = hashlib.sha256()
    size = 0
    opener = lzma.open if image.suffix == ".xz" else open
    with opener(image, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    entry = {
        "name": name,
        "description": "Captions what a camera sees, from the first boot on, without a network",
        "icon": icon,
        "url": url,
        "extract_size": size,
        "extract_sha256": digest.hexdigest(),
        "image_download_size": image.stat().st_size,
        "release_date": date.isoformat(),
        "devices": list(DEVICES),
        "init_format": "none",
    }
    return {"os_list": [entry]}


def main() -> None:
    """Print the list for the image that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", type=Path)
    parser.add_argument("--url", required=True, help="where the image is downloaded from")
    parser.add_argument("--icon", required=True, help="the address of a picture")
    parser.add_argument("--name", default="picaption", help="what the list calls the image")
    parser.add_argument("--date", type=datetime.date.fromisoformat, default=datetime.date.today())
    options = parser.parse_args()
    entries = os_list(options.image, options.url, options.icon, options.name, options.date)
    print(json.dumps(entries, indent=2))


if __name__ == "__main__":
    main()
