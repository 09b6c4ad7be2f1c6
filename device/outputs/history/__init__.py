"""The output that remembers: scenes are collected from frames, and written by a thread."""
