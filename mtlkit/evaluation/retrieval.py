"""Metrics of retrieval per query: nDCG, MRR, recall. No torch.

As in the evaluator of sentence-transformers, any relevant document counts the same, and documents that are relevant but not in
the corpus count as not found. The graded nDCG takes grades as gains, as in trec_eval and BEIR.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.comparison import Difference, TaskComparison
from mtlkit.evaluation.figures import UNDEFINED, Figures, Measured, bootstrap, with_intervals
from mtlkit.evaluation.intervals import Values
from mtlkit.evaluation.metric_names import GRADED_NDCG, MRR, NDCG, RECALLS

DEPTH = 10  # of nDCG and MRR
DEEPEST = max(*RECALLS, DEPTH)  # ranks that the metrics need

PerQuery = Mapping[str, NDArray[np.float64]]


def query_metrics(grades: NDArray[np.float64], relevant: Sequence[Sequence[float]]) -> dict[str, NDArray[np.float64]]:
    """The metrics of each of Q queries by name, (Q,) each.

    grades: (Q, K) of the documents that were found, best first; 0 for those that are not relevant. relevant: the grades of all
    documents that are relevant to a query, at least one and all above 0. The graded nDCG is left out where all grades are equal.
    """
    hits = grades > 0
    sizes = np.array([len(own) for own in relevant], np.float64)
    binary, ideal_binary = hits.astype(np.float64), [np.ones(len(own)) for own in relevant]
    ideal_graded = [np.sort(np.array(own, np.float64))[::-1] for own in relevant]
    first = np.where(hits[:, :DEPTH].any(1), hits[:, :DEPTH].argmax(1) + 1, np.inf)
    several = len({grade for own in relevant for grade in own}) > 1
    return {
        NDCG.name: _gain(binary) / _gains(ideal_binary),
        **({GRADED_NDCG.name: _gain(grades) / _gains(ideal_graded)} if several else {}),
        MRR.name: 1 / first,
        **{metric.name: hits[:, :k].sum(1) / sizes for k, metric in RECALLS.items()},
    }


def _gain(grades: NDArray[np.float64]) -> NDArray[np.float64]:
    """Discounted cumulative gain of the first ranks, (Q, K) to (Q,)."""
    first = grades[:, :DEPTH]
    gain: NDArray[np.float64] = (first / np.log2(np.arange(first.shape[1]) + 2)).sum(1)
    return gain


def _gains(grades: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The same for lists of different lengths."""
    return np.array([_gain(own[None])[0] for own in grades])


def with_query_intervals(metrics: PerQuery, random: np.random.Generator) -> dict[str, Any]:
    """The mean of each metric over queries, with its bootstrap interval."""
    rows = len(next(iter(metrics.values())))
    figures = Figures(rows, lambda counts: Measured(_means(metrics, counts), {}))
    return with_intervals({name: float(values.mean()) for name, values in metrics.items()}, figures, random)


def compare_queries(name: str, model: PerQuery, against: PerQuery, random: np.random.Generator) -> TaskComparison:
    """Two models on the same queries of a source: differences of the means, with paired bootstrap intervals."""
    changes = {metric: against[metric] - values for metric, values in model.items()}
    rows = len(changes[NDCG.name])
    draws = Figures(rows, lambda counts: Measured(_means(changes, counts), {})).draws
    intervals = bootstrap(lambda counts: Measured(_means(changes, counts), {}), rows, draws, random).overall
    differences = tuple(
        Difference(metric, float(values.mean()), float(against[metric].mean()), intervals.get(metric, UNDEFINED))
        for metric, values in model.items()
    )
    return TaskComparison(name, "retrieval", rows, NDCG.name, differences)


def _means(metrics: PerQuery, counts: Values) -> dict[str, Values]:
    return {name: counts @ values / len(values) for name, values in metrics.items()}
