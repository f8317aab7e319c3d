"""The sections of a report from the evaluation of a run's heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from mtlkit.errors import counted
from mtlkit.recipes.evaluation.errors_file import errors_of
from mtlkit.recipes.evaluation.heads import TaskEvaluation
from mtlkit.recipes.evaluation.rows import EvaluatedRows
from mtlkit.report.evaluation.calibration import figures
from mtlkit.report.page.charts import reliability_chart
from mtlkit.report.page.content import TaskSection, class_block, figures_of
from mtlkit.report.page.matrix import Place, cut, make_matrix, matrix_chart
from mtlkit.report.sources import unseen_line
from mtlkit.report.tables import reasons
from mtlkit.report.text import printable
from mtlkit.tasks.base import kind_of

MISTAKES = 20


def section(name: str, task: TaskEvaluation) -> TaskSection:
    """What a page shows of an evaluated task."""
    metrics, rows = task.metrics, task.rows
    confused = metrics if "confusion" in metrics else metrics.get("word_confusion")
    matrix = chart = None
    if confused:
        counts = [list(map(int, row)) for row in confused["confusion"]]
        matrix = make_matrix(name, confused["labels"], counts, _cells(rows) if rows and confused is metrics else ())
        chart = matrix_chart(name, confused["labels"], counts)
    wrong = list(errors_of(rows)) if rows is not None else []
    return TaskSection(
        printable(name),
        figures=tuple(figures_of(metrics)),
        split=task.split,
        rows=metrics["n"],
        matrix=matrix,
        matrix_chart=chart,
        classes=class_block(metrics),
        reliability=None if task.reliability is None else reliability_chart(name, task.reliability),
        reliability_line="" if task.reliability is None else figures(task.reliability),
        mistakes=tuple(islice(map(_mistake, wrong), MISTAKES)),
        wrong=len(wrong),
        notes=tuple(_notes(task)),
    )


def _notes(task: TaskEvaluation) -> Iterator[str]:
    yield from reasons(task.metrics)
    if task.unseen:
        yield f"{unseen_line(task.unseen, 'row')}; not counted in the metrics"
    if task.truncated:
        yield f"{counted(task.truncated, 'text')} did not fit into the model and were cut"


def _cells(rows: EvaluatedRows) -> Iterator[tuple[Place, str]]:
    """The cell and the text of each row of a task with one class per row."""
    if kind_of(rows.spec.kind).classes != "one" or len(rows.texts) != len(rows.labels):
        return
    decided = kind_of(rows.spec.kind).decisions(rows.spec, rows.outputs)
    labels, texts = np.asarray(rows.labels).tolist(), rows.shown
    for true, other, text in zip(labels, np.asarray(decided).tolist(), texts, strict=True):
        yield (int(true), int(other)), text


def _mistake(found: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Text, label, prediction and probability of a wrong row."""
    text = " | ".join(str(found[name]) for name in ("text", "second_text") if found.get(name))
    probability = found.get("probability")
    shown = f"{probability:.2f}" if isinstance(probability, float) else ""
    return cut(text), cut(_told(found.get("label"))), cut(_told(found.get("predicted"))), shown


def _told(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
