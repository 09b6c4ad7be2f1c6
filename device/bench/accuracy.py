"""How good the bundle is that is being measured: speed and quality in one table."""

import hashlib
import json
from pathlib import Path

import numpy as np

from ..errors import PicaptionError
from ..images import read_image
from ..recognition.recognizer import open_recognizer
from ..recognition.teach import find_class_images


def accuracy_of(path, bundle, digest, beam):
    """Return what `read_accuracy` finds in the file at `path`, or, where that is a folder, `measure_accuracy`."""
    return (
        measure_accuracy(path, bundle, beam)
        if Path(path).is_dir()
        else read_accuracy(path, digest, beam)
    )


def measure_accuracy(folder, bundle, beam):
    """Return how often the bundle at that path tells the classes of the class folders in `folder`, in per cent: top_1 and top_3, as
    picaption evaluate has them. Raises PicaptionError where it tells other classes, or a picture cannot be read."""
    classes, pictures, _ = find_class_images(folder)
    recognizer = open_recognizer(bundle, beam=beam)
    labels, head = recognizer.model.labels, recognizer.model.metadata.head
    if head != "single-label" or not set(classes) <= set(labels):
        unknown = ", ".join(sorted(set(classes) - set(labels))[:3])
        told = f"no class called {unknown}" if unknown else "classes beside each other"
        raise PicaptionError(
            f"{folder}: {bundle} tells {told}, which folders do not measure; give what picaption evaluate --json "
            "writes"
        )
    places = [
        int((scores > scores[labels.index(label)]).sum())
        for label, scores in (
            (label, recognizer.class_scores(read_image(path))) for label, path in pictures
        )
    ]
    return {"model": str(bundle), "beam": beam, "pictures": len(places)} | {
        f"top_{count}": round(100 * float(np.mean(np.array(places) < count)), 2) for count in (1, 3)
    }


def read_accuracy(path, digest, beam):
    """Return the figures that `picaption evaluate --json` wrote to `path`, without those of each class; raises PicaptionError
    where there are none, or they are of another bundle than the one with this SHA-256, or of another width of the beam."""
    figures = read_json(path, "what picaption evaluate --json wrote")
    if (
        not isinstance(figures, dict)
        or not isinstance(figures.get("model"), str)
        or "pictures" not in figures
    ):
        raise PicaptionError(f"{path} is not what picaption evaluate --json writes; write it anew")
    try:
        other = hashlib.sha256(Path(figures["model"]).read_bytes()).hexdigest()
    except OSError as error:
        raise PicaptionError(
            f"{path} is about {figures['model']}, which cannot be read ({error.strerror}): "
            "evaluate the bundle that is measured, and call bench from the same folder"
        ) from None
    if other != digest:
        raise PicaptionError(
            f"{path} is about {figures['model']}, another bundle than the one that is measured; "
            "evaluate this one"
        )
    if figures.get("beam") != beam:
        raise PicaptionError(
            f"{path} is about a beam of {figures.get('beam')}, this measures one of {beam}: give both the same --beam"
        )
    return {
        name: value
        for name, value in figures.items()
        if name not in ("classes", "skipped", "milliseconds")
    }


def read_json(path, what):
    """Return what the JSON file at `path` holds; raises PicaptionError where it cannot be read, `what` says what to give."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise PicaptionError(f"{path} cannot be read ({error.strerror}); give {what}") from None
    except ValueError:  # UnicodeDecodeError is one
        raise PicaptionError(f"{path} holds no JSON; give {what}") from None
