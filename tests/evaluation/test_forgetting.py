from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mtlkit.config.architecture import TaskSpec
from mtlkit.evaluation import intervals
from mtlkit.evaluation.forgetting import (
    ClassFall,
    ConfusionChange,
    ForgettingReport,
    TaskChange,
    backward_transfer,
    measure_of,
    task_change,
)
from mtlkit.evaluation.intervals import Interval, resamples

TOPIC = TaskSpec("topic", "classification", ("World", "Sports", "Business"))
TAGS = TaskSpec("tags", "multi-label", ("a", "b", "c"))
STARS = TaskSpec("stars", "regression", ())

TRUE = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
BEFORE = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 0])  # 8 of 10
AFTER = np.array([0, 2, 2, 0, 1, 0, 1, 2, 0, 0])  # 5 of 10


def logits(classes: np.ndarray) -> np.ndarray:
    """Outputs whose largest is the class."""
    found: np.ndarray = np.eye(3, dtype=np.float32)[classes]
    return found


def change() -> TaskChange:
    return task_change(TOPIC, TRUE, logits(BEFORE), logits(AFTER), 0.9)


def test_a_task_that_fell() -> None:
    found = change()
    assert (found.task, found.kind, found.metric, found.rows) == ("topic", "classification", "accuracy", 10)
    assert (found.before, found.best, found.after) == (0.8, 0.9, 0.5)
    assert (found.change, found.forgetting) == pytest.approx((-0.3, 0.4))
    assert found.interval.low < -0.3 < found.interval.high


def test_the_class_that_fell_most_and_where_what_turned_wrong_went() -> None:
    found = change()
    assert found.fallen == ClassFall("World", 1.0, 0.5, 4)  # Sports stayed at 2 of 3, Business went from 2 of 3 to 1 of 3
    assert found.pair == ConfusionChange("World", "Business", 2, 0.5)  # of four: World as Business twice, two others once each


def test_a_task_that_gained_has_neither_and_its_best_is_its_last() -> None:
    found = task_change(TOPIC, TRUE, logits(BEFORE), logits(TRUE), 0.8)
    assert (found.change, found.best, found.forgetting) == pytest.approx((0.2, 1.0, 0.0))
    assert (found.fallen, found.pair) == (None, None)


@pytest.mark.parametrize("spec", [TOPIC, TAGS, STARS])
def test_an_unchanged_task_has_no_change_at_all(spec: TaskSpec) -> None:
    outputs = np.random.default_rng(0).normal(size=(30, spec.outputs)).astype(np.float32)
    shapes = {"classification": np.arange(30) % 3, "multi-label": np.arange(90).reshape(30, 3) % 2, "regression": np.arange(30.0)}
    found = task_change(spec, shapes[spec.kind], outputs, outputs.copy(), -1.0)
    assert (found.change, found.interval, found.forgetting) == (0.0, Interval(0.0, 0.0), 0.0)
    assert (found.fallen, found.pair) == (None, None)


def test_the_interval_of_macro_f1_is_that_of_the_rows_of_each_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 40)
    random = np.random.default_rng(1)
    true, outputs = random.integers(2, size=(6, 3)), random.normal(size=(6, 3))  # so few that labels are missing at times
    counts = next(resamples(6, random))
    by_hand = []
    for row in counts.astype(int):
        rows = np.repeat(np.arange(6), row)
        sides = true[rows], outputs[rows] > 0
        occurring = [label for label in range(3) if sides[0][:, label].any() or sides[1][:, label].any()]
        by_hand.append(f1_score(*sides, average="macro", labels=occurring, zero_division=0) if occurring else 0.0)
    np.testing.assert_allclose(measure_of(TAGS, outputs, true)(counts), by_hand)


def test_the_interval_follows_from_the_task_and_its_rows_alone() -> None:
    first, again, other = change(), change(), task_change(replace(TOPIC, name="mood"), TRUE, logits(BEFORE), logits(AFTER), 0.9)
    assert first == again
    assert replace(other, task="topic", interval=first.interval) == first


def test_backward_transfer_is_the_mean_change() -> None:
    found = change()
    assert backward_transfer((found, replace(found, change=0.1))) == pytest.approx(-0.1)
    assert backward_transfer(()) is None


def test_a_report_as_json_holds_finite_numbers_or_null() -> None:
    matrix = {"topic": (0.8, float("nan"), 0.5), "new": (None, 0.25, 0.5)}
    metrics = {"topic": "accuracy", "new": "accuracy"}
    stages = ("before", "epoch 1", "after")
    report = ForgettingReport(stages, matrix, metrics, (change(),), -0.3, {"layers:0": 0.5, "head:topic": None}, 0.9, 0.8, 100)
    found = report.to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["stages"] == ["before", "epoch 1", "after"]
    assert found["matrix"] == {"topic": [0.8, None, 0.5], "new": [None, 0.25, 0.5]}
    assert found["distances"] == {"layers:0": 0.5, "head:topic": None}
    (told,) = found["changes"]
    assert told["interval"] == change().interval.to_json()
    assert told["pair"] == {"true": "World", "predicted": "Business", "texts": 2, "share": 0.5}
    assert told["fallen"] == {"label": "World", "before": 1.0, "after": 0.5, "support": 4}
