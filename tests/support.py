"""What the tests of several recipes do: options, notes, csv files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mtlkit.config.training import TrainMtlOptions
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import weight_names
from mtlkit.training.events import Event, Note
from mtlkit.training.freezing import Freezing, parse_freeze
from mtlkit.training.multitask import TaskLosses
from mtlkit.training.objectives import Objective
from mtlkit.training.piece_vectors import WholeBackbone


def options(data: Path, out: Path, *names: str, **more: Any) -> TrainMtlOptions:
    """Tasks of the data folder, two epochs."""
    return TrainMtlOptions(
        task=[f"{name}={data / name}" for name in names], out=out, **{"epochs": 2, "batch_tokens": 256, **more}
    )


def notes(events: Sequence[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Note))


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))


def write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def freezing_of(model: MultiTaskModel, items: Iterable[str], unfreeze: str | None = None) -> Freezing:
    """What `--freeze` and `--unfreeze` mean for a model."""
    architecture = model.backbone.architecture
    heads = {name: spec.head for name, spec in model.tasks.items()}
    return parse_freeze(list(items), unfreeze, weight_names(architecture, heads), list(heads), architecture.layers)


def losses_of(model: MultiTaskModel, objectives: Mapping[str, Objective]) -> TaskLosses:
    """The losses of a training whose backbone is run at every step."""
    return TaskLosses(objectives, WholeBackbone(model, objectives, torch.device("cpu")))
