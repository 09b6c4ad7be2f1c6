"""N-gram language models and what they know of classes."""
