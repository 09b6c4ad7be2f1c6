"""From a trained run to a quantized bundle."""
