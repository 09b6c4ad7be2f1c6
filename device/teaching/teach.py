"""New classes for a bundle, taught on the device: only its classifier is fitted again.

There is a folder for each class with a few images in it. The bundle's features and word evidence
of these are all that the fit needs (picaption.device.recognition.classifier); neither TensorFlow
nor a training run takes part. A class may have a description besides, or in place of images
(picaption.device.teaching.words).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..bundle.archive import Contents, read_bundle, require_bundle_or_none
from ..bundle.bundle import Bundle
from ..bundle.examples import KeptExamples
from ..errors import PicaptionError
from ..recognition.classifier import Classifier
from ..recognition.recognizer import Recognizer
from .background import bundle_background, name_probabilities
from .examples import (
    NONE_OF_THESE,
    ClassExamples,
    LabelledPath,
    OtherImages,
    extract_features,
    find_class_images,
    join_images,
    require_enough_images,
    split_negatives,
)
from .fit import count_confusion, fit_classes, mean_class_accuracy
from .gate import DEFAULT_SHARE, Gate, fit_gate
from .keep import add_examples, example_counts, require_examples, taught_descriptions
from .notes import notes_on
from .nouns import caption_images, class_nouns
from .words.background import Background, extract_background, no_examples
from .words.descriptions import Descriptions
from .words.priors import ClassPriors, ClassWords
from .words.unseen import fit_with_unseen
from .write import MAX_SCORE_DIFFERENCE, speaking_always, write_taught_bundle


@dataclass(frozen=True)
class TeachResult:
    """What was taught.

    Attributes:
        image_counts: images by class.
        held_out_accuracy: the share of a class' images that classifiers got right that were fitted
            without them, as the mean over the classes; nan where there were too few for that, or
            one class.
        skipped: what was left out, as lines.
        confusion: how many images of each class (row) were taken for which class (column) by
            these classifiers, int [C, C] in the order of `image_counts`.
        unknown_words: the words of each description that the bundle knows nothing of.
        stored: what the bundle keeps of the images; None: nothing.
        negatives: how many images of NONE_OF_THESE there are.
        other_share: the share of pictures of other things that get a class, about, 0 to 1; None:
            any of them may.
        notes: what is not as one would expect, as lines.
        nouns: the words of captions that the classes' names take the place of.
    """

    image_counts: dict[str, int]
    held_out_accuracy: float
    skipped: tuple[str, ...]
    confusion: np.ndarray
    unknown_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stored: KeptExamples | None = None
    negatives: int = 0
    other_share: float | None = None
    notes: tuple[str, ...] = ()
    nouns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def least_classes(contents: Contents, other_share: float = DEFAULT_SHARE) -> int:
    """Return how many classes can be taught at least: one is told from other things, or two apart.

    Args:
        contents: of the bundle that lends its encoder.
        other_share: as for `teach`.
    """
    return 1 if other_share < 1 and bundle_background(contents) is not None else 2


def teach(
    base: str | Path,
    folder: str | Path | None,
    output: str | Path,
    threads: int | None = None,
    on_progress: Callable[[list[LabelledPath]], Iterable[LabelledPath]] | None = None,
    max_difference: float = MAX_SCORE_DIFFERENCE,
    descriptions: Descriptions | None = None,
    keep: bool = False,
    add: bool = False,
    other_share: float = DEFAULT_SHARE,
    say: bool = False,
) -> TeachResult:
    """Write a bundle that tells the classes of `folder` apart.

    `output` stays as it was until the new bundle has been loaded and agrees with its classifier.

    Args:
        base: the bundle that lends its encoder and captioner.
        folder: a folder with a folder of images for each class; None: `descriptions` are all.
        output: where to write the new bundle; may be `base`.
        threads: how many threads the runtime may use; None leaves the choice to it.
        on_progress: wraps the list of images while it is gone through.
        max_difference: how far the new bundle's scores may be from the classifier's.
        descriptions: what some classes are, in words; these may have no folder.
        keep: whether the bundle keeps what it made of the images, to be taught more later.
        add: whether the classes are added to those that `base` was taught and keeps.
        other_share: the share of pictures of other things that may get a class, 0 to 1; 1: all.
        say: whether captions say the classes (picaption.device.recognition.class_nouns).

    Raises:
        PicaptionError: the images or the bundle are unusable.
    """
    require_bundle_or_none(output)
    contents = read_bundle(base)
    descriptions = descriptions or {}
    before = None
    counts_before: dict[str, int] = {}
    if add:
        before = require_examples(contents, base)
        counts_before = example_counts(contents)
        descriptions = taught_descriptions(contents) | descriptions
    words = ClassWords(contents)

    def needs_images(label: str) -> bool:
        if label == NONE_OF_THESE or counts_before.get(label):
            return False
        return not words.knows(label, descriptions)

    least = 2 if folder is None else least_classes(contents, other_share)
    labels, images, skipped = find_class_images(
        folder, {*descriptions, *counts_before}, needs_images, least
    )
    recognizer = Recognizer(Bundle(base, threads))
    background = None
    if images:
        examples = extract_features(
            recognizer, labels, on_progress(images) if on_progress else images
        )
    else:
        background = extract_background(recognizer)
        examples = no_examples(labels, background)
    require_enough_images(folder, examples.counts, needs_images)
    examples, negatives = split_negatives(examples)
    stored = None
    if keep or add:
        stored, examples = add_examples(examples, before, contents.labels)
    if background is None and not examples.truth.any(0).all():
        background = extract_background(recognizer)
    elif examples.truth.any(0).all():
        background = None
    nouns: tuple[tuple[str, ...], ...] = ()
    if say or (add and contents.metadata.class_nouns):
        nouns_before = dict(zip(contents.labels, contents.metadata.class_nouns))
        captions = caption_images(recognizer, images)
        nouns = class_nouns(contents, examples.labels, captions, descriptions, nouns_before)
    result = teach_examples(
        contents,
        examples,
        output,
        max_difference,
        descriptions,
        background,
        stored,
        other_share,
        negatives,
        nouns,
    )
    return replace(result, skipped=(*skipped, *result.skipped))


def teach_examples(
    contents: Contents,
    examples: ClassExamples,
    output: str | Path,
    max_difference: float = MAX_SCORE_DIFFERENCE,
    descriptions: Descriptions | None = None,
    background: Background | None = None,
    stored: KeptExamples | None = None,
    other_share: float = DEFAULT_SHARE,
    negatives: OtherImages | None = None,
    nouns: tuple[tuple[str, ...], ...] = (),
) -> TeachResult:
    """Write a bundle that tells classes apart of which there are enough examples.

    Args:
        contents: of the bundle that lends its encoder and captioner, and has made the examples.
        examples: of the classes.
        output: as for `teach`.
        max_difference: as for `teach`.
        descriptions: as for `teach`.
        background: what the bundle makes of other images; needed where a class has no example.
        stored: what the bundle is to keep of the examples; None: nothing.
        other_share: as for `teach`.
        negatives: images that show none of the classes, beside those of the examples that are
            called NONE_OF_THESE.
        nouns: the words of captions that the classes' names take the place of; empty: they do not.

    Raises:
        PicaptionError: the bundle cannot be written.
    """
    require_bundle_or_none(output)
    examples, named_none = split_negatives(examples)
    negatives = join_images([negatives, named_none]) if negatives is not None else named_none
    labels = examples.labels
    descriptions = descriptions or {}
    features = examples.features
    word_evidence = examples.word_evidence
    if background is not None:
        features = np.concatenate([features, background.features])
        if word_evidence is not None and background.word_evidence is not None:
            word_evidence = np.concatenate([word_evidence, background.word_evidence])
    priors = ClassWords(contents).priors(labels, descriptions, features)
    if background is not None:
        classifier, held_out = fit_with_unseen(examples, priors, background)
    else:
        classifier, held_out = fit_classes(
            examples, contents.vocabulary, prototypes=priors.features, prior=priors.words
        )
    gate, notes = gate_of(contents, examples, classifier, priors, negatives, other_share)
    if len(labels) == 1:
        if gate is None:
            reason = notes[0] if notes else "pictures of other things get a class too"
            raise PicaptionError(f"{labels[0]} is the only class, and {reason}; teach a second one")
        # One class alone is always right, which says nothing.
        held_out = np.full_like(held_out, np.nan)
    if examples.silent:
        contents = speaking_always(contents)
    write_taught_bundle(
        output,
        contents,
        labels,
        classifier,
        features,
        word_evidence,
        examples.counts,
        max_difference,
        descriptions,
        stored,
        gate,
        nouns,
    )
    confusion = count_confusion(held_out, examples.truth)
    return TeachResult(
        examples.counts,
        mean_class_accuracy(held_out, examples.truth),
        examples.skipped,
        confusion,
        {label: words for label, words in priors.unknown.items() if words},
        stored,
        len(negatives.features),
        gate.share if gate else None,
        (*notes, *notes_on(examples, confusion)),
        dict(zip(labels, nouns)),
    )


def gate_of(
    contents: Contents,
    examples: ClassExamples,
    classifier: Classifier,
    priors: ClassPriors,
    negatives: OtherImages,
    other_share: float,
) -> tuple[Gate | None, list[str]]:
    """Return the Gate of classes, or None and why there is none.

    Args:
        contents: of the bundle that has made the examples.
        examples: of the classes.
        classifier: of the classes.
        priors: what words say of the classes.
        negatives: images that show none of the classes.
        other_share: as for `teach`.
    """
    if other_share >= 1:
        return None, []
    statistics = bundle_background(contents)
    names = name_probabilities(contents.graph, examples.features)
    if statistics is None or names is None or classifier.words is None:
        reason = "there are no statistics of other pictures for this bundle"
    elif not examples.truth.any(0).all():
        reason = "a class has no pictures"
    else:
        gate = fit_gate(
            examples,
            names,
            classifier,
            statistics,
            negatives,
            other_share,
            priors.words,
            priors.features,
        )
        return gate, []
    return None, [f"pictures of other things get a class too: {reason}"]
