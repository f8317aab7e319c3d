"""What trackers draw of a record of `metrics.jsonl`: numbers by name, at a step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

FINAL = "final"  # prefix of the scores at the end of a training
OWN = ("type", "event", "step", "epoch")  # fields of an event that are not drawn under its name


@dataclass(frozen=True)
class Point:
    """Numbers at a step, such as `loss/topic`. `text` is set for an event: its name. `line` is the number of the record's line in
    the log."""

    step: int
    values: Mapping[str, float] = field(default_factory=dict)
    text: str = ""
    line: int = 0


def point_of(record: Mapping[str, Any]) -> Point | None:
    """A record as a point; None for the header, and for types of records that are not known."""
    match record.get("type"):
        case "step":
            return Point(record["step"], dict(_step(record)))
        case "epoch" | "validation":
            return Point(record["step"], dict(_evaluation(record)))
        case "event":
            name, fields = record["event"], {key: value for key, value in record.items() if key not in OWN}
            within = f"event/{name}/{fields.pop('task')}" if isinstance(fields.get("task"), str) else f"event/{name}"
            return Point(record["step"], dict(numbers(fields, within)), name.replace("_", " "))
    return None


def _step(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    yield from numbers(record["losses"], "loss")
    names = ("epoch", "learning_rate", "gradient_norm", "seconds", "tokens")
    yield from numbers({name: record.get(name) for name in names}, "train")
    if record.get("skipped"):
        yield "train/skipped", 1.0
    yield from numbers(record.get("weights"), "weight")
    yield from numbers(record.get("tracking"), "gradients")


def _evaluation(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    yield from numbers({"epoch": record.get("epoch"), "score": record.get("score")}, "validation")
    for task in record["tasks"]:
        yield from numbers(task["validation"], f"validation/{task['task']}")
        yield from numbers(task.get("train_loss"), f"train_loss/{task['task']}")
    yield from numbers(record.get("weights"), "mean_weight")


def numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """The finite numbers in a JSON value, by the names that lead to them, joined by slashes. Lists are left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from numbers(inner, f"{name}/{key}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        yield name, float(value)


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    """The options of a run, by the names that lead to them; lists as text, and nothing for null."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        yield name, ", ".join(map(str, value))
    elif isinstance(value, (str, int, float)):
        yield name, value
