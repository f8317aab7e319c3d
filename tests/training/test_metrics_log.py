"""The records of `metrics.jsonl`, as the documentation lists them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Note
from mtlkit.training.incidents import FreezeChanged, StepSkipped, TaskStopped
from mtlkit.training.metrics_log import SCHEMA, MetricsLog, header
from mtlkit.training.spikes import Spike

Run = Callable[..., Any]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def documented(section: str) -> set[str]:
    """The fields in the table of a section."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", text, re.M))


def test_every_field_is_documented(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    more = {"mixing": {"balance_on": "vectors"}, "track_every": 2, "eval_every": 1, "epochs": 2}
    done = run(tiny_model, {"topic": tasks["topic"]}, ["embeddings@until=epoch:1"], **more)
    assert {line["type"] for line in done.log} == {"step", "epoch", "validation", "event"}
    for line in done.log:
        if line["type"] == "event":
            assert f"`{line['event']}`" in PAGE.read_text()
        else:
            section = "step" if line["type"] == "step" else "epoch and validation"
            assert line.keys() - {"type"} <= documented(section)
    steps = [line for line in done.log if line["type"] == "step"]
    assert all(documented("step") - {"skipped", "spike", "weights", "tracking"} <= step.keys() for step in steps)
    tokens = [step["tokens"] for step in steps]
    assert tokens == sorted(tokens)
    assert tokens[0] > 0
    (change,) = [line for line in done.log if line.get("event") == "freeze_changed"]
    assert (change["thawed"], change["frozen"]) == (["embeddings"], [])


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (StepSkipped(7, None, 2), {"event": "step_skipped", "spike": None, "total": 2}),
        (
            StepSkipped(7, Spike("loss", 3.0, 1.0, 2.0), 1),
            {"spike": {"figure": "loss", "value": 3.0, "median": 1.0, "limit": 2.0}},
        ),
        (TaskStopped("topic", 2, 0.5, 1), {"event": "task_stopped", "task": "topic", "epoch": 2, "best_epoch": 1}),
        (FreezeChanged(8, ("pooling",), ()), {"event": "freeze_changed", "thawed": ["pooling"]}),
    ],
    ids=str,
)
def test_events_that_change_a_training_are_logged(event: Any, expected: dict[str, Any]) -> None:
    file = io.StringIO()
    log = MetricsLog(file)
    log.event(event, 7)
    log.event(Note("a sentence is none"), 7)
    (line,) = map(json.loads, file.getvalue().splitlines())
    assert line.items() >= {"type": "event", "step": 7, **expected}.items()


def test_a_log_begins_with_its_schema() -> None:
    record = json.loads(header("train-mtl", "2026-01-02T03:04:05+00:00"))
    assert record == {"type": "header", "schema": SCHEMA, "command": "train-mtl", "started": "2026-01-02T03:04:05+00:00"}
    assert f"({SCHEMA})" in PAGE.read_text()
