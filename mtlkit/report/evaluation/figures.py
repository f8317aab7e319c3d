"""The metrics of an evaluation with their 95 % intervals, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group

from mtlkit.errors import counted
from mtlkit.evaluation.figures import ENDING
from mtlkit.evaluation.metric_names import AVERAGE_PRECISION, all_metrics
from mtlkit.report.columns import LEAST_NAME, compact_table, taken
from mtlkit.report.tables import estimate, number, reasons, titled
from mtlkit.report.text import literal, one_line

COLUMNS = {"precision": "precision", "recall": "recall", "f1": "F1"}
INTERVAL = "95 %"


def headline(name: str, metrics: Mapping[str, Any], width: int) -> str:
    """All metrics of a task with their intervals, in as many lines as `width` needs."""
    texts = f"on {counted(metrics['n'], 'text')}"
    lines = packed(f"{name}: ", [*_with_intervals(metrics)], texts, width)
    return "\n".join([*lines, *(f"  {reason}" for reason in reasons(metrics))])


def _with_intervals(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Each metric with its interval; the first names the confidence level."""
    sign = f"{INTERVAL}: "
    for metric in all_metrics().values():
        if metric.name not in metrics:
            continue
        positive = metrics.get("positive_class") if metric == AVERAGE_PRECISION else None
        title = metric.title if positive is None else f"{metric.title} of '{one_line(positive).plain}'"
        interval = metrics.get(f"{metric.name}{ENDING}")
        ends = "" if interval is None else f" ({sign}{' to '.join(number(end, 3) for end in interval)})"
        sign = sign if interval is None else ""
        yield f"{title} {number(metrics[metric.name], 4)}{ends}"


def base_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """The figures of a base, one per line, with their intervals."""
    for name, value in figures.items():
        if name.endswith(ENDING):
            continue
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        interval = figures.get(f"{name}{ENDING}")
        ends = f" ({INTERVAL}: {' to '.join(number(end, 4) for end in interval)})" if interval else ""
        yield f"{name.replace('_', ' ')}: {shown}{ends}"


def packed(start: str, pieces: Sequence[str], end: str, width: int) -> list[str]:
    """Lines of whole pieces, separated by commas, after `start` and before `end`; a longer piece has a line of its own."""
    lines = [start]
    for index, piece in enumerate(pieces):
        text = f"{piece} {end}" if index == len(pieces) - 1 else f"{piece}, "
        if lines[-1].strip() and index and cell_len(lines[-1] + text.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("  ")
        lines[-1] += text
    return lines


def class_table(name: str, metrics: Mapping[str, Any], width: int, *, worst_first: bool = False) -> Group:
    """Precision, recall and F1 of each class, with intervals where `width` has room for them, and support. With `worst_first`,
    classes are in the order of their F1."""
    classes = list(metrics.get("per_class", {}).items())
    if worst_first:
        classes.sort(key=lambda item: (item[1]["f1"] is None, item[1]["f1"], -item[1]["support"]))
    needed = min(LEAST_NAME, max([len("class"), *(one_line(label).cell_len for label, _ in classes)]))
    for intervals in (tuple(COLUMNS), ("f1",), ()):  # --json has them all
        figures = list(_columns([row for _, row in classes], intervals))
        if taken(figures) + needed + 2 <= width:
            break
    table = compact_table()
    table.add_column("class", overflow="fold", min_width=len("class"))
    for title, *_ in figures:
        table.add_column(title, justify="right", no_wrap=True)
    for (label, _), *cells in zip(classes, *(column[1:] for column in figures), strict=True):
        table.add_row(literal(label), *cells)
    group = titled(headline(name, metrics, width), table)
    if not any(row[column] is None for _, row in classes for column in COLUMNS):
        return group
    return Group(group, literal("-: undefined, as the class is never predicted or has no rows", "dim"))


def _columns(rows: Sequence[Mapping[str, Any]], intervals: Sequence[str]) -> Iterator[list[str]]:
    """Columns of numbers, each below its title; those of `intervals` are followed by their intervals."""
    for name, title in COLUMNS.items():
        cells = [estimate(row[name], row.get(f"{name}{ENDING}"), 3) for row in rows]
        yield [title, *(value for value, _ in cells)]
        if name in intervals:
            yield [INTERVAL, *(ends for _, ends in cells)]
    yield ["support", *(f"{row['support']:,}" for row in rows)]
