"""Metrics of retrieval are those of sentence-transformers' evaluator; the graded nDCG is that of trec_eval."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np
import pytest

from mtlkit.evaluation.retrieval import compare_queries, query_metrics, with_query_intervals

GRADES = np.array(
    [
        [0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3],  # the last is beyond the depth of nDCG and MRR
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        [3, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
    float,
)
RELEVANT = [[2, 1, 3, 1], [1], [3, 3, 1], [1, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1]]


def test_means_are_those_of_the_evaluator() -> None:
    evaluator_of: Any = pytest.importorskip("sentence_transformers.evaluation").InformationRetrievalEvaluator
    ids = [[f"{query}-{rank}" for rank in range(12)] for query in range(4)]
    relevant = {
        str(query): {
            *(name for name, grade in zip(ids[query], GRADES[query], strict=True) if grade),
            *(f"missing {index}" for index in range(len(own) - np.count_nonzero(GRADES[query]))),
        }
        for query, own in enumerate(RELEVANT)
    }
    evaluator = evaluator_of({query: query for query in relevant}, {}, relevant, precision_recall_at_k=[1, 10, 100])
    hits = [[{"corpus_id": name, "score": -rank} for rank, name in enumerate(names)] for names in ids]
    wanted = evaluator.compute_metrics(hits)
    means = {name: values.mean() for name, values in query_metrics(GRADES, RELEVANT).items()}
    assert means["ndcg@10"] == pytest.approx(wanted["ndcg@k"][10], abs=1e-12)
    assert means["mrr@10"] == pytest.approx(wanted["mrr@k"][10], abs=1e-12)
    assert 0 < means["recall@1"] < means["recall@10"] < means["recall@100"]
    for k in (1, 10, 100):
        assert means[f"recall@{k}"] == pytest.approx(wanted["recall@k"][k], abs=1e-12)


def test_graded_gain() -> None:
    graded = query_metrics(GRADES, RELEVANT)["graded_ndcg@10"]
    ideal = 3 + 2 / log2(3) + 1 / log2(4) + 1 / log2(5)
    assert graded[0] == pytest.approx((2 / log2(3) + 1 / log2(6)) / ideal)
    assert graded[1:].tolist() == pytest.approx([0, 1, 0])
    assert "graded_ndcg@10" not in query_metrics(np.sign(GRADES), [[1] * len(own) for own in RELEVANT])


def test_intervals_and_a_paired_comparison() -> None:
    random = np.random.default_rng(0)
    model = {"ndcg@10": random.uniform(size=300), "mrr@10": random.uniform(size=300)}
    better = {name: values + random.normal(0.05, 0.01, 300) for name, values in model.items()}
    metrics = with_query_intervals(model, np.random.default_rng(1))
    low, high = metrics["ndcg@10_interval"]
    spread = 1.96 * model["ndcg@10"].std() / 300**0.5
    assert metrics["ndcg@10"] == pytest.approx(model["ndcg@10"].mean())
    assert high - low == pytest.approx(2 * spread, rel=0.15)
    comparison = compare_queries("small", model, better, np.random.default_rng(1))
    assert comparison.verdict == "difference"
    assert comparison.decisive.value == pytest.approx(0.05, abs=0.003)
    assert 0.04 < comparison.decisive.interval.low < comparison.decisive.interval.high < 0.06  # narrow, as queries are paired
