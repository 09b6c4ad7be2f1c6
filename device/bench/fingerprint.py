"""What a bundle computes for images, to the bit, so that two machines can be compared.

`python -m picaption.device.bench.fingerprint BUNDLE IMAGE... > here.jsonl` prints a JSON line for
the machine and one for each image; with `--compare here.jsonl there.jsonl` a table of what is
equal. What should be equal and is not makes the exit code 2. --ready FOLDER also writes the images
there as the encoder gets them: the same on both machines, however they resize.
"""

import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import click
import cv2
import numpy as np

from .. import cli
from ..atomic import read_text
from ..bundle.archive import read_bundle
from ..bundle.bundle import Bundle, Runner
from ..bundle.runtime import runtime_name
from ..errors import PicaptionError
from ..images import read_image, write_image
from ..parsing import parse_json
from ..recognition.recognizer import TOP_CLASSES, Recognizer
from ..recognition.stopwatch import Stopwatch

#: What is computed in whole numbers, or follows from it, and has to be equal on every machine: the
#: image as it is in the file and as the encoder gets it, what the encoder returns, all that
#: next_word returned for caption and word evidence, the caption, and the best classes.
EXACT = ("decoded", "input", "features", "context", "tags", "logits", "caption", "classes")
#: What is computed in floating point, and may differ in the last bits.
FLOATING = ("log_probability", "scores")


class Hash(Protocol):
    """An open hash, as hashlib makes it."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes in."""

    def hexdigest(self) -> str:
        """Return the hash of all bytes so far, in hexadecimal."""


class Recorder:
    """Records what the signatures of a bundle take and return for an image.

    Attributes:
        hashes: SHA-256 in hexadecimal, by name.
        scores: what classify returned, float32 [C].
    """

    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}
        self.scores = np.empty(0, np.float32)
        self._logits: Hash = hashlib.sha256()

    def wrap(self, name: str, runner: Runner) -> Runner:
        """Return `runner` recorded; a `wrap_runner` of a Bundle."""

        def recorded(**inputs: np.ndarray) -> dict[str, np.ndarray]:
            outputs = runner(**inputs)
            if name == "encode":
                self._record_encode(inputs["image"], outputs)
            elif name == "next_word":
                self._logits.update(outputs["logits"].tobytes())
                self.hashes["logits"] = self._logits.hexdigest()
            elif name == "classify":
                self.scores = outputs["scores"][0].copy()
            return outputs

        return recorded

    def _record_encode(self, image: np.ndarray, outputs: dict[str, np.ndarray]) -> None:
        """Record the encoder; with it, the record of another image begins."""
        self.hashes = {"input": sha256(image)}
        for name in ("features", "context", "tags"):
            if name in outputs:
                self.hashes[name] = sha256(outputs[name])
        self.scores = np.empty(0, np.float32)
        self._logits = hashlib.sha256()


class Fingerprinter:
    """Takes the fingerprints of a bundle.

    Args:
        path: of the bundle.
        threads: how many threads the runtime uses.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        self._recorder = Recorder()
        self.recognizer = Recognizer(Bundle(path, threads, wrap_runner=self._recorder.wrap))

    def fingerprint(self, path: str | Path, ready: Path | None = None) -> dict[str, Any]:
        """Return what the bundle computes for an image: EXACT and FLOATING, as far as it has them.

        Args:
            path: of the image.
            ready: a folder to which the image is also written as the encoder gets it, as a PNG.
        """
        image = read_image(path)
        # Also of an image that shows nothing, of which a call would compute nothing.
        encoded = self.recognizer.encode(image)
        caption = self.recognizer.recognize(encoded, Stopwatch()).caption
        if ready:
            write_image(ready / f"{Path(path).stem}.png", self.recognizer.prepare(image))
        record: dict[str, Any] = {"picture": Path(path).name, "decoded": sha256(image)}
        record |= self._recorder.hashes
        if caption:
            record["caption"] = caption.text
            record["log_probability"] = [caption.log_probability]
        scores = self._recorder.scores
        best = np.argsort(-scores, kind="stable")[:TOP_CLASSES]
        record["classes"] = [self.recognizer.model.labels[index] for index in best]
        record["scores"] = scores.tolist()
        return record


def sha256(values: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def machine(bundle: str | Path) -> dict[str, str]:
    """Return what this machine computes with, and the hash of the bundle's graph."""
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "runtime": runtime_name(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "graph": hashlib.sha256(read_bundle(bundle).graph).hexdigest(),
    }


