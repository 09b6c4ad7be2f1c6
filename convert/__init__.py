"""From a trained run to a quantized bundle."""

#: How a bundle's graph computes. int8: weights and activations in 8 bits; int16: weights in 8 bits,
#: activations in 16; dynamic: weights stored in 8 bits, activations quantized as they come where a
#: kernel can; float16: weights stored in 16 bits of floating point; float32: nothing is quantized.
PRECISIONS = ("int8", "int16", "dynamic", "float16", "float32")

#: The precisions whose weights are integers with scales, one a channel or one a tensor.
INTEGERS = ("int8", "int16", "dynamic")

#: What a bundle is to run on. tflite-runtime, whose last release is 2.14, crashes on Arm where a
#: dense layer has a scale a channel.
RUNTIMES = ("ai-edge-litert", "tflite-runtime")
