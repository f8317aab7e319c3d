from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtlkit.config.vector_settings import Similarity
from mtlkit.errors import UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.similarity import normalize_rows, pair_similarities, similarities, truncate


def test_cosines() -> None:
    matrix = similarities(np.array([[1, 0], [3, 4], [-2, 0], [0, 0]], np.float32))
    np.testing.assert_allclose(matrix, [[1, 0.6, -1, 0], [0.6, 1, -0.6, 0], [-1, -0.6, 1, 0], [0, 0, 0, 0]], atol=1e-6)


def test_no_cosine_is_above_one() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 33)).astype(np.float32)
    matrix = similarities(np.concatenate([vectors, 3 * vectors, -vectors]))
    assert matrix.max() == 1.0
    assert matrix.min() == -1.0


@pytest.mark.parametrize("kind", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarities_are_those_of_sentence_transformers(kind: Similarity) -> None:
    similarity = pytest.importorskip("sentence_transformers").util.SimilarityFunction
    vectors = np.random.default_rng(0).normal(size=(9, 33)).astype(np.float32)
    wanted = similarity.to_similarity_fn(kind)(vectors, vectors)
    np.testing.assert_allclose(similarities(vectors, kind), wanted, atol=2e-5)
    pairs = similarity.to_similarity_pairwise_fn(kind)(vectors[:4], vectors[4:8])
    np.testing.assert_allclose(pair_similarities(vectors[:8], kind), pairs, atol=2e-5)


def test_the_first_numbers_of_a_vector() -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(truncate(vectors, 2), [[0, 1], [4, 5], [8, 9]])
    np.testing.assert_array_equal(truncate(vectors, None), vectors)


def test_length_one() -> None:
    np.testing.assert_allclose(normalize_rows(np.array([[3, 4], [0, 0]], np.float32)), [[0.6, 0.8], [0, 0]], atol=1e-7)


def test_no_vector_is_longer_than_the_model_makes_them(runs: Path) -> None:
    loaded = load(runs / "mtl")
    assert [loaded.output_dim(dim) for dim in (None, 1, 32)] == [32, 1, 32]
    with pytest.raises(UsageError, match=r"--dim 33: the vectors of .*mtl have 32 dimensions"):
        loaded.output_dim(33)
