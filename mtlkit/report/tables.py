"""Tables of events and metrics for the terminal, and the formats of numbers in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from mtlkit.evaluation.metric_names import all_metrics, written
from mtlkit.report.text import literal, one_line
from mtlkit.training.events import Epoch, Part, TaskState

SECOND = ("pearson", "mae")  # metrics of kinds that have a better one


def metric_title(name: str) -> str:
    """The name of a metric for users."""
    metric = all_metrics().get(name)
    return metric.title if metric else name


def new_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def titled(title: str, table: Table) -> Group:
    """A table with a title above it, which may be wider than the table."""
    return Group(literal(title, "bold"), table)


def parts_table(parts: Sequence[Part]) -> Group:
    """A row per part of the model: the numbers of trainable and frozen parameters, and digests of frozen parts."""
    final = any(part.after for part in parts)
    staged = any(part.rate is not None for part in parts) and not final
    table = new_table()
    table.add_column("part", min_width=10, overflow="fold")
    table.add_column("trainable", justify="right", no_wrap=True)
    table.add_column("frozen", justify="right", no_wrap=True)
    table.add_column("SHA-256 unchanged" if final else "SHA-256", no_wrap=True)
    if staged:
        table.add_column("peak rate", justify="right", no_wrap=True)
        table.add_column("trains from", no_wrap=True)
    for part in parts:
        if final and part.after is None:
            continue
        digest = "" if part.before is None else part.before[: 8 if staged else 16]
        if part.after is not None:
            digest = f"{digest} = {part.after[:16]}" if part.after == part.before else f"{digest} became {part.after[:16]}"
        counts = [f"{number:,}" if number else "-" for number in (part.trainable, part.parameters - part.trainable)]
        stage = ["" if part.rate is None else f"{part.rate:.2g}", part.since] if staged else []
        table.add_row(literal(part.name), *counts, digest, *stage)
    return titled("Frozen parts after training" if final else "Model parts", table)


def number(value: float | None, digits: int = 3) -> str:
    """A number with `digits` decimals; a dash if it is undefined."""
    return "-" if value is None or not isfinite(value) else f"{value:.{digits}f}"


def reasons(metrics: Mapping[str, Any]) -> list[str]:
    """Messages on why metrics of a task are undefined."""
    names: dict[str, list[str]] = {}
    for name, reason in metrics.get("undefined", {}).items():
        names.setdefault(reason, []).append(metric_title(name))
    return [f"{' and '.join(titles)} undefined: {reason}" for reason, titles in names.items()]


def epoch_table(epoch: Epoch, width: int) -> Group:
    """A table with a row per task: losses, metrics and batches; below it, the numbers of texts and warnings."""
    name = epoch.place or (f"epoch {epoch.epoch}/{epoch.epochs}" if epoch.epoch else "before training")
    weights = "; loss weights: " + ", ".join(f"{task} {weight:.3g}" for task, weight in epoch.weights.items())
    best = ", best so far" if epoch.best and not epoch.keeps_last else ""
    title = f"{name}, mean score {number(epoch.score)}{best}{weights if epoch.weights else ''}"
    table = titled(title, task_table(epoch.tasks, width))
    seen = (f"{one_line(state.task).plain} {state.texts:,} ({state.repeats:.2g}x)" for state in epoch.tasks if state.texts)
    words = ", ".join(seen)
    lines = [literal(f"texts seen, and passes over the rows: {words}", "dim")] if words else []
    for state in epoch.tasks:
        name = one_line(state.task).plain
        if state.untaught:
            lines.append(literal(f"{name}: {state.untaught:,} of {state.texts:,} texts taught nothing in their batch", "yellow"))
        lines += [literal(f"{name}: {reason}", "yellow") for reason in reasons(state.validation)]
    return Group(table, *lines) if lines else table


def task_table(states: Sequence[TaskState], width: int) -> Table:
    """The table of an epoch. If it is too wide, the names of tasks are truncated, never numbers."""
    metrics = metric_names(states)
    titles = ["train loss", "val loss", *map(metric_title, metrics), "batches"]
    rows = [state_figures(state, metrics) for state in states]
    taken = sum(max(map(len, column)) + 3 for column in zip(titles, *rows, strict=True))
    table = new_table()
    table.add_column("task", max_width=max(4, width - taken - 2), overflow="ellipsis", no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for state, row in zip(states, rows, strict=True):
        table.add_row(literal(state.task), *row)
    return table


def metric_names(states: Sequence[TaskState]) -> list[str]:
    """The metrics to show for these tasks. If there are tasks of several kinds, the second one of some is left out."""
    in_epochs = [metric.name for metric in all_metrics().values() if metric.in_epochs]
    names = [name for name in in_epochs if any(name in state.validation for state in states)]
    if not names:
        return ["accuracy", "macro_f1"]
    return [name for name in names if name not in SECOND or all(name in state.validation for state in states)]


def state_figures(state: TaskState, metrics: Sequence[str]) -> list[str]:
    seen = f"{state.batches}/{state.planned}" if state.planned else str(state.batches or "-")
    values = [number(state.validation.get(name)) for name in ("loss", *metrics)]
    return [number(state.train_loss), *values, "watched" if state.watched and not state.planned else seen]


def estimate(value: float | None, interval: Sequence[float] | None, digits: int = 4) -> tuple[str, str]:
    """A value and its interval, or dashes if undefined. Two dots, as a dash would look like a minus."""
    ends = number(None) if interval is None else "..".join(number(end, digits) for end in interval)
    return number(value, digits), ends


def unit_of(metric: str) -> str:
    """The unit of a change of a metric times 100."""
    return all_metrics()[metric].unit


def figure(value: float | None, metric: str) -> str:
    """The value of a metric in a table: a share in percent with one decimal, other metrics with three."""
    return written(value, metric)


def megabytes(size: int) -> str:
    """Bytes in millions, with one decimal."""
    return f"{size / 1e6:,.1f}"


def points(value: float) -> str:
    """A change x 100 with one decimal, or one significant digit if it would round to zero."""
    value *= 100
    if not isfinite(value):
        return number(None)
    if 0.0005 <= abs(value) < 0.05:
        return f"{value:.1g}"
    return number(round(value, 1) + 0.0, 1)  # -0.0 + 0.0 is 0.0
