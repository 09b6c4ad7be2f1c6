"""Definitions, training and evaluation of the models, and the shipped bundle."""
