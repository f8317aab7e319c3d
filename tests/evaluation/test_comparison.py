from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.evaluation.comparison import Difference, Outputs, TaskComparison, compare_outputs
from mtlkit.evaluation.intervals import Interval, mcnemar
from mtlkit.evaluation.task_metrics import score

TOPIC = TaskSpec("topic", "classification", ("a", "b", "c"))
TAGS = TaskSpec("tags", "multi-label", ("a", "b"))
STARS = TaskSpec("stars", "regression", ())


def classes(rows: int, wrong: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of a head that gets `wrong` of the rows wrong, and the labels."""
    labels = np.arange(rows) % 3
    predicted = labels.copy()
    predicted[np.random.default_rng(seed).permutation(rows)[:wrong]] += 1
    return np.eye(3)[predicted % 3], labels


def test_a_clear_difference() -> None:
    (good, labels), (bad, _) = classes(400, 20), classes(400, 90, seed=1)
    found = compare_outputs(Outputs(TOPIC, good), Outputs(TOPIC, bad), labels, 0)
    assert (found.rows, found.main, found.verdict) == (400, "accuracy", "difference")
    assert found.decisive.value == pytest.approx(-70 / 400)
    assert found.decisive.interval.high < 0
    right = [outputs.argmax(1) == labels for outputs in (good, bad)]
    assert (found.only_model, found.only_against) == (int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()))
    assert found.p == mcnemar(found.only_model, found.only_against)
    per_class = score(TOPIC, bad, labels)["per_class"]
    assert {label: row.against for label, row in found.classes} == pytest.approx(
        {name: row["f1"] for name, row in per_class.items()}
    )


@pytest.mark.parametrize("spec", [TOPIC, TAGS, STARS], ids=lambda spec: spec.name)
def test_a_model_does_not_differ_from_itself(spec: TaskSpec) -> None:
    random = np.random.default_rng(0)
    outputs = random.normal(size=(50, spec.outputs))
    labels = {"classification": random.integers(3, size=50), "multi-label": random.random((50, 2)).round()}.get(
        spec.kind, random.normal(size=50)
    )
    found = compare_outputs(Outputs(spec, outputs), Outputs(spec, outputs), labels, 0)
    assert found.verdict == "no clear difference"
    assert all(row.value == 0 and row.interval == Interval(0.0, 0.0) for row in found.metrics)
    assert (found.p is None) == (spec is not TOPIC)
    assert found.main in found.to_json()["metrics"]


def test_one_row_and_undefined_metrics_have_no_interval() -> None:
    found = compare_outputs(Outputs(TOPIC, np.eye(3)[:1]), Outputs(TOPIC, np.eye(3)[1:2]), np.array([0]), 0)
    assert found.verdict == "undefined"
    assert found.to_json()["metrics"]["auroc"]["difference"] is None
    assert found.to_json()["metrics"]["accuracy"] == {
        "model": 1.0, "against": 0.0, "difference": -1.0, "difference_interval": None,
    }  # fmt: skip
    constant = Outputs(STARS, np.zeros((9, 1)))
    assert compare_outputs(constant, constant, np.arange(9.0), 0).verdict == "undefined"


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict"),
    [
        (-0.05, -0.01, 0.01, "difference"),
        (-0.05, 0.01, 0.2, "no clear difference"),
        (-0.05, -0.01, 0.06, "tests disagree"),
        (-0.05, 0.0, 0.04, "tests disagree"),
        (float("nan"), float("nan"), 1.0, "undefined"),
    ],
)
def test_the_verdict_follows_interval_and_test(low: float, high: float, p: float, verdict: str) -> None:
    row = Difference("accuracy", 0.9, 0.87, Interval(low, high))
    found = TaskComparison("topic", "classification", 100, "accuracy", (row,), p=p, only_model=5, only_against=2)
    assert found.verdict == verdict
    other = replace(found, p=None)
    assert other.verdict == ("undefined" if verdict == "undefined" else "no clear difference" if high >= 0 else "difference")
