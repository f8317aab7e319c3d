"""Records of logs as points."""

from __future__ import annotations

import json
from pathlib import Path

from mtlkit.training.trackers.points import Point, flat, numbers, point_of


def test_every_record_of_real_logs_has_numbers(runs: Path) -> None:
    names: set[str] = set()
    for run in ("pretrain", "mtl"):
        records = [json.loads(line) for line in (runs / run / "metrics.jsonl").read_text().splitlines()]
        points = [point_of(record) for record in records]
        assert points[0] is None  # the header
        for record, point in zip(records[1:], points[1:], strict=True):
            assert point is not None
            assert point.step == record["step"]
            assert point.values
            names |= point.values.keys()
    assert {"loss/kind", "loss/next token", "train/learning_rate", "train/tokens", "validation/kind/accuracy"} <= names
    assert {"validation/score", "train_loss/state", "validation/next token/perplexity"} <= names


def test_what_is_no_finite_number_is_left_out() -> None:
    value = {"a": 1, "b": {"c": float("nan"), "d": True, "e": None, "f": [1, 2], "g": 0.5}}
    assert dict(numbers(value, "x")) == {"x/a": 1.0, "x/b/g": 0.5}


def test_an_event_has_a_name_and_the_numbers_of_its_task() -> None:
    record = {"type": "event", "event": "task_stopped", "task": "topic", "epoch": 3, "score": 0.5, "step": 40}
    assert point_of(record) == Point(40, {"event/task_stopped/topic/score": 0.5}, "task stopped")
    assert point_of({"type": "of a later version", "step": 1}) is None


def test_options_are_flat() -> None:
    options = {"task": ["a=b", "c"], "size": "xs", "resume": None, "versions": {"torch": "2"}, "lowercase": False}
    assert dict(flat(options)) == {"task": "a=b, c", "size": "xs", "versions.torch": "2", "lowercase": False}
