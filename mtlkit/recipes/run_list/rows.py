"""Finds the runs of a folder, and reads what a list shows of each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from mtlkit.config.from_json import parse_object
from mtlkit.errors import MtlkitError, UsageError
from mtlkit.evaluation.intervals import wilson
from mtlkit.evaluation.metric_names import ACCURACY
from mtlkit.model.description import read_checkpoint
from mtlkit.report.run_rows import RunRow, State, TaskScore, validation_rows
from mtlkit.runs.lock import is_locked
from mtlkit.runs.record import CHECKPOINTS, MARKS, RECORD, RunRecord, log_of, read_record
from mtlkit.runs.replace_folder import restore_replaced
from mtlkit.tasks.base import kind_of

TAIL = 1 << 16  # bytes of a log in which its last step is looked for


def runs_in(folder: Path) -> list[Path]:
    """The runs and unfinished trainings of a folder, by name. Raises UsageError if it is none."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give a folder with runs, or train one with: mtlkit train-mtl")
    restore_replaced(folder)
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_run(path))


def is_run(path: Path) -> bool:
    """Whether a folder has the record of a run, or checkpoints."""
    return (path / RECORD).is_file() or (path / CHECKPOINTS).is_dir()


def run_row(folder: Path) -> RunRow:
    """What a list shows of a run. Never raises for damaged files: their run is called damaged, with the reason."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    running = is_locked(folder)
    log = log_of(folder)
    changed = None if log is None else datetime.fromtimestamp(log.stat().st_mtime, timezone.utc)
    seconds = None if log is None else _seconds_of(log)
    started = None if changed is None or seconds is None else changed - timedelta(seconds=seconds)
    if not (folder / RECORD).is_file():
        return RunRow(folder, "running" if running else "interrupted", _stage_of(log), started, changed, size=size)
    try:
        record = read_record(folder)
        scores = tuple(_scores(folder, record))
        finished = datetime.fromisoformat(record.finished)
    except (MtlkitError, ValueError) as error:
        return RunRow(folder, "damaged", changed=changed, size=size, problem=str(error))
    started = None if seconds is None else finished - timedelta(seconds=seconds)
    mean = math.fsum(score.value for score in scores) / len(scores) if scores else None
    state: State = "running" if running else "finished"
    return RunRow(folder, state, record.stage, started, finished, record.seed, scores, mean, size)


def _scores(folder: Path, record: RunRecord) -> Iterator[TaskScore]:
    """The main score of each task; the mean similarity or perplexity of other stages is not comparable between data."""
    validation = record.metrics.get("validation")
    if record.stage != "mtl" or not isinstance(validation, dict):
        return
    for spec in read_checkpoint(folder).tasks:
        figures = validation.get(spec.name)
        name = kind_of(spec.kind).main_metric(spec).name
        if not isinstance(figures, dict) or not isinstance(value := figures.get(name), (int, float)):
            continue
        rows = validation_rows(record.data, spec.name)
        interval = wilson(round(value * rows), rows) if name == ACCURACY.name and rows else None
        mark = next((mark for mark in MARKS if figures.get(mark)), None)
        yield TaskScore(spec.name, name, float(value), rows, interval, mark)


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


def _stage_of(log: Path | None) -> str:
    """The command of an unfinished training, from the header of its log."""
    try:
        with (log or Path()).open("rb") as file:
            return str(parse_object(file.readline(TAIL)).get("command", ""))
    except (OSError, ValueError):
        return ""


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
