"""Layers' names, from tensors' and from the converter's messages."""

import pytest

from picaption.convert.tflite.layer_names import conversion_error, layer_name


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("encoder_1/net_1.0_1/block_15_project_1/BiasAdd;encoder_1/x_1/Conv", "block_15_project"),
        # The scope conv2d_1 was taken by the second layer of conv2d.
        ("encoder_1/conv2d_1_2/BiasAdd", "conv2d_1"),
        ("Relu;add", "Relu"),
        ("functional_1/erfinv/Erfinv", "erfinv"),
    ],
)
def test_layers_names_come_from_their_tensors(tensor, layer):
    assert layer_name(tensor) == layer


def test_operators_that_cannot_be_converted_are_named_with_their_layers():
    message = (
        'x.py:1:0: error: loc(callsite("model_1/tail_1/Foo@__inference_1"("a.py":2:0))): '
        "'tf.Foo' op is neither a custom op nor a flex op\n"
        'x.py:1:0: error: loc("model_1/body/Bar@__inference_1"): '
        "'tf.Bar' op is neither a custom op nor a flex op\n"
    )
    assert conversion_error(message) == (
        "TFLite has no operator for Bar (in layer body), Foo (in layer tail): build the model "
        "without it, or from operators that TFLite has"
    )


def test_another_error_is_its_first_line():
    assert conversion_error("no memory\nmore") == "TensorFlow cannot convert this model: no memory"
