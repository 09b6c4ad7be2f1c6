"""Counted n-gram language models, and what captions say of classes."""
