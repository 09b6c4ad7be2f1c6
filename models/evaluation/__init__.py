"""Evaluation: metrics, studies and their pages."""
