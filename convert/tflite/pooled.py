"""A map of scores, as fully convolutional networks give, pooled to one row of them."""

import tensorflow as tf


def pooled_scores(scores: tf.Tensor) -> tf.Tensor:
    """Return the mean over the places of a map of scores [1, H, W, C]; a row of them as it is.

    Of probabilities, the logits that they come from are averaged, and their activation follows.
    """
    if len(scores.shape) != 4 or scores.shape[1] * scores.shape[2] == 1:
        return scores
    operator = scores.op
    while operator.type == "Identity":
        operator = operator.inputs[0].op
    activation = {"Softmax": tf.nn.softmax, "Sigmoid": tf.sigmoid}.get(operator.type)
    if activation is None:
        return tf.reduce_mean(scores, (1, 2))
    return activation(tf.reduce_mean(operator.inputs[0], (1, 2)))
