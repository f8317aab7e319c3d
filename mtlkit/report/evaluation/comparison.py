"""A comparison of two models on the same rows, as a table and in a sentence. Nothing here prints."""

from __future__ import annotations

from rich.console import Group

from mtlkit.evaluation.comparison import Difference, TaskComparison
from mtlkit.evaluation.metric_names import ACCURACY, all_metrics
from mtlkit.report.columns import narrow
from mtlkit.report.tables import figure, metric_title, number, points, titled
from mtlkit.report.text import printable


def comparison_table(comparison: TaskComparison, model: str, against: str, width: int) -> Group:
    """A row per metric: both models, the difference and its interval."""
    rows = comparison.metrics
    columns = [
        ["model", *(figure(row.model, row.metric) for row in rows)],
        ["against", *(figure(row.against, row.metric) for row in rows)],
        ["against - model", *(amount(row.value, row.metric) for row in rows)],
        ["95 %", *(span(row) for row in rows)],
    ]
    rows_are = "queries" if comparison.kind == "retrieval" else "texts"
    title = f"{comparison.task}: {printable(model)} against {printable(against)} on the same {comparison.rows:,} {rows_are}"
    return titled(title, narrow({"metric": [metric_title(row.metric) for row in rows]}, columns, width))


def comparison_sentence(comparison: TaskComparison, model: str, against: str) -> str:
    """The result for the main metric, in agreement with its interval."""
    name, first, second = (printable(text) for text in (comparison.task, model, against))
    row, metric = comparison.decisive, metric_title(comparison.main)
    if comparison.verdict == "undefined":
        return f"{name}: {metric} cannot be compared, as it is undefined or there are too few rows"
    test = ""
    if comparison.tested and comparison.p is not None:
        p = "< 0.001" if comparison.p < 0.001 else f"= {comparison.p:.2g}"
        test = f"; McNemar p {p}, {comparison.only_model:,} against {comparison.only_against:,} texts"
    if comparison.verdict == "no clear difference" or row.value == 0:
        change = _with_unit(row.value, comparison.main, sign=True)
        return f"{name}: no clear difference in {metric}: {change} for {second} (95 %: {span(row, ' to ')}{test})"
    low, high = sorted(abs(end) for end in row.interval.ends) if not row.interval.holds_zero else row.interval.ends
    interval = f"95 %: {amount(low, comparison.main)} to {amount(high, comparison.main)}"
    size = _with_unit(abs(row.value), comparison.main)
    if comparison.main == ACCURACY.name:
        claim = f"{second} is {size} {'more' if row.value > 0 else 'less'} accurate than {first}"
    else:
        claim = f"{metric} of {second} is {size} {'higher' if row.value > 0 else 'lower'} than of {first}"
    if comparison.verdict == "tests disagree":
        return f"{name}: unclear, as the interval and McNemar's test disagree: {claim} (95 %: {span(row, ' to ')}{test})"
    return f"{name}: {claim} ({interval}{test})"


def span(row: Difference, between: str = "..") -> str:
    """The interval of a difference."""
    low, high = row.interval.ends
    return number(None) if low != low else f"{amount(low, row.metric)}{between}{amount(high, row.metric)}"  # NaN


def amount(value: float, metric: str) -> str:
    """A difference in points for shares, in the metric's own unit for others."""
    return points(value) if all_metrics()[metric].share else number(value, 4)


def _with_unit(value: float, metric: str, *, sign: bool = False) -> str:
    plus = "+" if sign and value > 0 else ""
    return f"{plus}{amount(value, metric)}{' points' if all_metrics()[metric].share else ''}"
