"""The bundle: one .tflite file with the networks, the vocabulary and the metadata."""
