"""Datasets: readers, tokenization, batches."""
