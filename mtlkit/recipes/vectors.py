"""What is made of a model's vectors: the first numbers of each, length 1, cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.inference import VectorOptions
from mtlkit.errors import UsageError

if TYPE_CHECKING:
    from mtlkit.recipes.loading import LoadedModel


def width_of(options: VectorOptions, loaded: LoadedModel) -> int:
    """How long the vectors will be. Raises UsageError where `dim` asks for more than the model's have."""
    if options.dim is not None and options.dim > loaded.dim:
        raise UsageError(f"--dim {options.dim}: the vectors of {loaded.name} have {loaded.dim} numbers; give that or less")
    return options.dim or loaded.dim


def cut(vectors: NDArray[np.float32], dim: int | None) -> NDArray[np.float32]:
    """The first `dim` numbers of each of N vectors, (N, dim), or all. Those of a Matryoshka model (Kusupati et al. 2022) are
    trained to stand alone."""
    return np.ascontiguousarray(vectors[:, :dim])


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """N vectors scaled to length 1; one of zeros stays."""
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():  # the squares of large numbers overflow
        vectors = (vectors / np.abs(vectors).max(1, keepdims=True, initial=1)).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return scaled


def cosines(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine of every pair of N vectors, (N, N); rounding takes none out of -1 to 1."""
    scaled = unit(vectors)
    matrix: NDArray[np.float32] = np.clip(scaled @ scaled.T, -1.0, 1.0)
    return matrix
