"""What a bundle says of pictures, to the bit: two machines that run this can be held against each other.

`python -m picaption.device.bench.fingerprint BUNDLE PICTURE... > here.jsonl` prints a JSON line for the machine and one for each picture;
`python -m picaption.device.bench.fingerprint --compare here.jsonl there.jsonl` a table of what is equal, and what has to be and is not ends it
with 2. --ready FOLDER also writes each picture there as the encoder gets it: the same on both machines, however they resize.
"""

import hashlib
import json
import platform
import sys
from pathlib import Path

import click
import cv2
import numpy as np

from .. import cli
from ..bundle.bundle import Bundle, log_softmax, read_bundle
from ..bundle.runtime import runtime_name
from ..errors import PicaptionError
from ..images import read_image, write_image
from ..recognition.recognizer import TOP_CLASSES, Recognizer

#: What is computed in whole numbers, or follows from it, and has to be equal on every machine: the picture as it is in the
#: file and as the encoder gets it, what the encoder gives, all that next_word gave for caption and evidence, the caption,
#: and the classes that are told.
EXACT = ("decoded", "input", "features", "context", "tags", "logits", "caption", "classes")
#: What is computed in floating point, and may differ in the last bits.
FLOATING = ("log_probability", "scores")


class Recorder(Bundle):
    """A bundle that takes down what it gives for a picture: `prints`, SHA-256 in hexadecimal by name."""

    def encode(self, image):
        """Return what picaption.device.bundle.bundle.Bundle does."""
        encoded = super().encode(image)
        self.prints = {"input": sha256(image), "features": sha256(encoded.features)}
        self.prints |= {
            name: sha256(values)
            for name, values in (("context", encoded.context), ("tags", encoded.tags))
            if values is not None
        }
        self._logits = hashlib.sha256()
        return encoded

    def next_word(self, history, context):
        """Return what picaption.device.bundle.bundle.Bundle does; the graph's own logits are what is taken down."""
        logits = self._runners["next_word"](
            history=history.astype(self._numbers, copy=False), context=context
        )["logits"]
        self._logits.update(logits.tobytes())
        self.prints["logits"] = self._logits.hexdigest()
        return log_softmax(logits)

    def classify(self, features, evidence):
        """Return what picaption.device.bundle.bundle.Bundle does, and keep it as `scores`."""
        self.scores = super().classify(features, evidence)
        return self.scores


def sha256(values):
    """Return the SHA-256 of an array's bytes, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def machine(bundle):
    """Return what this machine computes with, and the hash of the graph, as a dict of text."""
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "runtime": runtime_name(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "graph": hashlib.sha256(read_bundle(bundle).graph).hexdigest(),
    }


def fingerprint(recognizer, path, ready=None):
    """Return what the Recognizer over a Recorder says of the picture at `path`: EXACT and FLOATING by name, those that the
    bundle has. With `ready`, the path of a folder, the picture is written there in the encoder's shape, as a PNG."""
    recorder, image = recognizer.model, read_image(path)
    recorder.scores = np.empty(0, np.float32)
    caption = recognizer(image).caption
    if ready:
        write_image(ready / f"{Path(path).stem}.png", recognizer.prepare(image))
    found = {"picture": Path(path).name, "decoded": sha256(image)} | recorder.prints
    if caption:
        found |= {"caption": caption.text, "log_probability": [caption.log_probability]}
    best = np.argsort(-recorder.scores, kind="stable")[:TOP_CLASSES]
    return found | {
        "classes": [recorder.labels[index] for index in best],
        "scores": recorder.scores.tolist(),
    }


def compare(here, there):
    """Return (lines of a table in Markdown, whether all that is EXACT is equal) for two lists of dicts, machine first, as the
    command prints them; raises PicaptionError where they are not of the same bundle and pictures."""
    if here[0].get("graph") != there[0].get("graph"):
        raise PicaptionError("the two are of different bundles; give both machines the same one")
    names = [[each.get("picture") for each in side[1:]] for side in (here, there)]
    if names[0] != names[1] or not names[0]:
        raise PicaptionError(
            "the two are not of the same pictures; give both machines the same ones, in the same order"
        )
    kept = [name for name in EXACT if name in here[1] | there[1]]
    lines = [
        f"| picture | {' | '.join(kept)} | {' | '.join(FLOATING)} |",
        "|---" * (1 + len(kept) + len(FLOATING)) + "|",
    ]
    counts = dict.fromkeys(kept, 0)
    largest = dict.fromkeys(FLOATING, 0.0)
    for one, other in zip(here[1:], there[1:]):
        same = {name: name in one and one[name] == other.get(name) for name in kept}
        apart = {name: difference(one.get(name, []), other.get(name, [])) for name in FLOATING}
        counts = {name: counts[name] + same[name] for name in kept}
        largest = {name: max(largest[name], apart[name]) for name in FLOATING}
        cells = ["equal" if each else "DIFFERENT" for each in same.values()] + [
            f"{each:.1e}" for each in apart.values()
        ]
        lines.append(f"| {one['picture']} | {' | '.join(cells)} |")
    count = len(here) - 1
    cells = [f"{each} of {count}" for each in counts.values()] + [
        f"{each:.1e}" for each in largest.values()
    ]
    return [*lines, f"| all: equal, and largest difference | {' | '.join(cells)} |"], min(
        counts.values()
    ) == count


def difference(one, other):
    """Return the largest difference between numbers at the same place of two lists."""
    return (
        max((abs(a - b) for a, b in zip(one, other)), default=0.0)
        if len(one) == len(other)
        else float("inf")
    )


def read_lines(path):
    """Return the dicts of a file of JSON lines; raises PicaptionError where it is none."""
    try:
        lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except ValueError:
        lines = []
    if not lines or not all(isinstance(line, dict) for line in lines):
        raise PicaptionError(
            f"{path}: holds no fingerprints; make it with python -m picaption.device.bench.fingerprint BUNDLE PICTURE..."
        )
    return lines


@click.command()
@click.option(
    "--compare",
    "both",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="HERE THERE",
    help="Hold two files of fingerprints against each other.",
)
@click.option(
    "--ready",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="Also write the pictures there as the encoder gets them.",
)
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path))
def main(both, ready, bundle, pictures):
    """Print the fingerprints of what BUNDLE says of PICTURES, as JSON lines."""
    if both:
        here, there = map(read_lines, both)
        lines, equal = compare(here, there)
        print("\n".join(lines))
        if not equal:
            raise PicaptionError(
                "what has to be equal on every machine is not: see DIFFERENT above"
            )
        return
    if not pictures:
        raise click.UsageError("give a bundle and pictures, or --compare and two files")
    stems = [path.stem for path in pictures]
    twice = next((stem for stem in stems if ready and stems.count(stem) > 1), None)
    if twice:
        raise PicaptionError(
            f"two pictures would be written as {ready / twice}.png; give them one after the other"
        )
    recognizer = Recognizer(Recorder(bundle, threads=1))
    print(json.dumps(machine(bundle)))
    for path in pictures:
        print(json.dumps(fingerprint(recognizer, path, ready)), flush=True)


if __name__ == "__main__":
    sys.exit(cli.main(command=main, name="picaption.device.bench.fingerprint"))
