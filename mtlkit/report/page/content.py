"""What the page of a report says, as text and numbers; the templates only arrange it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mtlkit.errors import shorten
from mtlkit.evaluation.figures import ENDING
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.report.evaluation.figures import COLUMNS
from mtlkit.report.info import data_rows, run_pairs, versions_rows
from mtlkit.report.info_model import stored_reports
from mtlkit.report.log_reader import Curves
from mtlkit.report.page.charts import task_charts
from mtlkit.report.run_facts import RunFacts
from mtlkit.report.tables import figure, metric_title, number
from mtlkit.report.text import printable

LEAST_POINTS = 3  # fewer make no curve, as of heads that were solved
LONGEST_TEXT = 400  # characters of a text behind a cell


@dataclass(frozen=True)
class Cell:
    """A cell of a confusion matrix: its share of the row, and some of the texts behind it."""

    count: int
    share: float
    texts: tuple[str, ...]


@dataclass(frozen=True)
class TaskSection:
    """A task. `figures` are titles, values and 95 % intervals; `classes` a row of figures per class; `mistakes` the texts that
    the head got most wrong, with label, prediction and probability."""

    name: str
    charts: tuple[str, ...] = ()
    figures: tuple[tuple[str, str, str], ...] = ()
    split: str = ""
    rows: int = 0
    labels: tuple[str, ...] = ()
    matrix: tuple[tuple[Cell, ...], ...] = ()
    classes: tuple[tuple[str, ...], ...] = ()
    reliability: str = ""
    reliability_line: str = ""
    mistakes: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def texts(self) -> dict[str, tuple[str, ...]]:
        """The texts behind the cells of the matrix, by row and column."""
        rows = [(f"{true},{other}", cell) for true, row in enumerate(self.matrix) for other, cell in enumerate(row)]
        return {place: cell.texts for place, cell in rows if cell.texts}


@dataclass(frozen=True)
class Page:
    """The content of a page."""

    title: str
    facts: dict[str, str]
    tasks: tuple[TaskSection, ...]
    reports: dict[str, tuple[str, ...]]
    data: tuple[tuple[str, str, str, str], ...]
    lineage: tuple[tuple[str, str, str], ...]
    versions: tuple[tuple[str, str, str], ...]
    command: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def make_page(facts: RunFacts, curves: Curves | None, evaluated: Mapping[str, TaskSection], notes: Sequence[str]) -> Page:
    """The page of a run: its curves, and what an evaluation found, by task."""
    record = facts.record
    metrics: Mapping[str, Any] = record.metrics if record else {}
    sections = dict(evaluated)
    for task in curves.tasks if curves else ():
        assert curves is not None
        if len(task.train) + len(task.validation) < LEAST_POINTS:
            sections.setdefault(task.task, TaskSection(task.task))
            continue
        kept = metrics.get("best_step")
        charts = tuple(task_charts(task, curves, kept if isinstance(kept, int) and kept else None))
        old = sections.get(task.task, TaskSection(task.task))
        sections[task.task] = TaskSection(**{**vars(old), "charts": charts})
    return Page(
        title=printable(facts.path.resolve().name),
        facts={**run_pairs(facts), **_best(metrics)},
        tasks=tuple(sections.values()),
        reports={title: tuple(map(str, sentences)) for title, sentences in stored_reports(metrics)},
        data=tuple(data_rows(record.data)) if record else (),
        lineage=tuple(("  " * (one.depth - 1) + one.path, one.stage or "-", one.condition) for one in facts.lineage),
        versions=tuple(versions_rows(record.versions, facts.installed)) if record else (),
        command=record.command if record else "",
        problems=facts.problems,
        notes=tuple(notes),
    )


def _best(metrics: Mapping[str, Any]) -> dict[str, str]:
    epoch, step = metrics.get("best_epoch"), metrics.get("best_step")
    return {"best epoch": f"{epoch:,} (step {step:,})"} if isinstance(epoch, int) and isinstance(step, int) else {}


def figures_of(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Title, value and interval of each metric of an evaluated task."""
    for name in all_metrics():
        if isinstance(value := metrics.get(name), (int, float)):
            interval = metrics.get(f"{name}{ENDING}")
            ends = " to ".join(figure(end, name) for end in interval) if interval else ""
            yield metric_title(name), figure(value, name), ends


def class_rows(metrics: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Class, precision, recall, F1 and support of each class."""
    for label, row in metrics.get("per_class", {}).items():
        yield (printable(label), *(number(row[name]) for name in COLUMNS), f"{row['support']:,}")


def cut(text: str) -> str:
    """A text as the page shows it."""
    return shorten(printable(text), LONGEST_TEXT)
