"""The encoder, the image-conditioned n-gram captioner and the tagger, as Keras models.

The captioner is a feed-forward n-gram language model (Bengio et al., JMLR 3, 2003) whose hidden layer
also sees the picture: with e the embeddings of the n-1 words before, one after the other, and f the picture's features,

    h = relu(W e + c)        P(w_i | ...) = softmax(U h + u)        c = C f + b

c depends on the picture alone. It is computed once a picture (`context`), so that a step of the beam search costs a
table look-up and two matrix products (`next_word`). With attention, f_g are the features at every place g of the grid,
and the words before say where to look (Luong et al., "Effective Approaches to Attention-based Neural Machine
Translation", EMNLP 2015, the score that is a dot product):

    c = sum_g a_g c_g        c_g = C f_g + b        a = softmax_g(c_g . Q e)

Q is zero to begin with, and c then what it is without attention. Tags come from relu(c) by one more product.

C, U and the tags' matrix can be products of two of a low rank, C = C2 C1 and so on (Sainath et al., "Low-rank matrix
factorization for deep neural network training with high-dimensional output targets", ICASSP 2013): a hidden layer almost
three times as large then takes as many weights, and knows more.
"""

from dataclasses import dataclass

import keras
from keras import layers


@dataclass(frozen=True)
class Captioner:
    """The captioner's parts, which share no weights.

    With attention, features are [batch, G, F] and the context is [batch, G, H], for G places of the grid.

    context: features [batch, F] -> [batch, H]
    next_word: history int32 [batch, n-1], context [batch, H] -> logits [batch, V]
    tagger: context [batch, H] -> logits [batch, tags]
    """

    context: keras.Model
    next_word: keras.Model
    tagger: keras.Model


def build_captioner(features, words, tags, order=5, embedding=128, hidden=512, rank=0, dropout=0.4):
    """Build an untrained Captioner for features of the shape `features`, (F,) or, with attention, (G, F), for `words`
    words, `tags` tags and n-grams of `order`; with `rank`, C, U and the tags' matrix are of that rank."""

    def narrow(wide, name):
        return layers.Dense(rank, use_bias=False, name=name)(wide) if rank else wide

    inputs = keras.Input(features, name="features")
    seen = narrow(layers.Dropout(dropout)(inputs), "narrow_features")
    context = keras.Model(inputs, layers.Dense(hidden, name="context")(seen), name="context")

    given = keras.Input((*features[:-1], hidden), name="context")
    mean = layers.GlobalAveragePooling1D()(given) if len(features) == 2 else given
    called = narrow(layers.Dropout(dropout)(layers.ReLU()(mean)), "narrow_tags")
    tagger = keras.Model(given, layers.Dense(tags, name="tags")(called), name="tagger")

    history = keras.Input((order - 1,), dtype="int32", name="history")
    embedded = layers.Flatten()(layers.Embedding(words, embedding, name="embedding")(history))
    embedded = layers.Dropout(dropout / 2)(embedded)
    seen = given
    if len(features) == 2:
        query = layers.Dense(hidden, use_bias=False, kernel_initializer="zeros", name="query")(
            embedded
        )
        seen = layers.Flatten()(layers.Attention()([layers.Reshape((1, hidden))(query), given]))
    summed = layers.Add()([layers.Dense(hidden, use_bias=False, name="hidden")(embedded), seen])
    told = narrow(layers.Dropout(dropout)(layers.ReLU()(summed)), "narrow_logits")
    logits = layers.Dense(words, name="logits")(told)
    return Captioner(context, keras.Model([history, given], logits, name="next_word"), tagger)


def build_encoder(network, grid=False, scaling=(1 / 127.5, -1.0)):
    """Return the encoder: RGB float32 or uint8 [batch, size, size, 3] in 0..255 -> features [batch, F].

    `network` is a convolutional network that gives a feature map; its mean over the grid is the features, or, with
    `grid`, the map as it is, [batch, G, F] for its G places. One that gives a vector gives the features. scaling: what brings
    pixels into the range that it takes, a factor and what is added then.
    """
    image = keras.Input(network.input_shape[1:], name="image")
    seen = network(layers.Rescaling(*scaling)(image))
    if len(seen.shape) == 2 or grid:
        last = layers.Reshape((-1, seen.shape[-1]) if grid else seen.shape[1:], name="features")
    else:
        last = layers.GlobalAveragePooling2D(name="features")
    return keras.Model(image, last(seen), name="encoder")


def mean_over_grid(features):
    """Return the mean over the grid of features [N, G, F], float32; features [N, F] as they are."""
    return features.mean(1, dtype="float32") if features.ndim == 3 else features


def classic_cnn(size=96, classes=None):
    """Build the classic small network: Conv 32-64-128 with 2x2 max pooling, Dense 512, softmax.

    Takes RGB in 0..255 [batch, size, size, 3]. Gives the 512 features, or with `classes` their logits.
    """
    image = x = keras.Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, -1)(x)
    for filters in (32, 64, 128):
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, activation="relu")(x))
    x = layers.Dense(512, activation="relu", name="features")(layers.Flatten()(x))
    if classes:
        x = layers.Dense(classes, name="logits")(layers.Dropout(0.5)(x))
    return keras.Model(image, x, name="classic_cnn")
