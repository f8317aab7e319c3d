"""Tables of the metrics in run.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from mtlkit.report.columns import narrow
from mtlkit.report.tables import metric_title, titled
from mtlkit.report.text import literal

VALIDATION, WORDS = "validation", "words"


def metric_tables(metrics: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """One row of validation scores per task, one line of single figures, and the sentences of each stored report."""
    scores = metrics.get(VALIDATION)
    tasks = {name: row for name, row in scores.items() if isinstance(row, dict)} if isinstance(scores, dict) else {}
    single = {name: value for name, value in metrics.items() if plain(value)}
    line = ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in single.items())
    if tasks:
        yield titled("Validation", narrow({"task": list(tasks)}, score_columns(list(tasks.values())), width))
    if line:
        yield literal(f"{line if tasks else f'Metrics: {line}'}\n")
    for name, report in metrics.items():
        words = report.get(WORDS) if isinstance(report, dict) else None
        if isinstance(words, list) and words:
            title = literal(name.replace("_", " ").capitalize(), "bold")
            yield Group(title, *(literal(f"  {sentence}") for sentence in words), literal(""))


def score_columns(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """One column per metric that any task has: its title, then a value per task."""
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if plain(value)))
    return [[metric_title(name), *(shown(row[name]) if name in row else "-" for row in rows)] for name in names]


def plain(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """A number formatted for a table; other values as text."""
    if not plain(value):
        return "-" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
