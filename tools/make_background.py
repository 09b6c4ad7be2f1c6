"""Make device/teaching/background.npz: what a bundle makes of pictures of nothing in particular.

    python -m tools.make_background BUNDLE OUTPUT FOLDER=COUNT...

COUNT pictures of each FOLDER are taken by chance; with FOLDER:LIST=COUNT of those that LIST names.
No picture and no name of one is in the file: it holds what the bundle's encoder and names make of
them.
"""

import random
import sys
from pathlib import Path

import numpy as np

from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.device.atomic import read_text
from picaption.device.bundle.archive import read_bundle
from picaption.device.images import list_images, read_image
from picaption.device.recognition.classifier import l2_normalize
from picaption.device.teaching.background import SIGNATURES, Background, write_background
from picaption.device.teaching.weights_hash import weights_hash

#: The axes on which features are kept.
AXES = 128
#: The share of the pictures that classes are fitted against; the others are for the threshold.
#: With 300 pictures it is as good as with 1,000, and six times as fast.
FITTED = 1 / 5


def choose_images(argument: str, generator: random.Random) -> list[Path]:
    """Return the paths that one FOLDER[:LIST]=COUNT stands for."""
    where, _, count = argument.rpartition("=")
    folder, _, names = where.partition(":")
    paths = list_images(Path(folder))
    if names:
        chosen = set(read_text(Path(names)).split())
        paths = [path for path in paths if path.name in chosen]
    return generator.sample(paths, int(count))


def make_background(bundle: Path, paths: list[Path]) -> Background:
    """Return the Background of a bundle by the images at some paths."""
    recognizer = Recognizer(Bundle(bundle))
    features = []
    word_evidence = []
    probabilities = []
    for path in paths:
        try:
            encoded = recognizer.encode(read_image(path))
        except PicaptionError as error:
            print(error, file=sys.stderr)
            continue
        names = recognizer.name_scores(encoded)
        evidence = recognizer.word_evidence(encoded)
        assert names is not None, "the bundle has no names"
        assert evidence is not None, "the bundle has no captioner"
        features.append(encoded.features[0].copy())
        word_evidence.append(evidence)
        probabilities.append(names)
    rows = l2_normalize(np.stack(features))
    mean = rows.mean(0)
    _, _, axes = np.linalg.svd(rows - mean, full_matrices=False)
    axes = axes[:AXES].T
    return Background(
        weights=weights_hash(read_bundle(bundle).graph, SIGNATURES),
        mean=mean,
        axes=axes,
        features=(rows - mean) @ axes,
        word_evidence=np.stack(word_evidence),
        name_roots=np.sqrt(np.stack(probabilities)),
        name_mean=np.mean(probabilities, axis=0, dtype=np.float32),
        fitted_count=round(len(rows) * FITTED),
    )


def main() -> None:
    """Make the file that the command line asks for."""
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    bundle, output, *arguments = sys.argv[1:]
    generator = random.Random(1)
    paths = [path for argument in arguments for path in choose_images(argument, generator)]
    generator.shuffle(paths)
    write_background(Path(output), make_background(Path(bundle), paths))


if __name__ == "__main__":
    main()
