"""What `mtlkit runs` knows of a run, from its record and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from mtlkit.evaluation.intervals import Interval

State = Literal["finished", "interrupted", "running", "damaged"]


@dataclass(frozen=True)
class TaskScore:
    """The main validation score of a task. `interval`: for accuracies. `mark` says if it is not of held-out rows."""

    task: str
    metric: str
    value: float
    rows: int | None
    interval: Interval | None
    mark: str | None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "interval": None if self.interval is None else self.interval.to_json()}


@dataclass(frozen=True)
class RunRow:
    """A run of a list. `size` is that of all its files in bytes; `score` the mean over tasks, by which runs are sorted.
    `best_so_far`: the scores are of an unfinished training.
    """

    path: Path
    state: State
    stage: str = ""
    started: datetime | None = None
    changed: datetime | None = None
    seed: int | None = None
    scores: tuple[TaskScore, ...] = ()
    score: float | None = None
    size: int = 0
    problem: str = ""
    best_so_far: bool = False

    @property
    def when(self) -> datetime | None:
        """When it started, or if that is unknown, when it last changed."""
        return self.started or self.changed

    def to_json(self) -> dict[str, Any]:
        moments = {"started": self.started, "changed": self.changed}
        times = {name: None if moment is None else moment.isoformat() for name, moment in moments.items()}
        scores = [score.to_json() for score in self.scores]
        return {**vars(self), "path": str(self.path), **times, "scores": scores}


@dataclass(frozen=True)
class Unfinished:
    """An unfinished training: whether it is running, and its command, such as `train-mtl`, if that is known."""

    state: State
    command: str


def run_names(folders: Sequence[Path]) -> list[str]:
    """The name of each run, or its path where two have the same name."""
    names = [folder.resolve().name for folder in folders]
    return [name if names.count(name) == 1 else str(folder) for name, folder in zip(names, folders, strict=True)]


def validation_rows(data: Mapping[str, Any], task: str) -> int | None:
    """The number of validation rows of a task, from the data in the record of a run."""
    about = data.get(task)
    split = about.get("validation") if isinstance(about, dict) else None
    rows = split.get("rows") if isinstance(split, dict) else None
    return rows if type(rows) is int else None
