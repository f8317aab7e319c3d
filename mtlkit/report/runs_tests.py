"""Paired tests of runs on the same rows, as data and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group

from mtlkit.errors import shorten
from mtlkit.evaluation.paired import PairedTest
from mtlkit.report.columns import narrow
from mtlkit.report.evaluation.comparison import amount, span
from mtlkit.report.tables import figure, metric_title, number, titled
from mtlkit.report.text import literal, printable


@dataclass(frozen=True)
class RunsTest:
    """A task of two runs and their names: the test of `run` against `first`, or the `reason` why there is none."""

    task: str
    first: Path
    run: Path
    names: tuple[str, str]
    test: PairedTest | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"task": self.task, "model": str(self.first), "against": str(self.run)}
        return document | ({"not_comparable": self.reason} if self.test is None else self.test.to_json())

    @property
    def why_not(self) -> str:
        """That the runs are not comparable, and why."""
        return f"{printable(self.task)}: {printable(self.names[1])} is not comparable because {printable(self.reason)}"


def tests_table(tests: Sequence[RunsTest], split: str, width: int) -> Group:
    """A row per task and run with both scores, their difference, its interval and p-value; below, what cannot be compared."""
    found = [(one, one.test) for one in tests if one.test is not None]
    lines = [literal(one.why_not, "yellow") for one in tests if one.test is None]
    if not found:
        return Group(*lines)
    names = {
        "task": [one.task for one, _ in found],
        "run": [one.names[1] for one, _ in found],
        "metric": [metric_title(test.comparison.main) for _, test in found],
    }
    cells = [list(test_cells(test)) for _, test in found]
    titles = (shorten(tests[0].names[0], 12), "run", "change", "95 %", "p")
    columns = [[title, *(row[index] for row in cells)] for index, title in enumerate(titles)]
    rows = sorted({test.comparison.rows for _, test in found})
    counts = f"{rows[0]:,}" if len(rows) == 1 else f"{rows[0]:,} to {rows[-1]:,}"
    title = f"Against {printable(tests[0].names[0])} on the same {split} rows ({counts})"
    note = "change: shares in points; p: McNemar's test of accuracy, paired bootstrap of others; *: a clear difference"
    return Group(titled(title, narrow(names, columns, width)), literal(note, "dim"), *lines)


def test_cells(test: PairedTest) -> Iterator[str]:
    """The scores of both, their difference, its interval, and the p-value, with a star where the difference is clear."""
    main = test.comparison.decisive
    yield figure(main.model, main.metric)
    yield figure(main.against, main.metric)
    yield f"{'+' if main.value > 0 else ''}{amount(main.value, main.metric)}"
    yield span(main)
    yield f"{p_value(test.p)}{'*' if test.comparison.verdict == 'difference' else ''}"


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else number(p)
