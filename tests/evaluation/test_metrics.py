from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    mean_squared_error,
    precision_recall_fscore_support,
)

from mtlkit.config.architecture import TaskSpec
from mtlkit.evaluation.metrics import confusion, correlation, rounded
from mtlkit.evaluation.task_metrics import main_metric, score

NAMES = ("a", "b", "c", "d")
TOPIC = TaskSpec("topic", "classification", NAMES)
TAGS = TaskSpec("tags", "multi-label", NAMES)
STARS = TaskSpec("stars", "regression", ())

examples = settings(deadline=None, max_examples=60, derandomize=True)


def one_hot(predicted: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logits whose largest is the class predicted."""
    return np.eye(len(NAMES))[predicted]


def check_table(found: dict[str, Any], reference: tuple[Any, ...]) -> None:
    for row, precision, recall, f1, support in zip(found["per_class"].values(), *reference, strict=True):
        figures = {"precision": precision, "recall": recall, "f1": f1}
        missing = {name for name, value in figures.items() if np.isnan(value)}
        assert row.get("undefined", {}).keys() == missing
        for name, value in figures.items():
            assert row[name] == (None if name in missing else pytest.approx(value))
        assert row["support"] == support


pairs = st.integers(1, 40).flatmap(
    lambda rows: st.tuples(arrays(np.int64, rows, elements=st.integers(0, 3)), arrays(np.int64, rows, elements=st.integers(0, 3)))
)


@examples
@given(pairs)
def test_classification_agrees_with_scikit_learn(pair: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
    true, predicted = pair  # often with classes that never occur
    found = score(TOPIC, one_hot(predicted), true)
    assert found["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
    assert found["confusion"] == confusion_matrix(true, predicted, labels=range(4)).tolist()
    check_table(found, precision_recall_fscore_support(true, predicted, labels=range(4), zero_division=np.nan))
    assert (found["kind"], found["n"], found["labels"]) == ("classification", len(true), list(NAMES))
    json.dumps(found)


marks = st.integers(1, 20).flatmap(lambda rows: st.tuples(arrays(np.bool_, (rows, 4)), arrays(np.bool_, (rows, 4))))


@examples
@given(marks)
def test_multi_label_agrees_with_scikit_learn(pair: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> None:
    true, predicted = pair
    found = score(TAGS, np.where(predicted, 0.3, -0.3), true.astype(np.float32))
    occurring = np.flatnonzero((true | predicted).any(0))
    assert found["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    if len(occurring):
        assert found["micro_f1"] == pytest.approx(f1_score(true, predicted, average="micro", zero_division=0))
        macro = f1_score(true, predicted, labels=occurring, average="macro", zero_division=0)
        assert found["macro_f1"] == pytest.approx(macro)
    else:
        assert (found["macro_f1"], found["micro_f1"]) == (None, None)
        assert "no" in found["undefined"]["macro_f1"]
    check_table(found, precision_recall_fscore_support(true, predicted, zero_division=np.nan))
    json.dumps(found)


@pytest.mark.parametrize(("center", "spread"), [(0.0, 1.0), (2000.0, 12.0), (1e9, 1e9), (-3.0, 1e-4)])
@pytest.mark.parametrize("seed", range(5))
def test_regression_agrees_with_scipy_and_scikit_learn(seed: int, center: float, spread: float) -> None:
    random = np.random.default_rng(seed)
    true = random.normal(size=200)
    predicted = 0.5 * true + random.normal(size=200)
    true, predicted = (center + spread * values.round(1) for values in (true, predicted))  # rounding makes ties
    true, predicted = true.astype(np.float32), predicted.astype(np.float32)
    found = score(STARS, predicted[:, None], true)
    exact = true.astype(np.float64), predicted.astype(np.float64)
    assert found["pearson"] == pytest.approx(pearsonr(*exact).statistic, abs=1e-9)
    assert found["spearman"] == pytest.approx(spearmanr(*exact).statistic, abs=1e-9)
    assert found["mse"] == pytest.approx(mean_squared_error(*exact), rel=1e-9)
    json.dumps(found)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, -7.7e8])
@pytest.mark.parametrize("rows", [1, 3, 7, 1000])
def test_a_side_that_does_not_vary_has_no_correlation(constant: float, rows: int) -> None:
    flat = np.full(rows, constant, np.float32)
    other = np.full(rows, 0.7, np.float32)
    varying = np.random.default_rng(0).normal(size=rows).astype(np.float32)
    for predicted, true in ((flat, varying), (varying, flat), (flat, other), (flat, flat)):
        found = score(STARS, predicted[:, None], true)
        assert (found["pearson"], found["spearman"]) == (None, None)
        reason = found["undefined"]["spearman"]
        assert reason == found["undefined"]["pearson"]
        assert "two values" in reason if rows == 1 else f"{rows:,} {'predictions' if predicted is flat else 'labels'}" in reason


def test_predictions_that_differ_by_rounding_alone_have_no_order() -> None:
    true = np.arange(20.0)
    noise = np.float32(3.2) + np.arange(20, dtype=np.float32) % 3 * np.float32(2e-7)
    assert len(set(noise.tolist())) > 1
    assert score(STARS, noise[:, None], true)["spearman"] is None
    assert rounded(1 - np.arange(4) * 1e-8).tolist() == [1.0] * 4
    assert rounded(np.array([0.1234564])).tolist() == [0.123456]


@pytest.mark.parametrize(("sign", "expected"), [(2.0, 1.0), (-0.5, -1.0)])
def test_a_straight_line_correlates_fully(sign: float, expected: float) -> None:
    true = np.arange(10, dtype=np.float32)
    found = score(STARS, (sign * true + 3)[:, None], true)
    assert (found["pearson"], found["spearman"]) == pytest.approx((expected, expected))
    assert correlation(true, sign * true) == pytest.approx(expected)


def test_all_right_and_all_wrong() -> None:
    true = np.array([0, 1, 2, 3])
    right, wrong = score(TOPIC, one_hot(true), true), score(TOPIC, one_hot((true + 1) % 4), true)
    assert (right["accuracy"], right["macro_f1"]) == (1.0, 1.0)
    assert (wrong["accuracy"], wrong["macro_f1"]) == (0.0, 0.0)


def test_confusion_has_the_truth_in_rows() -> None:
    assert confusion(3, np.array([0, 0, 2]), np.array([1, 1, 0])).tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]


def test_one_row_is_enough() -> None:
    found = score(TOPIC, one_hot(np.array([2])), np.array([2]))
    assert (found["n"], found["accuracy"], found["macro_f1"]) == (1, 1.0, 1.0)


@pytest.mark.parametrize(("spec", "metric"), [(TOPIC, "accuracy"), (TAGS, "macro_f1"), (STARS, "spearman")])
def test_the_metric_that_counts_is_among_those_computed(spec: TaskSpec, metric: str) -> None:
    labels = {"topic": np.array([0, 1]), "tags": np.ones((2, 4)), "stars": np.array([1.0, 2.0])}[spec.name]
    assert main_metric(spec) == metric
    assert metric in score(spec, np.zeros((2, max(1, len(spec.labels)))), labels)
