"""The report on what quantization cost."""
