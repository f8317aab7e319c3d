"""The sections of a report from the evaluation of a run's heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from mtlkit.recipes.evaluation.errors_file import errors_of
from mtlkit.recipes.evaluation.heads import TaskEvaluation
from mtlkit.recipes.evaluation.rows import EvaluatedRows
from mtlkit.report.evaluation.calibration import figures
from mtlkit.report.page.charts import reliability_chart
from mtlkit.report.page.content import Cell, TaskSection, class_rows, cut, figures_of
from mtlkit.tasks.base import kind_of

MOST_CLASSES = 60  # up to which the page has the whole matrix
TEXTS_OF_CELL, TEXTS_OF_PAGE = 8, 2000  # texts behind a cell, and of all cells of a task
MISTAKES = 20


def section(name: str, task: TaskEvaluation) -> TaskSection:
    """What a page shows of an evaluated task."""
    metrics, rows = task.metrics, task.rows
    matrix: tuple[tuple[Cell, ...], ...] = ()
    if "confusion" in metrics and len(metrics["labels"]) <= MOST_CLASSES:
        matrix = tuple(_matrix(metrics["confusion"], rows))
    return TaskSection(
        name,
        figures=tuple(figures_of(metrics)),
        split=task.split,
        rows=metrics["n"],
        labels=tuple(map(cut, metrics["labels"])) if matrix else (),
        matrix=matrix,
        classes=tuple(class_rows(metrics)),
        reliability="" if task.reliability is None else reliability_chart(name, task.reliability),
        reliability_line="" if task.reliability is None else figures(task.reliability),
        mistakes=tuple(_mistakes(rows)) if rows is not None else (),
    )


def _matrix(counts: Sequence[Sequence[int]], rows: EvaluatedRows | None) -> Iterator[tuple[Cell, ...]]:
    """The cells with the first texts of each; those on the diagonal, where the head is right, have fewer where there are many."""
    texts: dict[tuple[int, int], list[str]] = {}
    if rows is not None and kind_of(rows.spec.kind).classes == "one" and len(rows.shown) == len(rows.labels):
        decided = kind_of(rows.spec.kind).decisions(rows.spec, rows.outputs)
        most = min(TEXTS_OF_CELL, max(1, TEXTS_OF_PAGE // max(1, len(counts) ** 2)))
        for index, cell in enumerate(zip(np.asarray(rows.labels).tolist(), np.asarray(decided).tolist(), strict=True)):
            some = texts.setdefault((int(cell[0]), int(cell[1])), [])
            if len(some) < most:
                some.append(cut(rows.shown[index]))
    for true, row in enumerate(counts):
        total = max(1, sum(row))
        yield tuple(Cell(count, count / total, tuple(texts.get((true, other), ()))) for other, count in enumerate(row))


def _mistakes(rows: EvaluatedRows) -> Iterator[tuple[str, str, str, str]]:
    """Text, label, prediction and probability of the worst mistakes."""
    for found in islice(errors_of(rows), MISTAKES):
        text = " | ".join(str(found[name]) for name in ("text", "second_text") if found.get(name))
        probability = found.get("probability")
        shown = f"{probability:.2f}" if isinstance(probability, float) else ""
        yield cut(text), cut(_told(found.get("label"))), cut(_told(found.get("predicted"))), shown


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
