"""What logs and checkpoints say of trainings, finished or not: when they started, and the best scores so far."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from mtlkit.config.from_json import parse_object
from mtlkit.errors import MtlkitError
from mtlkit.evaluation.intervals import wilson
from mtlkit.evaluation.metric_names import ACCURACY
from mtlkit.report.log_reader import logged_metric
from mtlkit.report.run_rows import TaskScore, validation_rows
from mtlkit.runs.record import MARKS, RunRecord

TAIL = 1 << 16  # bytes of a log in which its last step is looked for


def header_of(log: Path | None) -> Mapping[str, Any]:
    """The first line of a log; empty if there is none."""
    try:
        with (log or Path()).open("rb") as file:
            return parse_object(file.readline(TAIL))
    except (OSError, ValueError):
        return {}


def start_of(recorded: object, log: Path | None, end: datetime | None) -> datetime | None:
    """When a training started: as recorded; earlier versions did not, so that it is the seconds of training before its end."""
    if isinstance(recorded, str):
        with suppress(ValueError):
            moment = datetime.fromisoformat(recorded)
            return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    seconds = None if log is None else _seconds_of(log)
    return None if end is None or seconds is None else end - timedelta(seconds=seconds)


def _seconds_of(log: Path) -> float | None:
    """The seconds of training until the last step in a log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            seconds = json.loads(line).get("seconds")
        except (ValueError, AttributeError):
            continue
        if isinstance(seconds, (int, float)):
            return float(seconds)
    return None


def task_score(task: str, metric: str, value: float, figures: Mapping[str, Any], data: Mapping[str, Any]) -> TaskScore:
    """A validation score, with its interval if it is an accuracy and `data` has the number of rows."""
    rows = validation_rows(data, task)
    interval = wilson(round(value * rows), rows) if metric == ACCURACY.name and rows else None
    mark = next((mark for mark in MARKS if figures.get(mark)), None)
    return TaskScore(task, metric, float(value), rows, interval, mark)


def unfinished_scores(log: Path | None, folder: Path) -> tuple[TaskScore, ...]:
    """The scores of the evaluation whose weights an unfinished training would keep if it ended now. The number of rows is known
    once there is a checkpoint."""
    best = None if log is None else _best_evaluation(log)
    if best is None:
        return ()
    record = unfinished_record(folder)
    return tuple(_logged_scores(best, {} if record is None else record.data))


def _best_evaluation(log: Path) -> Mapping[str, Any] | None:
    best = None
    with suppress(OSError), log.open("rb") as file:
        for line in file:
            if b'"best": true' in line and b'"tasks"' in line:
                with suppress(ValueError):  # incomplete or damaged, which `mtlkit curves` says
                    best = parse_object(line)
    return best


def _logged_scores(evaluation: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[TaskScore]:
    tasks = evaluation.get("tasks")
    for state in tasks if isinstance(tasks, list) else ():
        with suppress(KeyError, TypeError, AttributeError):  # a line of another form
            figures = state["validation"]
            metric = logged_metric(state["kind"], figures)
            if metric is not None and isinstance(value := figures[metric], (int, float)):
                yield task_score(state["task"], metric, value, figures, data)


def unfinished_record(folder: Path) -> RunRecord | None:
    """What the newest checkpoint of an unfinished training says: options, data and starting model. None without one."""
    from mtlkit.runs.checkpoints import CheckpointManager

    try:
        about = (CheckpointManager(folder).peek() or {}).get("about")
    except (OSError, ValueError, MtlkitError):
        return None
    if not isinstance(about, dict):
        return None
    start, data, options = about.get("start"), about.get("data"), about.get("options")
    parent = {"path": str(about.get("init") or ""), "digest": str(start) if isinstance(start, str) else ""}
    data, options = (value if isinstance(value, dict) else {} for value in (data, options))
    return RunRecord("mtl", f"mtlkit {about.get('command')}", options, 0, data, {}, parent)
