"""Truncation, normalization and similarity of vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.vector_settings import Similarity

METRICS = {"euclidean": "euclidean", "manhattan": "cityblock"}  # names in scipy


def truncate(vectors: NDArray[np.float32], dim: int | None) -> NDArray[np.float32]:
    """The first `dim` numbers of each of N vectors, (N, dim), or all for None; for Matryoshka models (Kusupati et al. 2022)."""
    return np.ascontiguousarray(vectors[:, :dim])


def normalize_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """N vectors scaled to length 1; zero vectors are unchanged."""
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():  # the squares of large numbers overflow
        vectors = (vectors / np.abs(vectors).max(1, keepdims=True, initial=1)).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return scaled


def similarities(vectors: NDArray[np.float32], kind: Similarity = "cosine") -> NDArray[np.float32]:
    """The similarity of every pair of N vectors, (N, N): cosine (clipped to [-1, 1]), dot product, or negative distance, as in
    sentence-transformers."""
    scaled = scaled_for(vectors, kind)
    matrix = similarities_of_scaled(scaled, scaled, kind)
    return np.clip(matrix, -1.0, 1.0) if kind == "cosine" else matrix


def scaled_for(vectors: NDArray[np.float32], kind: Similarity) -> NDArray[np.float32]:
    """Vectors as `similarities_of_scaled` takes them: of length 1 for cosines, else unchanged."""
    return normalize_rows(vectors) if kind == "cosine" else vectors


def similarities_of_scaled(left: NDArray[np.float32], right: NDArray[np.float32], kind: Similarity) -> NDArray[np.float32]:
    """The similarity of each of M vectors with each of N, (M, N); both from `scaled_for`."""
    if kind in ("cosine", "dot"):
        products: NDArray[np.float32] = left @ right.T
        return products
    from scipy.spatial.distance import cdist

    distances: NDArray[np.float32] = -cdist(left, right, METRICS[kind]).astype(np.float32)
    return distances


def pair_similarities(vectors: NDArray[np.float32], kind: Similarity = "cosine") -> NDArray[np.float64]:
    """The similarities of N pairs, (N,), from 2N vectors: the first of every pair, then the second. Computed in float64, so that
    nearly equal cosines are ranked correctly."""
    first, second = np.split(vectors.astype(np.float64), 2)
    result: NDArray[np.float64]
    if kind == "euclidean":
        result = -np.linalg.norm(first - second, axis=1)
    elif kind == "manhattan":
        result = -np.abs(first - second).sum(1)
    else:
        result = (first * second).sum(1)
        if kind == "cosine":
            result /= np.maximum(np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1), 1e-24)
    return result
