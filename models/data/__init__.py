"""Data sets: readers, tokenizer, batches, captions of other images."""
