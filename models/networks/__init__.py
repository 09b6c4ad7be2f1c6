"""Definitions of the networks."""
