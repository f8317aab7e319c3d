"""The heads of a model, and its router, on the rows of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled import LabelledTable
from mtlkit.data.datasets.task_data import prepare
from mtlkit.evaluation.task_metrics import decisions_of, score
from mtlkit.inference.engine import ROUTER, Array
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.routing import score_router
from mtlkit.progress import counting

PAIRS = 5  # of the most confused classes


@dataclass(frozen=True)
class ConfusedPair:
    """A pair of classes, how often the first is predicted as the second, and an example text."""

    true: str
    predicted: str
    count: int
    text: str


@dataclass(frozen=True)
class TaskEvaluation:
    """A task's metrics as returned by `metrics.score`, the evaluated split, its skipped and cut rows, and how it was read."""

    metrics: dict[str, Any]
    split: str
    unseen: dict[str, int]
    truncated: int
    confused: list[ConfusedPair] = field(default_factory=list)
    record: SourceRecord | None = None


@dataclass(frozen=True)
class RoutedTexts:
    """The texts of a task, and what the router says of them, (N, tasks); None where it does not know the task."""

    texts: list[str]
    logits: Array | None


def evaluate_task(loaded: LoadedModel, name: str, table: LabelledTable, split: str) -> tuple[TaskEvaluation, RoutedTexts]:
    """One head on one table, and what the router says of the same texts."""
    spec = loaded.specs[name]
    texts = prepare(spec, table, loaded.encoder)
    with counting(f"evaluating {name}", "encoded", len(texts)):
        found = loaded.engine.outputs(texts.encoded, [name, *([ROUTER] if name in loaded.router else [])])
    outputs, strings = found[name], [table.texts[row] for row in texts.rows]
    metrics = score(spec, outputs, texts.labels)
    decided = decisions_of(spec, outputs)
    confused = [] if decided is None else most_confused(spec.labels, texts.labels, decided, strings)
    record = replace(table.record, kind=spec.kind)
    evaluation = TaskEvaluation(metrics, split, dict(texts.unseen), texts.encoded.truncated, confused, record)
    return evaluation, RoutedTexts(strings, found.get(ROUTER))


def evaluate_router(tasks: tuple[str, ...], routed: Mapping[str, RoutedTexts], split: str) -> TaskEvaluation | None:
    """How well a router of these tasks tells the texts of those apart that are evaluated; None without a router."""
    known = {name: one for name, one in routed.items() if one.logits is not None}
    if not known:
        return None
    logits = np.concatenate([one.logits for one in known.values() if one.logits is not None])
    true = np.concatenate([np.full(len(one.texts), tasks.index(name)) for name, one in known.items()])
    texts = [text for one in known.values() for text in one.texts]
    confused = most_confused(tasks, true, logits.argmax(1), texts)
    return TaskEvaluation(score_router(tasks, logits, true), split, {}, 0, confused)


def most_confused(labels: tuple[str, ...], true: NDArray[Any], predicted: NDArray[Any], texts: list[str]) -> list[ConfusedPair]:
    """The pairs (true, predicted) with the most texts, each with the first such text."""
    wrong = np.flatnonzero(true != predicted)
    pairs, first, counts = np.unique(true[wrong] * len(labels) + predicted[wrong], return_index=True, return_counts=True)
    return [
        ConfusedPair(
            labels[pairs[place] // len(labels)],
            labels[pairs[place] % len(labels)],
            int(counts[place]),
            texts[wrong[first[place]]],
        )
        for place in np.argsort(-counts, kind="stable")[:PAIRS]
    ]
