"""Synthetic images: captions without their images, with features made from their words.

They teach the captioner what no image at hand shows. The idea is text-only training (Nukrai, Mokady
and Globerson, "Text-Only Training for Image Captioning using Noise-Injected CLIP", Findings of
EMNLP 2022), where CLIP's text encoder makes the features. Here a ridge regression does, from the
words of all captions of an image to its features, and the noise is real: what the regression leaves
unexplained of another image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from picaption.device.bundle.vocabulary import Vocabulary

from .batches import PADDING_MULTIPLE, Batches, Examples, pad_rows, windows
from .readers import Record
from .tokenizer import tokenize

#: The penalty of the regression, for words whose vectors have length 1.
PENALTY = 3.0
#: Words that fewer captions have say nothing of features.
MIN_CAPTIONS_OF_WORD = 3
#: Unexplained parts of features that are kept to draw from.
MAX_RESIDUALS = 8192
#: Shorter sentences are titles and exclamations.
MIN_WORDS = 5
#: Fewer captions say too little of an image, and are too few to compare a sampled caption with.
MIN_CAPTIONS_OF_IMAGE = 3
#: Images whose words are counted at once.
_CHUNK = 4096

#: The captions of each image, each a sequence of word ids.
CaptionsByImage = Sequence[Sequence[Sequence[int]]]


@dataclass(frozen=True)
class TextFeatures:
    """Makes features from the words of captions.

    Attributes:
        word_weights: The inverse document frequency of each of V words, float32 [V].
        regression: From weighted words to features less their mean, float32 [V, F].
        mean: Of the features, float32 [F].
        residuals: What the regression leaves unexplained of R images, float32 [R, F].
    """

    word_weights: np.ndarray
    regression: np.ndarray
    mean: np.ndarray
    residuals: np.ndarray

    def draw(self, captions: CaptionsByImage, random: np.random.Generator) -> np.ndarray:
        """Return features of images that may have these captions, float32 [N, F].

        Args:
            captions: Of N images.
            random: Draws the unexplained part of each.
        """
        explained = word_vectors(captions, self.word_weights) @ self.regression + self.mean
        noise = self.residuals[random.integers(len(self.residuals), size=len(captions))]
        # Features are means of activations, which are never negative.
        return np.maximum(explained + noise, 0)


def word_vectors(captions: CaptionsByImage, word_weights: np.ndarray) -> np.ndarray:
    """Return the weighted words of N images' captions as vectors of length 1, float32 [N, V].

    A word counts once for each caption that has it.
    """
    vectors = np.zeros((len(captions), len(word_weights)), np.float32)
    for vector, of_image in zip(vectors, captions):
        for caption in of_image:
            words = list(set(caption))
            vector[words] += word_weights[words]
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def fit_text_features(examples: Examples, words: int, seed: int) -> TextFeatures:
    """Fit TextFeatures to images with captions.

    Args:
        examples: Features [N, F] and captions.
        words: V, the size of the vocabulary.
        seed: Chooses the images whose unexplained parts are kept.
    """
    captions = [caption for of_image in examples.captions for caption in of_image]
    counts = np.zeros(words)
    for caption in captions:
        counts[list(set(caption))] += 1
    word_weights = np.where(
        counts >= MIN_CAPTIONS_OF_WORD, np.log(len(captions) / np.maximum(counts, 1)), 0
    ).astype(np.float32)
    mean = examples.inputs.mean(0)
    squares = PENALTY * np.eye(words)
    products = np.zeros((words, len(mean)))
    for start in range(0, len(examples.captions), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        vectors = word_vectors(examples.captions[chunk], word_weights)
        squares += vectors.T @ vectors
        products += vectors.T @ (examples.inputs[chunk] - mean)
    regression = np.linalg.solve(squares, products).astype(np.float32)
    rows = np.random.default_rng(seed).permutation(len(examples.captions))[:MAX_RESIDUALS]
    vectors = word_vectors([examples.captions[row] for row in rows], word_weights)
    residuals = examples.inputs[rows] - (vectors @ regression + mean)
    return TextFeatures(word_weights, regression, mean, residuals)


@dataclass(frozen=True)
class SyntheticImages:
    """Images that are known by their captions alone.

    Attributes:
        records: What is known of each.
        captions: Of each, as word ids.
        text_features: Makes their features.
    """

    records: Sequence[Record]
    captions: CaptionsByImage
    text_features: TextFeatures

    def draw_inputs(self, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return features of the images `rows`, int [N], other ones each time: float32 [N, F]."""
        return self.text_features.draw([self.captions[row] for row in rows], random)


