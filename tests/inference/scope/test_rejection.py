from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.errors import UsageError
from mtlkit.inference.scope.rejection import Rejection, can_reject, missing_scope
from mtlkit.inference.scope.scope import Predicted, Reject, fit_scope
from mtlkit.runs.record import RunRecord

TOPIC = TaskSpec("topic", "classification", ("a", "b"))
TAGS = TaskSpec("tags", "multi-label", ("a", "b"))
STARS = TaskSpec("stars", "regression", ())
VECTORS = np.float32([[1, 0.05], [1, -0.05], [0.05, 1], [-0.05, 1]])
CLASSES = np.array([0, 0, 1, 1])
SCOPE = fit_scope(VECTORS, CLASSES, 2, Predicted(CLASSES, np.float32([0.9, 0.8, 0.9, 0.8]), VECTORS))


def test_only_heads_of_one_class_per_text_can_reject() -> None:
    assert [can_reject(spec) for spec in (TOPIC, TAGS, STARS)] == [True, False, False]


def test_low_scores_and_blank_texts_are_rejected() -> None:
    texts, vectors = ["fits", "foreign", "\n"], np.float32([[1, 0], [-1, -1], [1, 0]])
    outputs = np.float32([[2, 0], [0.1, 0], [2, 0]])
    rejection = Rejection(0.05, {"topic": SCOPE})
    rows: list[dict[str, Any]] = [{} for _ in texts]
    rejection.add_to(rows, TOPIC, outputs, vectors, texts)
    assert [row["rejected"] for row in rows] == [False, True, True]
    assert {row["threshold"] for row in rows} == {SCOPE.threshold(0.05)}
    assert rows[0]["score"] == rows[2]["score"] > rows[1]["score"]
    others: list[dict[str, Any]] = [{} for _ in texts]
    rejection.add_to(others, TAGS, outputs, vectors, texts)
    assert others == [{"rejected": blank, "score": None, "threshold": None} for blank in (False, False, True)]


@pytest.mark.parametrize(
    ("options", "scores", "reason"),
    [
        ({"prototypes": 0}, {}, "--prototypes 0"),
        ({"prototypes": 1000}, {"topic": {"trained_on": True}}, "no rows were held out"),
        ({"prototypes": 1000}, {"topic": {"not_measured": True}}, "no rows were held out"),
        ({}, {"other": {"trained_on": True}}, "earlier version"),
    ],
)
def test_a_model_that_cannot_reject_says_why(options: dict[str, Any], scores: dict[str, Any], reason: str) -> None:
    record = RunRecord("mtl", "mtlkit train-mtl", options, 0, {}, {"validation": scores})
    assert reason in missing_scope(record, ["topic"])
    assert "not a run" in missing_scope(None, ["topic"])


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), "often"])
def test_a_rate_that_is_no_share_is_refused(rate: Reject) -> None:
    with pytest.raises(UsageError, match="from 0 up to 1"):
        Rejection(rate, {"topic": SCOPE})
