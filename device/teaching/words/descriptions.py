"""Descriptions: a line of a user's own words that says what a class is.

    mug: a cup with a handle for coffee

A name without a colon behind it is a class by its name alone. A folder of class folders may hold
such lines as descriptions.txt, where a line that starts with # is a comment.
"""

from collections.abc import Iterable
from pathlib import Path

from ...atomic import read_file
from ...errors import PicaptionError
from ...log import printable
from ..examples import class_name

#: The file of descriptions in a folder of class folders.
DESCRIPTIONS = "descriptions.txt"
#: The most characters of a description.
MAX_DESCRIPTION_LENGTH = 500
#: The most bytes of such a file.
MAX_FILE_BYTES = 1 << 20

#: Descriptions by class; "" for a class by its name alone.
Descriptions = dict[str, str]


def read_descriptions(folder: Path | None, texts: Iterable[str] = ()) -> Descriptions:
    """Return the descriptions in a folder and those of the command line, which go before them.

    Args:
        folder: the folder of class folders, which may have a file of descriptions; None: none.
        texts: a description each.

    Raises:
        PicaptionError: one is not valid, or a class has two.
    """
    from_file: Descriptions = {}
    if folder is not None and (folder / DESCRIPTIONS).is_file():
        from_file = parse_file(folder / DESCRIPTIONS)
    overrides: Descriptions = {}
    for text in texts:
        name, description = parse_description(text, f"--describe {printable(text)!r}")
        if name in overrides:
            raise PicaptionError(f"--describe names {name!r} twice; give it one description")
        overrides[name] = description
    return from_file | overrides


def parse_description(text: str, where: str) -> tuple[str, str]:
    """Return the name and the description of a line, "" without one.

    Args:
        text: NAME: DESCRIPTION, or NAME.
        where: what an error begins with.

    Raises:
        PicaptionError: there is no name that a class may have, or the text is too long.
    """
    name, _, description = text.partition(":")
    name = name.strip()
    description = " ".join(description.split())
    if not name or "/" in name or name.startswith("."):
        raise PicaptionError(
            f"{where} names no class: write it as 'mug: a cup with a handle for coffee'"
        )
    class_name(Path(name))
    if len(description) > MAX_DESCRIPTION_LENGTH or printable(description) != description:
        raise PicaptionError(
            f"{where}: a description has at most {MAX_DESCRIPTION_LENGTH} characters, none of them "
            "a control character; shorten it"
        )
    return name, description


def parse_file(path: Path) -> Descriptions:
    """Return the descriptions of a file; raise PicaptionError with the number of a bad line."""
    try:
        text = read_file(path, MAX_FILE_BYTES).decode()
    except OSError as error:
        raise PicaptionError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise PicaptionError(f"{path} is not text in UTF-8; save it as such") from None
    descriptions: Descriptions = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, description = parse_description(line, f"{path}, line {number}")
        if name in descriptions:
            raise PicaptionError(f"{path}, line {number}: {name!r} stands there twice; remove one")
        descriptions[name] = description
    return descriptions
