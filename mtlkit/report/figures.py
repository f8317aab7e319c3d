"""Formats metrics and their changes for tables and sentences."""

from __future__ import annotations

from math import isfinite

from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.report.tables import number


def unit_of(metric: str) -> str:
    """What a change of a metric is in, times 100."""
    return all_metrics()[metric].unit


def figure(value: float | None, metric: str) -> str:
    """A metric in a table: a share x 100 with one decimal, anything else with three."""
    return number(100 * value, 1) if value is not None and all_metrics()[metric].share else number(value, 3)


def points(value: float) -> str:
    """A change x 100 with one decimal, or one significant digit if it would round to zero."""
    value *= 100
    if not isfinite(value):
        return number(None)
    if 0.0005 <= abs(value) < 0.05:
        return f"{value:.1g}"
    return number(round(value, 1) + 0.0, 1)  # -0.0 + 0.0 is 0.0
