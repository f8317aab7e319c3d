"""What a page that compares runs says of them in tables: the runs, their scores, and paired tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mtlkit.report.page.blocks import Block, Section, Shade, columns
from mtlkit.report.page.content import AT_THE_END, Logged, figures_of, kept_step
from mtlkit.report.run_rows import RunRow
from mtlkit.report.runs import moment, score_line
from mtlkit.report.runs_tests import RunsTest, test_cells
from mtlkit.report.tables import megabytes, metric_title
from mtlkit.report.text import printable
from mtlkit.runs.record import RunRecord

NONE = "-"


@dataclass(frozen=True)
class Disagreement:
    """A row that one run gets right and another one does not: its text, label, and what each predicts."""

    text: str
    label: str
    first: str
    run: str


@dataclass(frozen=True)
class PageRun:
    """A run of the page. `record` is None for an unfinished one; `figures` are those of each evaluated task, `recorded` those
    that the training itself measured on the same split."""

    name: str
    row: RunRow
    record: RunRecord | None
    logged: Logged | None
    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recorded: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class PageTest:
    """A test, and rows that only the first run or only the other one gets right."""

    test: RunsTest
    only_first: tuple[Disagreement, ...] = ()
    only_run: tuple[Disagreement, ...] = ()


CLEAR = 0.6  # how strongly a clear difference is coloured
ABOUT_TESTS = (
    "Change: shares in points, with the interval of a paired bootstrap. p: McNemar's exact test of accuracy, paired bootstrap of "
    "other metrics, not adjusted for the number of tests. *: a clear difference."
)


def runs_block(runs: Sequence[PageRun]) -> Block:
    """What each run is."""
    rows = []
    for run in runs:
        kept = kept_step(run.record.metrics) if run.record else None
        epoch = NONE if kept is None else f"{kept.epoch or NONE} (step {kept.step:,})"
        cells = (run.row.stage or NONE, run.row.state, moment(run.row.started or run.row.changed), epoch, megabytes(run.row.size))
        rows.append((printable(run.name), *cells, printable(str(run.row.path))))
    titles = columns("run", "stage", "state", "started", "best epoch", "MB", "folder", numbers=["MB"], long=["folder"])
    return Block("Each run is compared with the first", titles, tuple(rows))


def scores_section(runs: Sequence[PageRun], tests: Sequence[PageTest], tasks: Sequence[str], split: str) -> Section | None:
    """The main metric of each task, on rows that were evaluated and on validation rows, and the tests."""
    blocks = [_scores(f"On {split} rows, in percent with 95 % intervals", _evaluated_cell, runs, tasks)]
    blocks.append(_scores("On validation rows, as measured while training", _recorded_cell, runs, tasks))
    blocks.append(_tests(runs[0].name, tests, split))
    tables = tuple(block for block in blocks if block is not None)
    lines = tuple(one.test.why_not for one in tests if one.test.test is None)
    return Section("Scores", lines, tables=tables, folded=False) if tables or lines else None


def _scores(title: str, cell: Callable[[PageRun, str], str], runs: Sequence[PageRun], tasks: Sequence[str]) -> Block | None:
    rows = tuple((printable(task), *(cell(run, task) for run in runs)) for task in tasks)
    if all(value == NONE for row in rows for value in row[1:]):
        return None
    titles = columns("task", *(printable(run.name) for run in runs))
    return Block(title, titles, rows)


def _tests(first: str, tests: Sequence[PageTest], split: str) -> Block | None:
    rows = []
    for one, test in ((one.test, one.test.test) for one in tests):
        if test is None:
            continue
        own, other, change, interval, p = test_cells(test)
        sign = 1 if test.comparison.decisive.value > 0 else -1
        shade = Shade.of(change, sign * CLEAR if test.comparison.verdict == "difference" else 0.0)
        about = (printable(one.task), printable(one.names[1]), metric_title(test.comparison.main), f"{test.comparison.rows:,}")
        rows.append((*about, own, other, shade, interval, p))
    numbers = ("rows", printable(first), "run's", "change", "p")
    titles = columns("task", "run", "metric", "rows", printable(first), "run's", "change", "95 %", "p", numbers=numbers)
    return Block(f"Paired tests on the same {split} rows", titles, tuple(rows), ABOUT_TESTS) if rows else None


def _evaluated_cell(run: PageRun, task: str) -> str:
    metrics = run.figures.get(task) or run.recorded.get(task)
    if not metrics or not (found := list(figures_of(metrics))):
        return NONE
    title, value, interval = found[0]
    measured = "" if task in run.figures else f", {AT_THE_END}"
    return f"{value}{f' ({interval})' if interval else ''} {title}{measured}"


def _recorded_cell(run: PageRun, task: str) -> str:
    score = next((score for score in run.row.scores if score.task == task), None)
    return NONE if score is None else score_line(score).removeprefix(f"{printable(task)} ")
