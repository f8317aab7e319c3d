from __future__ import annotations

from typing import Any

from mtlkit.evaluation.run_scores import Estimate, TaskScores, scores_of

METRICS: dict[str, Any] = {
    "validation": {
        "topic": {"loss": 0.4, "accuracy": 0.9, "macro_f1": 0.88, "accuracy_interval": [0.8, 0.95]},
        "tags": {"loss": 0.4, "accuracy": 0.5, "macro_f1": 0.7, "macro_f1_interval": None},
        "old": {"loss": 0.1, "accuracy": 0.6},
    },
    "test": {"topic": {"split": "test", "kind": "classification", "n": 40, "accuracy": 0.8, "accuracy_interval": [0.7, 0.9]}},
    "best_epoch": 3,
    "best_per_task": {"topic": {"score": 0.92, "epoch": 1, "step": 7}, "tags": {"score": 0.7, "epoch": 3, "step": 21}},
    "forgetting": {"changes": [{"task": "old", "metric": "accuracy", "change": -0.05, "interval": [-0.08, -0.01]}]},
}


def test_scores_of_a_run() -> None:
    topic, tags, old = scores_of(METRICS)
    assert topic == TaskScores(
        "topic", "accuracy", Estimate(0.9, (0.8, 0.95)), Estimate(0.8, (0.7, 0.9)), None, 1, 0.92, None, "test", 40
    )
    assert (tags.metric, tags.validation, tags.epoch) == ("macro_f1", Estimate(0.7), 3)
    assert (old.change, old.epoch) == (Estimate(-0.05, (-0.08, -0.01)), 3)


def test_records_of_earlier_versions_and_of_bases() -> None:
    old = {"validation": {"tags": {"accuracy": 0.5, "macro_f1": 0.7}}, "best_per_task": {"tags": {"score": 0.7, "epoch": 2}}}
    assert [(score.metric, score.validation) for score in scores_of(old)] == [("macro_f1", Estimate(0.7))]
    assert [score.metric for score in scores_of({"validation": {"topic": {"accuracy": 0.5}}})] == ["accuracy"]
    assert scores_of({"perplexity": 3.0}) == []
    assert scores_of({"validation": "?", "test": [], "forgetting": {"changes": None}}) == []


def test_scores_that_are_not_of_held_out_rows_are_marked() -> None:
    (score,) = scores_of({"validation": {"topic": {"accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "cross_validated": True}}})
    assert score.mark == "cross_validated"
    (missing,) = scores_of({"validation": {"topic": {"loss": None, "accuracy": None, "not_measured": True}}})
    assert (missing.validation, missing.mark) == (None, "not_measured")
