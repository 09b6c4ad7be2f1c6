"""The captioner of a bundle in numpy: many images at a time, from what the history remembers."""
