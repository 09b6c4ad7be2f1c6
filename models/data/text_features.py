"""Features for sentences without images, made from their words.

Pairs of such a sentence and its features teach the captioner what no image at hand shows. The idea
is text-only training (Nukrai, Mokady and Globerson, "Text-Only Training for Image Captioning using
Noise-Injected CLIP", Findings of EMNLP 2022), where CLIP's text encoder makes the features. Here a
ridge regression does, from the words of captions to the features of their images, and the noise is
real: what the regression leaves unexplained of another image.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from picaption.device.bundle.vocabulary import UNKNOWN_ID, Vocabulary

from .batches import PADDING_MULTIPLE, Batches, Examples, pad_rows, windows
from .tokenizer import tokenize

#: The penalty of the regression, for words whose vectors have length 1.
PENALTY = 3.0
#: Words that fewer captions have say nothing of features.
MIN_CAPTIONS = 3
#: Unexplained parts of features that are kept to draw from.
MAX_RESIDUALS = 8192
#: Shorter sentences are titles and exclamations.
MIN_WORDS = 5
#: Captions whose words are counted at once.
_CHUNK = 4096


@dataclass(frozen=True)
class TextFeatures:
    """Makes features from the words of sentences.

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

    def draw(self, sentences: Sequence[Sequence[int]], random: np.random.Generator) -> np.ndarray:
        """Return features of images that sentences may be of, float32 [N, F].

        Args:
            sentences: N lists of word ids.
            random: Draws the unexplained part of each.
        """
        explained = word_vectors(sentences, self.word_weights) @ self.regression + self.mean
        noise = self.residuals[random.integers(len(self.residuals), size=len(sentences))]
        # Features are means of activations, which are never negative.
        return np.maximum(explained + noise, 0)


def word_vectors(captions: Sequence[Sequence[int]], word_weights: np.ndarray) -> np.ndarray:
    """Return the weighted words of captions as vectors of length 1, float32 [N, V]."""
    vectors = np.zeros((len(captions), len(word_weights)), np.float32)
    for row, caption in enumerate(captions):
        vectors[row, list(caption)] = word_weights[list(caption)]
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def fit_text_features(examples: Examples, words: int, seed: int) -> TextFeatures:
    """Fit TextFeatures to images with captions.

    Args:
        examples: Features [N, F] and captions.
        words: V, the size of the vocabulary.
        seed: Chooses the images whose unexplained parts are kept.
    """
    pairs = [
        (row, caption) for row, captions in enumerate(examples.captions) for caption in captions
    ]
    counts = np.zeros(words)
    for _, caption in pairs:
        counts[list(set(caption))] += 1
    word_weights = np.where(
        counts >= MIN_CAPTIONS, np.log(len(pairs) / np.maximum(counts, 1)), 0
    ).astype(np.float32)
    mean = examples.inputs.mean(0)
    squares = PENALTY * np.eye(words)
    products = np.zeros((words, len(mean)))
    for start in range(0, len(pairs), _CHUNK):
        rows, captions = zip(*pairs[start : start + _CHUNK])
        vectors = word_vectors(captions, word_weights)
        squares += vectors.T @ vectors
        products += vectors.T @ (examples.inputs[list(rows)] - mean)
    regression = np.linalg.solve(squares, products).astype(np.float32)
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(pairs))[:MAX_RESIDUALS]
    rows, captions = zip(*(pairs[index] for index in chosen))
    explained = word_vectors(captions, word_weights) @ regression + mean
    return TextFeatures(word_weights, regression, mean, examples.inputs[list(rows)] - explained)


def learnable_sentences(
    texts: Iterable[str], vocabulary: Vocabulary, max_words: int
) -> list[list[int]]:
    """Return those of sentences that have known words only, each once, as lists of word ids.

    Args:
        texts: The sentences.
        vocabulary: Of the captioner.
        max_words: Longer ones are left out, and so are those of fewer than MIN_WORDS.
    """
    tokenized = (tokenize(text) for text in dict.fromkeys(texts))
    encoded = (
        tuple(vocabulary.encode(words))
        for words in tokenized
        if MIN_WORDS <= len(words) <= max_words
    )
    known = (caption for caption in encoded if UNKNOWN_ID not in caption)
    return [list(caption) for caption in dict.fromkeys(known)]


class MixedBatches(Batches):
    """Batches of images with their captions, and of sentences with features made of their words.

    A sentence has no tags. New ones are drawn for every batch, with new features.
    """

    def __init__(
        self,
        examples: Examples,
        order: int,
        text_features: TextFeatures,
        sentences: Sequence[Sequence[int]],
        sentences_per_image: int,
        **options: Any,
    ) -> None:
        """Create the batches.

        Args:
            examples: Features [N, F].
            order: n, of the n-grams.
            text_features: Makes the features of sentences.
            sentences: Lists of word ids to draw from.
            sentences_per_image: How many a batch has for each of its images.
            options: Of Batches.
        """
        super().__init__(examples, order, **options)
        self.text_features = text_features
        self.sentences = sentences
        self.sentences_per_image = sentences_per_image

    def __getitem__(self, index: int) -> tuple[dict, dict, dict]:
        inputs, targets, weights = super().__getitem__(index)
        images = len(inputs["image"])
        drawn = self.random.integers(len(self.sentences), size=images * self.sentences_per_image)
        sentences = [self.sentences[number] for number in drawn]
        pairs = [windows(sentence, self.order) for sentence in sentences]
        lengths = [len(words) for _, words in pairs]
        count = sum(lengths)
        padding = -count % PADDING_MULTIPLE
        features = self.text_features.draw(sentences, self.random)
        owners = np.repeat(np.arange(images, images + len(sentences), dtype=np.int32), lengths)
        inputs = {
            "image": np.concatenate([inputs["image"], features]),
            "history": pad_rows([inputs["history"], *(history for history, _ in pairs)], padding),
            "row": pad_rows([inputs["row"], owners], padding),
        }
        targets = {
            "words": pad_rows([targets["words"], *(words for _, words in pairs)], padding),
            "tags": np.pad(targets["tags"], [(0, len(sentences)), (0, 0)]),
        }
        is_real = pad_rows([weights["words"] > 0, np.ones(count, bool)], padding)
        # Losses are means over all, so the weights of those that count make up for the others.
        share = 1 + self.sentences_per_image
        weights = {
            "words": is_real * np.float32(len(is_real) / is_real.sum()),
            "tags": np.pad(weights["tags"] * np.float32(share), (0, len(sentences))),
        }
        return inputs, targets, weights
