"""From an image to its caption, tags and classes."""