def well_captioned(
    records: Sequence[Record], vocabulary: Vocabulary, max_words: int
) -> tuple[list[Record], list[list[list[int]]]]:
    """Return the records with MIN_CAPTIONS_OF_IMAGE captions or more, and these as word ids.

    Args:
        records: Captions without images.
        vocabulary: Of the captioner.
        max_words: Longer captions are left out, and so are those of fewer than MIN_WORDS.
    """
    chosen = []
    encoded = []
    for record in records:
        tokenized = [tokenize(caption) for caption in record.captions]
        captions = [
            vocabulary.encode(words) for words in tokenized if MIN_WORDS <= len(words) <= max_words
        ]
        if len(captions) >= MIN_CAPTIONS_OF_IMAGE:
            chosen.append(record)
            encoded.append(captions)
    return chosen, encoded


@dataclass(frozen=True)
class MixedImages:
    """Images at hand and, numbered behind them, synthetic ones.

    Attributes:
        examples: The images at hand, as cached features.
        synthetic: The synthetic images, if there are any.
        captions: Those of all.
    """

    examples: Examples
    synthetic: SyntheticImages | None = None
    captions: CaptionsByImage = field(init=False)

    def __post_init__(self) -> None:
        synthetic = self.synthetic.captions if self.synthetic else ()
        object.__setattr__(self, "captions", [*self.examples.captions, *synthetic])

    def draw_rows(self, synthetic_per_image: float, random: np.random.Generator) -> np.ndarray:
        """Return the images of an epoch in random order, int [R].

        They are the images at hand that have captions, and for each of them as many of the
        synthetic ones as are asked for, as far as there are so many.

        Args:
            synthetic_per_image: How many, 0.5 for one for every second image.
            random: Draws them and their order.
        """
        at_hand = np.flatnonzero([bool(captions) for captions in self.examples.captions])
        count = round(len(at_hand) * synthetic_per_image)
        behind = np.arange(len(self.examples.captions), len(self.captions))
        return random.permutation(np.concatenate([at_hand, random.permutation(behind)[:count]]))

    def draw_inputs(self, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return the features of images, those of synthetic ones drawn, float32 [R, F]."""
        at_hand = len(self.examples.captions)
        is_synthetic = rows >= at_hand
        if self.synthetic is None or not is_synthetic.any():
            return self.examples.inputs[rows]
        inputs = self.examples.inputs[np.where(is_synthetic, 0, rows)]
        inputs[is_synthetic] = self.synthetic.draw_inputs(rows[is_synthetic] - at_hand, random)
        return inputs


class MixedBatches(Batches):
    """Batches of images with their captions, and of synthetic images with theirs.

    A synthetic image has no tags. New ones are drawn for every batch, with new features.
    """

    def __init__(
        self,
        examples: Examples,
        order: int,
        synthetic: SyntheticImages,
        synthetic_per_image: float,
        **options: Any,
    ) -> None:
        """Create the batches.

        Args:
            examples: Features [N, F].
            order: n, of the n-grams.
            synthetic: The synthetic images.
            synthetic_per_image: How many a batch has for each of its images.
            options: Of Batches.
        """
        super().__init__(examples, order, **options)
        self.synthetic = synthetic
        self.synthetic_per_image = synthetic_per_image

    def __getitem__(self, index: int) -> tuple[dict, dict, dict]:
        inputs, targets, weights = super().__getitem__(index)
        images = len(inputs["image"])
        count = round(images * self.synthetic_per_image)
        rows = self.random.integers(len(self.synthetic.captions), size=count)
        features = self.synthetic.draw_inputs(rows, self.random)
        pairs = []
        owners = []
        for position, row in enumerate(rows, images):
            captions = self.synthetic.captions[row]
            for chosen in self.random.permutation(len(captions))[: self.captions_per_image]:
                pairs.append(windows(captions[chosen], self.order))
                owners.append(np.full(len(pairs[-1][1]), position, np.int32))
        ngrams = sum(map(len, owners))
        padding = -ngrams % PADDING_MULTIPLE
        inputs = {
            "image": np.concatenate([inputs["image"], features]),
            "history": pad_rows([inputs["history"], *(history for history, _ in pairs)], padding),
            "row": pad_rows([inputs["row"], *owners], padding),
        }
        targets = {
            "words": pad_rows([targets["words"], *(words for _, words in pairs)], padding),
            "tags": np.pad(targets["tags"], [(0, count), (0, 0)]),
        }
        is_real = pad_rows([weights["words"] > 0, np.ones(ngrams, bool)], padding)
        # Losses are means over all, so the weights of those that count make up for the others.
        share = (images + count) / images
        weights = {
            "words": is_real * np.float32(len(is_real) / is_real.sum()),
            "tags": np.pad(weights["tags"] * np.float32(share), (0, count)),
        }
        return inputs, targets, weights
