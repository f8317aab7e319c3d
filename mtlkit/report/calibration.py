"""How far probabilities can be believed, as text and tables. Nothing here prints."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from mtlkit.evaluation.reliability import Bin, Estimate, Reliability
from mtlkit.report.tables import new_table, number
from mtlkit.report.text import literal


def reliability_line(task: str, found: Reliability) -> Text:
    """The figures of a task with their intervals."""
    return literal(f"{task} probabilities: {figures(found)}")


def figures(found: Reliability) -> str:
    """Expected calibration error, Brier score and log-loss with their 95 % intervals."""
    low, high = (100 * end for end in found.error.interval.ends)
    error = f"expected calibration error {100 * found.error.value:.1f} points (95 %: {low:.1f} to {high:.1f})"
    return f"{error}, Brier score {_estimate(found.brier)}, log-loss {_estimate(found.log_loss)}"


def _estimate(found: Estimate) -> str:
    low, high = found.interval.ends
    return f"{number(found.value)} ({number(low)} to {number(high)})"


def reliability_table(task: str, found: Reliability) -> Group:
    """A row per bin of confidence: texts, mean confidence, accuracy with Wilson's interval, and the gap between the two."""
    table = new_table()
    several = found.labels > 1
    for title in ("probability" if several else "confidence", "forecasts" if several else "texts", "mean"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("labelled" if several else "right", "95 %", "gap"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in found.bins:
        table.add_row(*map(literal, _row(one)))
    pooled = f", all {found.labels} labels" if several else ""
    return Group(literal(f"{task}: reliability{pooled}", "bold"), table, literal(figures(found)))


def _row(one: Bin) -> tuple[str, ...]:
    low, high = (100 * end for end in one.interval.ends)
    limits = f"{100 * one.low:.1f} to {100 * one.high:.1f} %"
    shares = f"{100 * one.confidence:.1f} %", f"{100 * one.accuracy:.1f} %"
    return limits, f"{one.count:,}", *shares, f"{low:.1f} to {high:.1f}", f"{100 * one.gap:+.1f}"
