"""Training: captioner, classifier, encoder."""
