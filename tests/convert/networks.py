"""Small networks of random weights, and how they become graphs and files."""

from functools import cache

import keras
import numpy as np
import tensorflow as tf

from picaption.convert.tflite.export import convert_with_layer_names, freeze
from picaption.device.images import list_images, read_image, resize

#: The classes of `classifier`.
LABELS = ("ash", "birch", "cedar", "oak")


def classifier(size=32, channels=3, last="softmax", middle=None, pooled=True, classes=4):
    """Return a small classifier.

    Args:
        size: The side of its images; None: any.
        channels: Of its images.
        last: Its last activation; None: it returns logits.
        middle: A layer before its last one.
        pooled: Whether its features are one vector.
        classes: How many scores it returns.
    """
    keras.utils.set_random_seed(5)
    layers = keras.layers
    image = keras.Input((size, size, channels))
    features = layers.Conv2D(8, 3, 2, activation="relu6")(image)
    if pooled:
        features = layers.GlobalAveragePooling2D()(features)
    if middle:
        features = middle(features)
    return keras.Model(image, layers.Dense(classes, last)(features))


def many_operators():
    """Return a model of all that networks for images are made of, for 5 classes."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Input((32, 32, 3))
    padded = layers.ZeroPadding2D(1)(image)
    convolved = layers.Conv2D(8, 3, 2, "same", activation="relu6")(padded)
    normalized = layers.BatchNormalization()(convolved)
    pools = [layers.MaxPooling2D()(normalized), layers.AveragePooling2D(2)(normalized)]
    depthwise = layers.DepthwiseConv2D(3, dilation_rate=2)(layers.concatenate(pools))
    activated = layers.Activation("hard_swish")(depthwise)
    gate = layers.Conv2D(16, 1, activation="sigmoid")(activated)
    difference = layers.Subtract()([layers.ReLU()(activated), gate])
    weights = layers.Dense(16, "softmax")(layers.GlobalAveragePooling2D()(difference))
    weighted = layers.Multiply()([difference, layers.Reshape((1, 1, 16))(weights)])
    return keras.Model(image, layers.Dense(5, "sigmoid")(layers.Flatten()(weighted)))


def encoder_graph(model, precision="float32", images=(), **options):
    """Return a Keras model of images from 0 to 1 as a flatbuffer with a signature `encode`."""
    return convert_with_layer_names(
        {"encode": encode_function(model)},
        precision,
        [("encode", {"image": image[None]}) for image in images],
        **options,
    )


def encode_function(model):
    """Return a Keras model of images from 0 to 1 as a frozen function of one image of uint8."""

    def encode(image):
        return {"features": model(tf.cast(image, tf.float32) / 255)}

    return freeze(encode, tf.TensorSpec((1, *model.input_shape[1:]), tf.uint8, "image"))


def to_tflite(model, precision="float32", dtype=tf.float32):
    """Return a Keras model as a .tflite file's bytes; dtype: of an int8 model's inputs, outputs."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        random = np.random.default_rng(0)

        def representative_dataset():
            for _ in range(20):
                yield [random.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative_dataset
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = dtype
        converter.inference_output_type = dtype
    return converter.convert()


@cache
def classifier_file(precision="float32", dtype=tf.float32, **options):
    """Return a `classifier` of these options as a .tflite file's bytes; see to_tflite."""
    return to_tflite(classifier(**options), precision, dtype)


def read_images(data, size=32):
    """Return the images of the data set, uint8 [size, size, 3]."""
    paths = list_images(data / "images")
    return [resize(read_image(path), size, size, "stretch") for path in paths]


def outlier_classifier(images):
    """Return a classifier, and its layers `wide` and `narrow`, that 8 bits leave nothing of.

    One channel of the layer `wide` is 1000 times the others, and `narrow` takes it back. Pixels are
    from 0 to 1.

    Args:
        images: uint8 [N, 32, 32, 3], among which it tells LABELS apart.
    """
    keras.utils.set_random_seed(7)
    layers = keras.layers
    image = keras.Input((32, 32, 3))
    stem = layers.Conv2D(8, 3, 2, activation="relu", name="stem")(image)
    wide = layers.Conv2D(8, 1, activation="relu", name="wide")(stem)
    narrow = layers.Conv2D(8, 3, 2, activation="relu", name="narrow")(wide)
    after = layers.Conv2D(16, 3, activation="relu", name="after")(narrow)
    logits = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(after))
    model = keras.Model(image, layers.Softmax()(logits))
    kernel, bias = model.get_layer("wide").get_weights()
    kernel[..., 0] *= 1000
    model.get_layer("wide").set_weights([kernel, bias])
    kernel, bias = model.get_layer("narrow").get_weights()
    kernel[:, :, 0] /= 1000
    model.get_layer("narrow").set_weights([kernel, bias])
    # Scores whose means are 0, and which spread.
    scores = keras.Model(image, logits).predict(images / np.float32(255), verbose=0)
    kernel, bias = model.get_layer("logits").get_weights()
    factor = 3 / scores.std(0)
    model.get_layer("logits").set_weights([factor * kernel, factor * (bias - scores.mean(0))])
    return model
