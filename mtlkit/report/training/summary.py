"""What a training ends with: one table of its scores, or a line per task where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from mtlkit.errors import counted
from mtlkit.evaluation.run_scores import Ends, Estimate, TaskScores, scores_of
from mtlkit.report.columns import LEAST_NAME, narrow, taken
from mtlkit.report.info_model import MEANINGS
from mtlkit.report.tables import figure, metric_title, number, points, titled, unit_of
from mtlkit.report.text import literal, one_line

STAR = "*"  # after a validation score that is not of held-out rows
Write = Callable[[float, str], str]  # of a value and its metric


def summary_table(metrics: Mapping[str, Any], width: int) -> RenderableType | None:
    """A row per task: best epoch, validation, test if it was measured, and the change against the start if it was. Where `width`
    is too small, intervals are below their values. None without scores."""
    scores = scores_of(metrics)
    if not scores:
        return None
    names = {"task": [score.task for score in scores], "metric": [metric_title(score.metric) for score in scores]}
    needed = sum(min(LEAST_NAME, max(len(title), *map(len, cells))) + 2 for title, cells in names.items())
    columns = figure_columns(scores, metrics, " ")
    if taken(columns) + needed > width:
        columns = figure_columns(scores, metrics, "\n")
    if not columns:
        return None
    table = titled(_title(metrics), narrow(names, columns, width))
    return Group(table, *(literal(note, "dim") for note in notes(scores, metrics)))


def _title(metrics: Mapping[str, Any]) -> str:
    epoch = metrics.get("best_epoch")
    kept = f" of epoch {epoch:,}" if isinstance(epoch, int) and epoch else ""
    return f"Scores of the kept weights{kept} (95 % intervals)"


def figure_columns(scores: Sequence[TaskScores], metrics: Mapping[str, Any], gap: str) -> list[list[str]]:
    """The columns that any task has something in, each with its title first; `gap` is between a value and its interval."""
    columns = {
        "best epoch" if gap == " " else "best\nepoch": [epoch_cell(score, metrics.get("best_epoch")) for score in scores],
        "validation": [cell(score, score.validation, gap, figure, STAR if score.mark else "") for score in scores],
        "test": [cell(score, score.test, gap, figure) for score in scores],
        f"change{' ' if gap == ' ' else chr(10)}from start": [cell(score, score.change, gap, _signed) for score in scores],
    }
    return [[title, *cells] for title, cells in columns.items() if any(text != "-" for text in cells)]


def epoch_cell(score: TaskScores, kept: Any) -> str:
    """The best epoch of a task; if other weights are kept, with the score that it had then."""
    if score.epoch is None:
        return "-"
    elsewhere = isinstance(kept, int) and score.epoch != kept and score.best is not None
    return f"{score.epoch:,} ({figure(score.best, score.metric)})" if elsewhere else f"{score.epoch:,}"


def cell(score: TaskScores, estimate: Estimate | None, gap: str, write: Write, mark: str = "") -> str:
    if estimate is None:
        return "-"
    ends = "" if estimate.interval is None else f"{gap}{span(score, estimate.interval, write)}"
    return f"{write(estimate.value, score.metric)}{mark}{ends}"


def span(score: TaskScores, ends: Ends, write: Write) -> str:
    """Two dots, as a dash would look like a minus."""
    return "..".join(write(end, score.metric) for end in ends)


def _signed(value: float, _metric: str) -> str:
    text = points(value)
    return text if text.startswith("-") or text == "0.0" else f"+{text}"


def notes(scores: Sequence[TaskScores], metrics: Mapping[str, Any]) -> Iterator[str]:
    """What the marks mean, which rows the test figures are of, and leaks that make scores too high."""
    for mark, meaning in MEANINGS.items():
        if marked := [score.task for score in scores if score.mark == mark and score.validation]:
            yield f"{STAR} {meaning}: {', '.join(one_line(task).plain for task in marked)}"
    if tested := [score for score in scores if score.test]:
        rows = (f"{one_line(score.task).plain} {_rows(score)}" for score in tested)
        yield f"test, scored once: {', '.join(rows)}"
    yield from leaks(metrics)


def leaks(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Findings about rows that are scored and were trained on, too."""
    report = metrics.get("data_findings")
    for found in report.get("found", ()) if isinstance(report, dict) else ():
        if found.get("problem") == "overlap":
            rows = f"{found['rows']:,} of {found['of']:,} {found['split']} rows are also in {found['against']}"
            yield f"{one_line(found['task']).plain}: {rows}, so scores on them are too high"


def _rows(score: TaskScores) -> str:
    rows = "" if score.test_rows is None else counted(score.test_rows, "row")
    return rows if score.test_split in ("", "test") else f"{rows} of {one_line(score.test_split).plain}"


def summary_lines(metrics: Mapping[str, Any]) -> list[str]:
    """The same in one line per task, for logs."""
    scores = scores_of(metrics)
    lines = [_line(score, metrics) for score in scores if score.validation or score.test or score.change]
    return [*lines, *leaks(metrics)] if lines else []


def _line(score: TaskScores, metrics: Mapping[str, Any]) -> str:
    parts = []
    if score.validation:
        mark = f", {score.mark.replace('_', ' ')}" if score.mark else ""
        parts.append(f"validation {_with_interval(score, score.validation, figure)}{mark}")
    if score.test:
        parts.append(f"test {_with_interval(score, score.test, figure)} on {_rows(score)}")
    if score.change:
        change = _with_interval(score, score.change, _signed)
        parts.append(f"change from the start {change} {unit_of(score.metric) or number(None)}")
    if score.epoch is not None:
        parts.append(f"best epoch {epoch_cell(score, metrics.get('best_epoch'))}")
    return f"{one_line(score.task).plain}: {metric_title(score.metric)}: {'; '.join(parts)}"


def _with_interval(score: TaskScores, estimate: Estimate, write: Write) -> str:
    value = write(estimate.value, score.metric)
    if estimate.interval is None:
        return value
    low, high = (write(end, score.metric) for end in estimate.interval)
    return f"{value} (95 %: {low} to {high})"
