"""How many pictures of other things get a class of a taught bundle, and what that costs.

    python -m tools.other_things TRAIN DEV --others FOLDER[:LIST]...

Classes are taught by some pictures of each folder in TRAIN, drawn by chance, and tried on those in
DEV, and on 200 pictures of each folder of others, or of those that LIST names, which show none of
them. It prints a line of a Markdown table for each number of pictures a class.
"""

import random
from pathlib import Path

import click
import numpy as np

from picaption.device import Bundle, Recognizer, default_bundle
from picaption.device.atomic import read_text
from picaption.device.bundle.archive import read_bundle
from picaption.device.images import list_images, read_image
from picaption.device.recognition.classifier import name_prior, probabilities
from picaption.device.teaching.background import bundle_background, name_probabilities
from picaption.device.teaching.examples import (
    ClassExamples,
    extract_example,
    extract_features,
    find_class_images,
    stack_examples,
)
from picaption.device.teaching.fit import class_prototypes, fit_classes
from picaption.device.teaching.gate import DEFAULT_SHARE, fit_gate

OTHERS = 200


def other_examples(recognizer: Recognizer, argument: str) -> ClassExamples:
    """Return the examples of 200 pictures of one FOLDER[:LIST]."""
    folder, _, names = argument.partition(":")
    paths = list_images(Path(folder))
    if names:
        chosen = set(read_text(Path(names)).split())
        paths = [path for path in paths if path.name in chosen]
    paths = random.Random(2).sample(paths, OTHERS)
    examples = [extract_example(recognizer, read_image(path)) for path in paths]
    return stack_examples(("other",), [("other", path) for path in paths], examples)


def draw(examples: ClassExamples, count: int, seed: int) -> ClassExamples:
    """Return `count` examples of each class."""
    generator = np.random.default_rng(seed)
    rows = np.concatenate(
        [generator.permutation(np.flatnonzero(column))[:count] for column in examples.truth.T]
    )
    assert examples.word_evidence is not None
    return ClassExamples(
        labels=examples.labels,
        paths=tuple(examples.paths[row] for row in rows),
        truth=examples.truth[rows],
        features=examples.features[rows],
        word_evidence=examples.word_evidence[rows],
        skipped=(),
    )


@click.command()
@click.argument("train", type=Path)
@click.argument("dev", type=Path)
@click.option("--others", multiple=True, required=True, metavar="FOLDER[:LIST]")
@click.option("--counts", default="3,5,10,50", help="Pictures a class.")
@click.option("--draws", default=20, help="Of the pictures that are taught.")
@click.option("--share", default=DEFAULT_SHARE, help="As --other-things, from 0 to 1.")
@click.option("--unnamed", is_flag=True, help="Classes are called by names that say nothing.")
def main(
    train: Path,
    dev: Path,
    others: tuple[str, ...],
    counts: str,
    draws: int,
    share: float,
    unnamed: bool,
) -> None:
    """Print the table."""
    contents = read_bundle(default_bundle())
    background = bundle_background(contents)
    assert background is not None and contents.vocabulary is not None
    recognizer = Recognizer(Bundle(default_bundle()))
    labels, images, _ = find_class_images(train)
    taught = extract_features(recognizer, labels, images)
    shown = extract_features(recognizer, labels, find_class_images(dev)[1])
    sets = [shown, *[other_examples(recognizer, argument) for argument in others]]
    names = [name_probabilities(contents.graph, part.features) for part in sets]
    print("| a class | certain and right | lost, mean (worst) | others with a class, of 200 |")
    for count in map(int, counts.split(",")):
        rows = []
        for seed in range(draws):
            examples = draw(taught, count, seed)
            called = tuple(f"x{index}" for index in range(len(labels))) if unnamed else labels
            examples = ClassExamples(**{**vars(examples), "labels": called})
            prototypes = class_prototypes(contents, called, examples.features)
            prior = name_prior(called, contents.vocabulary)
            classifier, _ = fit_classes(examples, None, prototypes=prototypes, prior=prior)
            example_names = name_probabilities(contents.graph, examples.features)
            assert example_names is not None
            gate = fit_gate(
                examples,
                example_names,
                classifier,
                background,
                share=share,
                word_prior=prior,
                prototypes=prototypes,
            )
            row = []
            for part, part_names in zip(sets, names):
                logits = classifier.logits(part.features, part.word_evidence)
                scores = probabilities(logits, multi_label=False)
                gated = scores * gate.probability(part.features, part.word_evidence, part_names)
                right = np.ones(len(scores), bool)
                if part is shown:
                    right = scores.argmax(1) == shown.truth.argmax(1)
                row += [(right & (scores.max(1) >= 0.5)).mean()]
                row += [(right & (gated.max(1) >= 0.5)).mean()]
            rows.append(row)
        table = np.array(rows)
        lost = 100 * (table[:, 0] - table[:, 1])
        cells = [
            f"{200 * table[:, column].mean():.0f} to {200 * table[:, column + 1].mean():.1f}"
            for column in range(2, table.shape[1], 2)
        ]
        mean_others = 200 * table[:, 3::2].mean(1)
        print(
            f"| {count} | {100 * table[:, 0].mean():.1f} | {lost.mean():.1f} ({lost.max():.1f}) | "
            f"{', '.join(cells)}; mean {mean_others.mean():.1f} ({mean_others.max():.1f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
