"""Evaluates the heads of a model, and its router, on labelled rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import LabelledTexts, prepare
from mtlkit.data.encoded import Encoded
from mtlkit.evaluation.reliability import Reliability, reliability
from mtlkit.evaluation.task_metrics import decisions_of, estimate
from mtlkit.inference.engines.base import ROUTER, Array
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.routing import score_router
from mtlkit.progress import counting
from mtlkit.recipes.evaluation.rows import EvaluatedRows, evaluated_rows
from mtlkit.seeding import generator
from mtlkit.tasks.base import kind_of

PAIRS = 5  # most confused pairs of classes in a result


@dataclass(frozen=True)
class ConfusedPair:
    """A pair of classes, how often the first is predicted as the second, and an example text."""

    true: str
    predicted: str
    count: int
    text: str


@dataclass(frozen=True)
class TaskEvaluation:
    """The metrics of a task, as returned by `task_metrics.estimate`, on a split. `unseen` counts rows with labels that the head
    does not know, which are left out; `truncated` counts truncated texts; `record` says how the source was read; `rows` are the
    evaluated rows themselves.
    """

    metrics: dict[str, Any]
    split: str
    unseen: dict[str, int]
    truncated: int
    confused: list[ConfusedPair] = field(default_factory=list)
    record: SourceRecord | None = None
    reliability: Reliability | None = None
    rows: EvaluatedRows | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class RoutedTexts:
    """The texts of a task, and the router's logits for them, (N, tasks); None if the router does not know the task."""

    texts: Sequence[str]
    logits: Array | None


class HeadOutputs:
    """Runs heads of a model. The backbone runs once for texts that several tasks share, which are columns of one table.

    `what` is shown while it runs, after the name of the task.
    """

    def __init__(self, loaded: LoadedModel, tables: Mapping[str, LabelledTable], what: str = "", *, router: bool = True) -> None:
        self.loaded, self.what, self.router = loaded, what, router
        pools: dict[int, list[str]] = {}
        for name, table in tables.items():
            if table.pool is not None and name in loaded.specs:
                pools.setdefault(id(table.pool), []).append(name)
        self._together = {name: names for names in pools.values() for name in names}
        self._outputs: dict[str, dict[str, Array]] = {}

    def __call__(self, name: str, texts: LabelledTexts) -> dict[str, Array]:
        """The outputs of the task's head, (N, outputs), and of a router that knows the task."""
        if texts.pool is None or texts.index is None:
            return self._run(name, [name], texts.encoded, texts.pairs)
        names = self._together[name]
        key = "+".join(names)
        if key not in self._outputs:
            self._outputs[key] = self._run(key, names, texts.pool)
        return {head: outputs[texts.index] for head, outputs in self._outputs[key].items() if head in (name, ROUTER)}

    def _run(self, shown: str, names: list[str], encoded: Encoded, pairs: Rows | None = None) -> dict[str, Array]:
        routed = self.router and not set(names).isdisjoint(self.loaded.router)
        with counting(f"evaluating {shown}{self.what}", "encoded", len(encoded)):
            return dict(self.loaded.engine.outputs(encoded, [*names, *([ROUTER] if routed else [])], pairs))


def evaluate_task(
    loaded: LoadedModel, name: str, table: LabelledTable, split: str, seed: int, outputs_of: HeadOutputs
) -> tuple[TaskEvaluation, RoutedTexts]:
    """Evaluates one head on a table, and runs the router on the same texts."""
    spec = loaded.specs[name]
    texts = prepare(spec, table, loaded.encoder)
    all_outputs = outputs_of(name, texts)
    outputs, rows = all_outputs[name], evaluated_rows(spec, table, texts, all_outputs[name])
    metrics = estimate(spec, outputs, texts.labels, seed)
    decided = decisions_of(spec, outputs)
    confused = [] if decided is None else most_confused(spec.labels, texts.labels, decided, rows.shown)
    record = replace(table.record, kind=spec.kind)
    forecast = kind_of(spec.kind).forecast(spec, outputs, texts.labels)
    believed = None if forecast is None else reliability(forecast, generator(0, "calibration", name))
    truncated = (texts.encoded if texts.pool is None else texts.pool).truncated
    evaluation = TaskEvaluation(metrics, split, dict(texts.unseen), truncated, confused, record, believed, rows)
    return evaluation, RoutedTexts(rows.texts, all_outputs.get(ROUTER))


def evaluate_router(tasks: tuple[str, ...], routed: Mapping[str, RoutedTexts], split: str, seed: int) -> TaskEvaluation | None:
    """Evaluates a router of `tasks` on the texts of the evaluated tasks; None without a router."""
    known = {name: texts for name, texts in routed.items() if texts.logits is not None}
    if not known:
        return None
    logits = np.concatenate([own.logits for own in known.values() if own.logits is not None])
    true = np.concatenate([np.full(len(own.texts), tasks.index(name)) for name, own in known.items()])
    texts = [text for own in known.values() for text in own.texts]
    confused = most_confused(tasks, true, logits.argmax(1), texts)
    return TaskEvaluation(score_router(tasks, logits, true, seed), split, {}, 0, confused)


def most_confused(
    labels: tuple[str, ...], true: NDArray[Any], predicted: NDArray[Any], texts: Sequence[str]
) -> list[ConfusedPair]:
    """The pairs (true, predicted) with the most texts, each with the first such text."""
    wrong = np.flatnonzero(true != predicted)
    pairs, first, counts = np.unique(true[wrong] * len(labels) + predicted[wrong], return_index=True, return_counts=True)
    return [
        ConfusedPair(
            labels[pairs[index] // len(labels)],
            labels[pairs[index] % len(labels)],
            int(counts[index]),
            texts[wrong[first[index]]],
        )
        for index in np.argsort(-counts, kind="stable")[:PAIRS]
    ]
