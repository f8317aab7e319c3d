"""Finds the runs of a folder, and reads what a list shows of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from mtlkit.errors import MtlkitError, UsageError
from mtlkit.model.description import read_checkpoint
from mtlkit.recipes.run_list.unfinished import header_of, start_of, task_score, unfinished_scores
from mtlkit.report.run_rows import RunRow, State, TaskScore, Unfinished
from mtlkit.runs.lock import is_locked
from mtlkit.runs.record import CHECKPOINTS, RECORD, RunRecord, log_of, read_record
from mtlkit.runs.replace_folder import restore_replaced
from mtlkit.tasks.base import kind_of


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
    log = log_of(folder)
    header = header_of(log)
    changed = None if log is None else datetime.fromtimestamp(log.stat().st_mtime, timezone.utc)
    if not (folder / RECORD).is_file():
        found = unfinished(folder)
        started, scores = start_of(header.get("started"), log, changed), unfinished_scores(log, folder)
        so_far = bool(scores)
        return RunRow(folder, found.state, found.command, started, changed, None, scores, _mean(scores), size, best_so_far=so_far)
    try:
        record = read_record(folder)
        scores = tuple(_scores(folder, record))
        finished = datetime.fromisoformat(record.finished)
    except (MtlkitError, ValueError) as error:
        return RunRow(folder, "damaged", changed=changed, size=size, problem=str(error))
    started = start_of(record.started or header.get("started"), log, finished)
    state: State = "running" if is_locked(folder) else "finished"
    return RunRow(folder, state, record.stage, started, finished, record.seed, scores, _mean(scores), size)


def unfinished(folder: Path) -> Unfinished:
    """What is known of an unfinished training without its checkpoints."""
    command = str(header_of(log_of(folder)).get("command", ""))
    return Unfinished("running" if is_locked(folder) else "interrupted", command)


def _mean(scores: Sequence[TaskScore]) -> float | None:
    return math.fsum(score.value for score in scores) / len(scores) if scores else None


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
        yield task_score(spec.name, name, value, figures, record.data)
