"""From a trained run to a quantized bundle."""

#: How a bundle's graph computes: weights and activations in 8 bits; weights in 8 bits, activations in 16; weights stored in
#: 8 bits, activations quantized as they come where a kernel can; nothing quantized.
PRECISIONS = ("int8", "int16", "dynamic", "float32")
