"""Formats metrics and their changes for tables and sentences."""

from __future__ import annotations

from math import isfinite

from mtlkit.report.tables import number

UNITS = {"accuracy": "points", "macro_f1": "points of macro-F1", "spearman": "points of Spearman correlation x 100"}


def figure(value: float | None, metric: str) -> str:
    """A metric in a table: accuracy and macro-F1 x 100 with one decimal, a correlation with three."""
    return number(value, 3) if value is None or metric == "spearman" else number(100 * value, 1)


def points(value: float) -> str:
    """A change x 100 with one decimal, or one significant digit if it would round to zero."""
    value *= 100
    if not isfinite(value):
        return number(None)
    if 0.0005 <= abs(value) < 0.05:
        return f"{value:.1g}"
    return number(round(value, 1) + 0.0, 1)  # -0.0 + 0.0 is 0.0
