"""Losses with hard negatives: those of sentence-transformers on the same vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlkit.config.commands.train_sentence import Distance
from mtlkit.data.datasets.pair_data import PairTexts, prepare_pairs
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.training.objectives.pairs import PairsObjective, TripletsObjective

FIRSTS, SECONDS = ["a", "b", "c", "d"], ["e", "f", "g", "h"]
NEGATIVES = [["i", "j", "k", "l"], ["m", "n", "o", "p"]]


@pytest.fixture
def hard(text_encoder: TextEncoder) -> PairTexts:
    return prepare_pairs(FIRSTS, SECONDS, [], text_encoder, NEGATIVES)


def batch(texts: PairTexts, rows: list[int], seed: int = 0) -> tuple[Tensor, np.ndarray]:
    """Random vectors for all texts of a batch, in the order in which the batch has them."""
    chosen = texts.batch(np.array(rows))
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(len(chosen.rows), 6)).astype(np.float32)), chosen.rows


def losses() -> Any:
    return pytest.importorskip("sentence_transformers.sentence_transformer.losses")


def test_a_row_has_its_negatives(hard: PairTexts) -> None:
    assert (len(hard), hard.columns) == (4, 4)
    assert hard.lengths.tolist() == hard.encoded.lengths.reshape(4, 4).sum(0).tolist()
    assert hard.batch(np.array([2, 0])).rows.tolist() == [2, 0, 6, 4, 10, 8, 14, 12]
    assert not hard.matches(np.arange(4)).any()
    assert not hard.alone(np.array([1])).any()  # its own hard negatives are candidates


def test_loss_of_pairs_is_that_of_multiple_negatives_ranking(hard: PairTexts) -> None:
    vectors, rows = batch(hard, [0, 2, 3])
    ranking = losses().MultipleNegativesRankingLoss(
        None, scale=20.0, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )
    columns = list(vectors.split(3))
    ahead = losses().MultipleNegativesRankingLoss(None, scale=20.0).compute_loss_from_embeddings(columns, torch.empty(0))
    back = losses().MultipleNegativesRankingLoss(None, scale=20.0).compute_loss_from_embeddings(columns[1::-1], torch.empty(0))
    found = PairsObjective(hard, hard, 0.05, [6]).loss(vectors, rows).item()
    assert found == pytest.approx(((ahead + back) / 2).item(), abs=1e-5)
    plain = prepared_without(hard)
    vectors, rows = vectors[:6], rows[:6]
    symmetric = ranking.compute_loss_from_embeddings(list(vectors.split(3)), torch.empty(0)).item()
    assert PairsObjective(plain, plain, 0.05, [6]).loss(vectors, rows).item() == pytest.approx(symmetric, abs=1e-5)
    assert symmetric < found  # negatives make it harder


def prepared_without(texts: PairTexts) -> PairTexts:
    """The same pairs without negatives."""
    count = 2 * len(texts)
    return PairTexts(texts.encoded.take(np.arange(count)), texts.texts[:count], texts.scores)


def test_negatives_that_match_are_left_out(text_encoder: TextEncoder) -> None:
    """`g` is a negative of `a` in the first row, and its positive in the third; `b` is the first text of the second."""
    texts = prepare_pairs(["a", "b", "a"], ["e", "f", "g"], [], text_encoder, [["g", "x", "b"]])
    assert texts.matches(np.arange(3)).tolist() == [[True, False, False], [False, False, True], [True, False, False]]
    vectors, rows = batch(texts, [0, 1, 2])
    inputs = vectors.requires_grad_()
    loss = PairsObjective(texts, texts, 0.05, [6]).loss(inputs, rows)
    first, second, negatives = torch.nn.functional.normalize(vectors.detach()).split(3)
    logits = torch.cat([first @ second.T, first @ negatives.T], 1) / 0.05
    for row, column in ((0, 2), (2, 0), (0, 3), (2, 3), (1, 5)):
        logits[row, column] = float("-inf")
    right = torch.arange(3)
    cross_entropy = torch.nn.functional.cross_entropy
    wanted = (cross_entropy(logits, right) + cross_entropy(logits[:, :3].T, right)) / 2
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert inputs.grad is not None
    assert torch.isfinite(inputs.grad).all()


def test_a_nearer_hard_negative_is_a_miss(hard: PairTexts) -> None:
    columns = [torch.eye(4), torch.eye(4), torch.zeros(4, 4), torch.zeros(4, 4)]
    objective = PairsObjective(hard, hard, 0.05, [4])
    columns[1] += 0.1 * torch.ones(4, 4)
    assert objective.evaluate(torch.cat(columns))["accuracy"] == 1
    columns[3][2] = torch.eye(4)[0]  # a negative of the third row is nearest to the first text of the first
    assert objective.evaluate(torch.cat(columns))["accuracy"] == 0.75


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "manhattan"])
def test_loss_of_triplets_is_that_of_sentence_transformers(distance: Distance, hard: PairTexts) -> None:
    library = losses()
    metric = getattr(library.TripletDistanceMetric, distance.upper())
    triplet = library.TripletLoss(None, distance_metric=metric, triplet_margin=0.7)
    vectors, rows = batch(hard, [1, 3, 0])
    first, second, *negatives = vectors.split(3)
    each = [triplet.compute_loss_from_embeddings([first, second, negative], torch.empty(0)).item() for negative in negatives]
    found = TripletsObjective(hard, hard, 0.7, distance, [6]).loss(vectors, rows).item()
    assert 0 < found == pytest.approx(np.mean(each), abs=1e-5)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    shuffled = TripletsObjective(hard, hard, 0.7, distance, [6]).loss(vectors[order], rows[order.numpy()])
    assert shuffled.item() == pytest.approx(found, rel=1e-6)


def test_triplets_are_judged_by_what_is_nearer(text_encoder: TextEncoder) -> None:
    texts = prepare_pairs(["a", "b"], ["e", "f"], [], text_encoder, [["i", "j"]])
    vectors = torch.tensor([[1.0, 0], [1, 0], [1, 0.1], [1, 0.5], [0, 1], [1, 0.2]])
    found = TripletsObjective(texts, texts, 0.0, "cosine", [2]).evaluate(vectors)
    assert found["accuracy"] == 0.5
    near, far = 1 - 1 / 1.04**0.5, 1 - 1 / 1.25**0.5
    assert found["loss"] == pytest.approx((far - near) / 2, abs=1e-6)
