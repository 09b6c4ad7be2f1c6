"""Metadata with a value of its own for every entry."""

from picaption.device.bundle.metadata import (
    Beam,
    Confidence,
    Guidance,
    Input,
    Metadata,
    Naming,
    Silence,
)

METADATA = Metadata(
    "tiny",
    "Apache-2.0",
    "single-label",
    Input(32, 48, "crop"),
    3,
    Beam(2, 1, 9, 1.25),
    Guidance(2, 0.25, -9, 0.5, 1, 0.75, 0.2, 3, 1.5, 0.625, -4, 0.25),
    Naming(0.8, 0.7, 0.95, 0.5),
    ("a", "on top"),
    ("cat", "dog"),
    (("cat", "kitten"), ("hot dog",)),
    ("dog house",),
    0.25,
    0.75,
    0.625,
    0.5,
    Confidence(-0.5, 1.5, -0.25, 0.125, -0.75, 2.0, 0.875),
    Silence(30.0, 4.0, 0.1),
    {"pictures": 3},
    {"CIDEr": 0.5},
)
