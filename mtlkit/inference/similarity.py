"""What is made of a model's vectors: the first numbers of each, length 1, how alike they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.inference import VectorOptions
from mtlkit.config.vector_settings import Similarity
from mtlkit.errors import UsageError

if TYPE_CHECKING:
    from mtlkit.inference.loaded_model import LoadedModel

METRICS = {"euclidean": "euclidean", "manhattan": "cityblock"}  # what scipy calls them


def width_of(options: VectorOptions, loaded: LoadedModel) -> int:
    """How long the vectors will be: `dim`, else as the model has it by default. Raises UsageError where `dim` asks for more than
    the model's have."""
    if options.dim is not None and options.dim > loaded.full_dim:
        raise UsageError(f"--dim {options.dim}: the vectors of {loaded.name} have {loaded.full_dim} numbers; give that or less")
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


def similarities(vectors: NDArray[np.float32], kind: Similarity = "cosine") -> NDArray[np.float32]:
    """How alike every pair of N vectors is, (N, N): the cosine, which rounding takes not out of -1 to 1, the dot product, or a
    distance below zero, as in sentence-transformers."""
    if kind in ("cosine", "dot"):
        scaled = unit(vectors) if kind == "cosine" else vectors
        matrix: NDArray[np.float32] = scaled @ scaled.T
        return np.clip(matrix, -1.0, 1.0) if kind == "cosine" else matrix
    from scipy.spatial.distance import cdist

    distances: NDArray[np.float32] = -cdist(vectors, vectors, METRICS[kind]).astype(np.float32)
    return distances


def pair_similarities(vectors: NDArray[np.float32], kind: Similarity = "cosine") -> NDArray[np.float64]:
    """The same of each of N pairs, (N,), from 2N vectors: all first ones, then all second ones. Exact enough for ranks of
    near-equal cosines, as those of a model that tells little apart."""
    first, second = np.split(vectors.astype(np.float64), 2)
    found: NDArray[np.float64]
    if kind == "euclidean":
        found = -np.linalg.norm(first - second, axis=1)
    elif kind == "manhattan":
        found = -np.abs(first - second).sum(1)
    else:
        found = (first * second).sum(1)
        if kind == "cosine":
            found /= np.maximum(np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1), 1e-24)
    return found
