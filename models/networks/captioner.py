"""The encoder, the image-conditioned n-gram captioner and the tagger, as Keras models.

The captioner is a feed-forward n-gram language model (Bengio et al., JMLR 3, 2003) whose hidden
layer also depends on the image: with e the embeddings of the n-1 words before, one after the
other, and f the features of the image,

    h = relu(W e + c)        P(w_i | ...) = softmax(U h + u)        c = C f + b

c depends on the image alone. It is computed once an image (`context`), so that a step of the beam
search costs a table look-up and two matrix products (`next_word`). Tags come from relu(c) by one
more product.

C, U and the tags' matrix can be products of two matrices of a low rank, C = C2 C1 and so on
(Sainath et al., "Low-rank matrix factorization for deep neural network training with
high-dimensional output targets", ICASSP 2013): a hidden layer almost three times as large then has
as many weights, and knows more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers


@dataclass(frozen=True)
class Captioner:
    """The captioner's models, which share no weights.

    With attention, features are [batch, G, F] and the context is [batch, G, H], for the G cells of
    the grid.

    Attributes:
        context: features [batch, F] -> [batch, H].
        next_word: history int32 [batch, n-1], context [batch, H] -> logits [batch, V].
        tagger: context [batch, H] -> logits [batch, tags].
    """

    context: keras.Model
    next_word: keras.Model
    tagger: keras.Model


def build_captioner(
    features: Sequence[int],
    words: int,
    tags: int,
    order: int = 5,
    embedding: int = 128,
    hidden: int = 512,
    rank: int = 0,
    dropout: float = 0.4,
) -> Captioner:
    """Build a Captioner with random weights.

    Args:
        features: The shape of the features: (F,), or, for attention, (G, F).
        words: The size of the vocabulary.
        tags: The number of tags.
        order: n, of the n-grams.
        embedding: The size of a word's embedding.
        hidden: H, the size of the hidden layer.
        rank: Of C, U and the tags' matrix; 0 for full rank.
        dropout: The share of features and hidden units that is dropped in training; of embeddings
            half of it.
    """

    def low_rank(x: Any, name: str) -> Any:
        return layers.Dense(rank, use_bias=False, name=name)(x) if rank else x

    has_grid = len(features) == 2
    inputs = keras.Input(features, name="features")
    x = low_rank(layers.Dropout(dropout)(inputs), "narrow_features")
    context_model = keras.Model(inputs, layers.Dense(hidden, name="context")(x), name="context")

    context = keras.Input((*features[:-1], hidden), name="context")
    x = layers.GlobalAveragePooling1D()(context) if has_grid else context
    x = low_rank(layers.Dropout(dropout)(layers.ReLU()(x)), "narrow_tags")
    tagger = keras.Model(context, layers.Dense(tags, name="tags")(x), name="tagger")

    history = keras.Input((order - 1,), dtype="int32", name="history")
    embedded = layers.Flatten()(layers.Embedding(words, embedding, name="embedding")(history))
    embedded = layers.Dropout(dropout / 2)(embedded)
    image = _attend(context, embedded, hidden) if has_grid else context
    x = layers.Add()([layers.Dense(hidden, use_bias=False, name="hidden")(embedded), image])
    x = low_rank(layers.Dropout(dropout)(layers.ReLU()(x)), "narrow_logits")
    logits = layers.Dense(words, name="logits")(x)
    next_word = keras.Model([history, context], logits, name="next_word")
    return Captioner(context_model, next_word, tagger)


def _attend(context: Any, embedded: Any, hidden: int) -> Any:
    """Return the context, weighted over the grid by the words before (pooling = "attention").

    With f_g the features of cell g of the grid (Luong et al., "Effective Approaches to
    Attention-based Neural Machine Translation", EMNLP 2015, the score that is a dot product):

        c = sum_g a_g c_g        c_g = C f_g + b        a = softmax_g(c_g . Q e)

    Q starts at zero, and c as the mean, which it is without attention. On Flickr8k this brings 0.9
    of CIDEr, and a caption takes three times as long (models/pretrained/previous.md): recipes use
    the mean.
    """
    query_layer = layers.Dense(hidden, use_bias=False, kernel_initializer="zeros", name="query")
    query = layers.Reshape((1, hidden))(query_layer(embedded))
    return layers.Flatten()(layers.Attention()([query, context]))


def build_encoder(
    network: keras.Model, grid: bool = False, scaling: tuple[Any, Any] = (1 / 127.5, -1.0)
) -> keras.Model:
    """Build the encoder over a convolutional network.

    Args:
        network: Outputs a feature map [batch, height, width, F], or a vector [batch, F].
        grid: Keep the feature map as features [batch, G, F] of its G cells, for attention, in
            place of their mean.
        scaling: The factor and the offset that bring 0..255 into the range of the network's input,
            numbers or lists of one a channel.

    Returns:
        The model from RGB in 0..255, float32 or uint8 [batch, size, size, 3], to features
        [batch, F].
    """
    image = keras.Input(network.input_shape[1:], name="image")
    x = network(layers.Rescaling(*scaling)(image))
    if grid:
        x = layers.Reshape((-1, x.shape[-1]), name="features")(x)
    elif len(x.shape) == 2:
        x = layers.Reshape(x.shape[1:], name="features")(x)
    else:
        x = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, x, name="encoder")


def mean_over_grid(features: np.ndarray) -> np.ndarray:
    """Return the mean of features [N, G, F] over the grid, float32; [N, F] unchanged."""
    return features.mean(1, dtype="float32") if features.ndim == 3 else features
