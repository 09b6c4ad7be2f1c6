"""Measuring what a frame costs on this machine."""
