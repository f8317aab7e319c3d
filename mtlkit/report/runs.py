"""The list of runs, and runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from mtlkit.errors import counted
from mtlkit.report.columns import compact_table
from mtlkit.report.run_rows import RunRow, TaskScore, run_names
from mtlkit.report.tables import figure, megabytes, metric_title, titled
from mtlkit.report.text import literal, one_line, printable

STYLES = {"finished": "", "interrupted": "yellow", "running": "green", "damaged": "bold red"}
ORDERS: Mapping[str, tuple[Callable[[RunRow], Any], bool]] = {  # what runs are sorted by, and whether the largest comes first
    "newest": (lambda run: run.when.timestamp() if run.when else 0.0, True),
    "oldest": (lambda run: run.when.timestamp() if run.when else 0.0, False),
    "name": (lambda run: run.path.name, False),
    "score": (lambda run: -1.0 if run.score is None else run.score, True),
    "size": (lambda run: run.size, True),
}


def in_order(runs: Sequence[RunRow], sort: str) -> list[RunRow]:
    """The runs sorted; runs that are equal by name."""
    key, largest_first = ORDERS[sort]
    return sorted(sorted(runs, key=lambda run: run.path.name), key=key, reverse=largest_first)


def run_table(runs: Sequence[RunRow], width: int) -> Group:
    """A row per run: its stage, state, start, size and the score of each task. Names are truncated, numbers never are."""
    scores = ["\n".join(map(score_line, run.scores)) or "-" for run in runs]
    longest = max(map(len, "\n".join(scores).split("\n")), default=1)
    rest = len("finished at 2026-01-01 00:00") + 2 * 6 + 8 + 8
    table = compact_table()
    names = max(6, min(max((len(run.path.name) for run in runs), default=4), width - rest - min(longest, 34)))
    table.add_column("run", max_width=names, overflow="fold")
    for title in ("stage", "state", "started"):
        table.add_column(title, no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("validation", overflow="fold")
    for run, score in zip(runs, scores, strict=True):
        state = literal(run.state, STYLES[run.state])
        cells = (literal(run.stage or "-"), state, literal(moment(run.when)))
        table.add_row(one_line(run.path.name), *cells, megabytes(run.size), literal(score))
    notes = [literal(run.problem, "yellow") for run in runs if run.problem]
    marked = sorted({score.mark.replace("_", " ") for run in runs for score in run.scores if score.mark})
    notes += [literal(f"* not of held-out rows: {', '.join(marked)}", "dim")] if marked else []
    if any(run.best_so_far for run in runs):
        notes.append(literal("scores of runs that are not finished: the best so far", "dim"))
    total = f"{counted(len(runs), 'run')}, {megabytes(sum(run.size for run in runs))} MB"
    return Group(table, *notes, literal(total))


def score_line(score: TaskScore) -> str:
    """A score with its interval, such as "topic 88.5 (87.3-89.6) accuracy"."""
    ends = "" if score.interval is None else " ({}-{})".format(*(figure(end, score.metric) for end in score.interval.ends))
    star = "*" if score.mark else ""
    return f"{printable(score.task)} {figure(score.value, score.metric)}{star}{ends} {metric_title(score.metric)}"


def moment(time: datetime | None) -> str:
    return "-" if time is None else f"{time.astimezone():%Y-%m-%d %H:%M}"


def comparison_tables(
    runs: Sequence[RunRow], options: Mapping[str, Sequence[str]], same_rows: Mapping[str, bool]
) -> list[RenderableType]:
    """Options that differ, then the scores of each task, a column per run."""
    names = run_names([run.path for run in runs])
    tables: list[RenderableType] = []
    differing = _side_by_side("option", names, options)
    tables.append(titled("Options that differ", differing) if options else literal("no option differs"))
    found = [score for run in runs for score in run.scores]
    tasks = [task for task, _ in groupby(sorted({score.task for score in found}))]
    rows = {}
    for task in tasks:
        own = [next((score for score in run.scores if score.task == task), None) for run in runs]
        rows[task] = ["-" if score is None else score_line(score).removeprefix(f"{printable(task)} ") for score in own]
    if rows:
        tables.append(titled("Validation", _side_by_side("task", names, rows)))
    if others := [task for task, same in same_rows.items() if not same]:
        tables.append(literal(f"not the same validation rows, so not comparable: {', '.join(map(printable, others))}", "yellow"))
    return tables


def _side_by_side(title: str, names: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Table:
    table = compact_table()
    table.add_column(title, overflow="fold", min_width=8)
    for name in names:
        table.add_column(one_line(name), overflow="fold")
    for name, cells in rows.items():
        table.add_row(one_line(name), *map(one_line, cells))
    return table
