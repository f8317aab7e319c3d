"""Independent NumPy random generators derived from one seed."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *parts: int | str) -> np.random.Generator:
    """A generator that depends on the seed and on `parts`, e.g. what it is used for."""
    return np.random.default_rng([seed, *(zlib.crc32(part.encode()) if isinstance(part, str) else part for part in parts)])
