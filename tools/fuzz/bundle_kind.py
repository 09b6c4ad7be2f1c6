"""Bundles as a kind of tools.fuzz.run; tools.fuzz.bundles alone says more of each."""

import multiprocessing
import os
import random
from pathlib import Path

from picaption.device.errors import PicaptionError

from . import bundles
from .kind import Kind


def _seeds(folder: Path) -> list[bytes]:
    return [bundles.BUNDLE.read_bytes()]


def _use(content: bytes, folder: Path) -> None:
    os.environ["XDG_CACHE_HOME"] = str(folder)  # No hash is known there.
    multiprocessing.get_context("forkserver").set_forkserver_preload(bundles.PRELOADED)
    result = bundles.use(content, folder / "mutated.tflite")
    if result.startswith("refused"):
        raise PicaptionError(result)


def _mutate(seed: bytes, generator: random.Random) -> bytes:
    return bundles.mutate(generator, seed)


KINDS = (Kind("bundles", _seeds, _use, _mutate),)
