"""What a kind of input is: see tools.fuzz.run, which runs them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A kind of input that the program takes from others.

    Attributes:
        name: What the command line calls it.
        seeds: Returns whole inputs, which are mutated; its argument is an empty folder for files
            that `use` finds there again.
        use: Hands the program an input, as bytes, in that folder. PicaptionError is a refusal;
            any other exception is a fault.
        mutate: Returns a mutation of a seed.
    """

    name: str
    seeds: Callable[[Path], Sequence[bytes]]
    use: Callable[[bytes, Path], None]
    mutate: Callable[[bytes, random.Random], bytes]
