"""How good the bundle is that is being measured, so that speed and quality stand in one table."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import read_file, read_text
from ..errors import PicaptionError
from ..images import read_image
from ..parsing import parse_json
from ..recognition.recognizer import open_recognizer
from ..teaching.examples import find_class_images

#: Entries of what picaption evaluate writes that are too long for a table.
LEFT_OUT = ("classes", "skipped", "milliseconds")


def accuracy_of(
    path: str | Path, bundle: str | os.PathLike[str], digest: str, beam: int
) -> dict[str, Any]:
    """Return the accuracy of a bundle: measured if `path` is a folder, else read from that file.

    The parameters are those of `measure_accuracy` and `read_accuracy`.
    """
    if Path(path).is_dir():
        return measure_accuracy(path, bundle, beam)
    return read_accuracy(path, digest, beam)


def measure_accuracy(
    folder: str | Path, bundle: str | os.PathLike[str], beam: int
) -> dict[str, Any]:
    """Return how often a bundle classifies images rightly, in per cent.

    Args:
        folder: Holds a folder of images for each class.
        bundle: The bundle's path.
        beam: Width of the beam search.

    Returns:
        Figures as `picaption evaluate --json` writes them: model, beam, pictures, top_1 and top_3.

    Raises:
        PicaptionError: The bundle has other classes, or an image cannot be read.
    """
    classes, images, _ = find_class_images(folder)
    recognizer = open_recognizer(bundle, beam_width=beam)
    labels = recognizer.model.labels
    unknown = sorted(set(classes) - set(labels))
    if recognizer.model.metadata.head != "single-label" or unknown:
        reason = "classes beside each other"
        if unknown:
            reason = f"no class called {', '.join(unknown[:3])}"
        raise PicaptionError(
            f"{folder}: {bundle} tells {reason}, which folders do not measure; give what picaption "
            "evaluate --json writes"
        )
    ranks = []
    for label, path in images:
        scores = recognizer.class_scores(read_image(path))
        ranks.append(int((scores > scores[labels.index(label)]).sum()))
    return {
        "model": str(bundle),
        "beam": beam,
        "pictures": len(ranks),
        "top_1": _percent_below(ranks, 1),
        "top_3": _percent_below(ranks, 3),
    }


def _percent_below(ranks: list[int], limit: int) -> float:
    return round(100 * float(np.mean(np.array(ranks) < limit)), 2)


def read_accuracy(path: str | os.PathLike[str], digest: str, beam: int) -> dict[str, Any]:
    """Return the figures that `picaption evaluate --json` wrote to `path`, without LEFT_OUT.

    Args:
        path: The file.
        digest: SHA-256 of the bundle that is being measured, in hexadecimal.
        beam: Width of its beam search.

    Raises:
        PicaptionError: There are no such figures, or they are of another bundle or beam.
    """
    figures = read_json(path, "what picaption evaluate --json wrote")
    if (
        not isinstance(figures, dict)
        or not isinstance(figures.get("model"), str)
        or "pictures" not in figures
    ):
        raise PicaptionError(f"{path} is not what picaption evaluate --json writes; write it again")
    try:
        evaluated_digest = hashlib.sha256(read_file(figures["model"])).hexdigest()
    except OSError as error:
        raise PicaptionError(
            f"{path} is about {figures['model']}, which cannot be read ({error.strerror}): "
            "evaluate the bundle that is measured, and call bench from the same folder"
        ) from None
    if evaluated_digest != digest:
        raise PicaptionError(
            f"{path} is about {figures['model']}, another bundle than the one that is measured; "
            "evaluate this one"
        )
    if figures.get("beam") != beam:
        raise PicaptionError(
            f"{path} is about a beam of {figures.get('beam')}, this measures one of {beam}: give "
            "both the same --beam"
        )
    return {name: value for name, value in figures.items() if name not in LEFT_OUT}


def read_json(path: str | os.PathLike[str], wanted: str) -> Any:
    """Return what a JSON file holds; raises PicaptionError, which asks for what is `wanted`."""
    try:
        return parse_json(read_text(path))
    except OSError as error:
        raise PicaptionError(f"{path} cannot be read ({error.strerror}); give {wanted}") from None
    except ValueError:  # UnicodeDecodeError and MalformedError are.
        raise PicaptionError(f"{path} holds no JSON; give {wanted}") from None
