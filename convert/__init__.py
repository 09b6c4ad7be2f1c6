"""From a trained run to a quantized bundle."""

#: How a bundle's graph computes: weights and activations in 8 bits; weights in 8 bits, activations in 16; weights stored in
#: 8 bits, activations quantized as they come where a kernel can; weights stored in 16 bits of floating point; nothing quantized.
PRECISIONS = ("int8", "int16", "dynamic", "float16", "float32")

#: Those whose numbers are whole: the weights have scales, one a channel or one a tensor.
INTEGERS = ("int8", "int16", "dynamic")

#: What a bundle is to run on. tflite-runtime, the last of which is 2.14, crashes on Arm where a dense layer has a scale a channel.
RUNTIMES = ("ai-edge-litert", "tflite-runtime")
