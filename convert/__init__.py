"""From a trained run to a quantized bundle."""

#: How a bundle's graph computes: weights and activations in 8 bits; weights stored in 8 bits, activations quantized as
#: they come where a kernel can; nothing quantized. (Weights in 8 bits with activations in 16 cannot be had: the
#: quantizer for them wants a range for the captioner's word numbers, which are integers.)
PRECISIONS = ("int8", "dynamic", "float32")
