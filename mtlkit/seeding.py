"""Random streams of NumPy, one for every purpose, that all follow from one seed."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *parts: int | str) -> np.random.Generator:
    """A random stream of its own for every combination of seed and parts."""
    return np.random.default_rng([seed, *(zlib.crc32(part.encode()) if isinstance(part, str) else part for part in parts)])