def compare(
    here: Sequence[dict[str, Any]], there: Sequence[dict[str, Any]]
) -> tuple[list[str], bool]:
    """Compare the fingerprints of two machines.

    Args:
        here: what the command printed on one machine, the machine first.
        there: what it printed on the other.

    Returns:
        The lines of a table in Markdown, and whether all that is EXACT is equal.

    Raises:
        PicaptionError: they are not of the same bundle and images.
    """
    if here[0].get("graph") != there[0].get("graph"):
        raise PicaptionError("the two are of different bundles; give both machines the same one")
    here_names = [record.get("picture") for record in here[1:]]
    there_names = [record.get("picture") for record in there[1:]]
    if here_names != there_names or not here_names:
        raise PicaptionError(
            "the two are not of the same pictures; "
            "give both machines the same ones, in the same order"
        )
    exact = [name for name in EXACT if name in here[1] | there[1]]
    lines = [
        f"| picture | {' | '.join(exact)} | {' | '.join(FLOATING)} |",
        "|---" * (1 + len(exact) + len(FLOATING)) + "|",
    ]
    counts = dict.fromkeys(exact, 0)
    largest = dict.fromkeys(FLOATING, 0.0)
    for left, right in zip(here[1:], there[1:]):
        cells = []
        for name in exact:
            is_equal = name in left and left[name] == right.get(name)
            counts[name] += is_equal
            cells.append("equal" if is_equal else "DIFFERENT")
        for name in FLOATING:
            apart = difference(left.get(name, []), right.get(name, []))
            largest[name] = max(largest[name], apart)
            cells.append(f"{apart:.1e}")
        lines.append(f"| {left['picture']} | {' | '.join(cells)} |")
    total = len(here_names)
    cells = [f"{count} of {total}" for count in counts.values()]
    cells += [f"{apart:.1e}" for apart in largest.values()]
    lines.append(f"| all: equal, and largest difference | {' | '.join(cells)} |")
    return lines, min(counts.values()) == total


def difference(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the largest difference between numbers at the same index of two lists."""
    if len(left) != len(right):
        return float("inf")
    return max((abs(a - b) for a, b in zip(left, right)), default=0.0)


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    """Return the dicts of a file of JSON lines.

    Raises:
        PicaptionError: it is not such a file.
    """
    try:
        text = read_text(path)
        lines = [parse_json(line) for line in text.splitlines()]
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except ValueError:
        lines = []
    if not lines or not all(isinstance(line, dict) for line in lines):
        raise PicaptionError(
            f"{path}: holds no fingerprints; "
            "make it with python -m picaption.device.bench.fingerprint BUNDLE PICTURE..."
        )
    return lines


@click.command()
@click.option(
    "--compare",
    "files",
    nargs=2,
    type=cli.PathType(path_type=Path),
    metavar="HERE THERE",
    help="Compare two files of fingerprints.",
)
@click.option(
    "--ready",
    type=cli.PathType(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="Also write the images there as the encoder gets them.",
)
@click.argument("bundle", required=False, type=cli.PathType(path_type=Path))
@click.argument("images", nargs=-1, type=cli.PathType(path_type=Path))
def main(
    files: tuple[Path, Path] | None,
    ready: Path | None,
    bundle: Path | None,
    images: tuple[Path, ...],
) -> None:
    """Print a bundle's fingerprints of images.

    They are JSON lines, the first about the machine.
    """
    if files:
        print_comparison(*files)
        return
    if not bundle or not images:
        raise click.UsageError("give a bundle and pictures, or --compare and two files")
    if ready:
        require_different_stems(images, ready)
    fingerprinter = Fingerprinter(bundle)
    print(json.dumps(machine(bundle)))
    for path in images:
        print(json.dumps(fingerprinter.fingerprint(path, ready)), flush=True)


def print_comparison(here: Path, there: Path) -> None:
    """Print the table of two files of fingerprints; raise PicaptionError if they differ."""
    lines, is_equal = compare(read_lines(here), read_lines(there))
    print("\n".join(lines))
    if not is_equal:
        raise PicaptionError("what has to be equal on every machine is not: see DIFFERENT above")


def require_different_stems(images: Sequence[Path], ready: Path) -> None:
    """Raise PicaptionError if two images would be written to the same file in `ready`."""
    stems = [path.stem for path in images]
    for stem in stems:
        if stems.count(stem) > 1:
            raise PicaptionError(
                f"two pictures would be written as {ready / stem}.png; "
                "give them one after the other"
            )


if __name__ == "__main__":
    sys.exit(cli.main(command=main, name="picaption.device.bench.fingerprint"))
