"""Where the bundles lie that the page has taught from a folder of class folders: in that folder.

A hidden folder beside the class folders holds three at most, each in a folder of its own: what was
fitted last, what the live loop uses, and what it used before that.
"""

from pathlib import Path

#: The hidden folder, which `find_class_folders` leaves out.
HIDDEN = ".picaption"
#: What such a bundle's file is called, and so the bundle itself.
BUNDLE = "taught.tflite"
#: The folder of the one that the live loop uses.
LIVE = "live"


def taught_folder(folder: str | Path) -> Path:
    """Return the hidden folder of the bundles that were taught from a folder of class folders."""
    return Path(folder, HIDDEN)


def live_bundle(folder: str | Path) -> Path:
    """Return the path of the bundle that the live loop uses, if there is one.

    Args:
        folder: the folder of class folders.
    """
    return taught_folder(folder) / LIVE / BUNDLE
