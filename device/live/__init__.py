"""The live loop and the pipeline it drives."""
