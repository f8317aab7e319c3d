"""How far probabilities can be believed, as text and tables. Nothing here prints."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from mtlkit.evaluation.reliability import Bin, Estimate, Reliability
from mtlkit.report.tables import new_table, number
from mtlkit.report.text import literal


def reliability_line(task: str, reliability: Reliability) -> Text:
    """The figures of a task with their intervals."""
    return literal(f"{task} probabilities: {figures(reliability)}")


def figures(reliability: Reliability) -> str:
    """Expected calibration error, Brier score and log-loss with their 95 % intervals."""
    low, high = (100 * end for end in reliability.error.interval.ends)
    error = f"expected calibration error {100 * reliability.error.value:.1f} points (95 %: {low:.1f} to {high:.1f})"
    return f"{error}, Brier score {_estimate(reliability.brier)}, log-loss {_estimate(reliability.log_loss)}"


def _estimate(estimate: Estimate) -> str:
    low, high = estimate.interval.ends
    return f"{number(estimate.value)} ({number(low)} to {number(high)})"


def reliability_table(task: str, reliability: Reliability) -> Group:
    """A row per bin of confidence: texts, mean confidence, accuracy with Wilson's interval, and the gap between the two."""
    table = new_table()
    several = reliability.labels > 1
    for title in ("probability" if several else "confidence", "forecasts" if several else "texts", "mean"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("labelled" if several else "right", "95 %", "gap"):
        table.add_column(title, justify="right", no_wrap=True)
    for bucket in reliability.bins:
        table.add_row(*map(literal, _row(bucket)))
    pooled = f", all {reliability.labels} labels" if several else ""
    return Group(literal(f"{task}: reliability{pooled}", "bold"), table, literal(figures(reliability)))


def _row(bucket: Bin) -> tuple[str, ...]:
    low, high = (100 * end for end in bucket.interval.ends)
    limits = f"{100 * bucket.low:.1f} to {100 * bucket.high:.1f} %"
    shares = f"{100 * bucket.confidence:.1f} %", f"{100 * bucket.accuracy:.1f} %"
    return limits, f"{bucket.count:,}", *shares, f"{low:.1f} to {high:.1f}", f"{100 * bucket.gap:+.1f}"
