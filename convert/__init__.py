"""From a trained run to a quantized bundle."""

#: How a bundle's graph computes: weights and activations in 8 bits; weights in 8 bits, activations in 16; weights stored in
#: 8 bits, activations quantized as they come where a kernel can; nothing quantized.
PRECISIONS = ("int8", "int16", "dynamic", "float32")
#: The ranges of pixels that a network may take: what brings 0 to 255 there, a factor and what is added then.
PIXELS = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
