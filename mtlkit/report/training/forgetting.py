"""The forgetting report as tables and messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType

from mtlkit.errors import shorten
from mtlkit.evaluation.forgetting import ForgettingReport, TaskChange
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.report.columns import LEAST_NAME, fitting, narrow
from mtlkit.report.tables import figure, metric_title, number, points, titled, unit_of
from mtlkit.report.text import printable

BAR = 24


def forgetting_tables(report: ForgettingReport, width: int, *, whole: bool = True) -> list[RenderableType]:
    """A table of the classes whose recall fell most. The `whole` report also has the scores at every stage, the effect on
    existing tasks, which the summary of a training has otherwise, and the distances of the weights. If `width` is too small,
    names are truncated and stages in the middle omitted.
    """
    tables: list[RenderableType] = [stage_table(report, width)] if whole else []
    if report.changes and whole:
        tables.append(change_table(report.changes, width))
    if any(change.fallen for change in report.changes):
        tables.append(fallen_table(report.changes, width))
    return [*tables, *([distance_table(report.distances, width)] if whole else [])]


def stage_table(report: ForgettingReport, width: int) -> Group:
    """A row per task and a column per stage."""
    names = {"task": list(report.matrix), "metric": [metric_title(metric) for metric in report.metrics.values()]}
    stages = [
        [stage.replace(" ", "\n"), *(figure(values[index], report.metrics[task]) for task, values in report.matrix.items())]
        for index, stage in enumerate(report.stages)
    ]
    longest, metric = (max(map(len, [title, *cells])) for title, cells in names.items())
    stages = fitting(stages, width - min(longest, LEAST_NAME) - metric - 4)
    shares = list(dict.fromkeys(metric for metric in report.metrics.values() if all_metrics()[metric].share))
    scaled = f" ({' and '.join(map(metric_title, shares))} x 100)" if shares else ""
    return titled(f"Validation rows at every stage{scaled}", narrow(names, stages, width))


def change_table(changes: Sequence[TaskChange], width: int) -> Group:
    """A row per existing task: its main metric before, at its best and after, and the change with its interval in points."""
    rows = [change_figures(change) for change in changes]
    titles = ("before", "best", "after", "change", "95 % interval", "texts")
    figures = [list(column) for column in zip(titles, *rows, strict=True)]
    table = narrow({"task": [change.task for change in changes]}, figures, width)
    return titled("Effect on existing tasks (change in points)", table)


def change_figures(change: TaskChange) -> list[str]:
    values = [figure(value, change.metric) for value in (change.before, change.best, change.after)]
    return [*values, points(change.change), "..".join(map(points, change.interval.ends)), f"{change.rows:,}"]


def fallen_table(changes: Sequence[TaskChange], width: int) -> Group:
    """A row per task with the class whose recall fell most."""
    rows = [(change.task, change.fallen) for change in changes if change.fallen]
    names = {"task": [task for task, _ in rows], "class": [fall.label for _, fall in rows]}
    figures = [
        ["before", *(number(100 * fall.before, 1) for _, fall in rows)],
        ["after", *(number(100 * fall.after, 1) for _, fall in rows)],
        ["texts", *(f"{fall.support:,}" for _, fall in rows)],
    ]
    return titled("Classes whose recall fell most (x 100)", narrow(names, figures, width))


def distance_table(distances: Mapping[str, float | None], width: int) -> Group:
    """A row per part: the relative distance of its weights from the starting model, as a number and as a bar."""
    most = max((value for value in distances.values() if value), default=1.0)
    bars = ["█" * round(BAR * (value or 0.0) / most) for value in distances.values()]
    figures = [["distance", *map(distance, distances.values())], ["", *bars]]
    table = narrow({"part": list(distances)}, figures, width)
    table.columns[-1].justify = "left"
    return titled("How far the weights moved, |w - w0| / |w0|", table)


def distance(value: float | None) -> str:
    """A distance with four decimals, or in scientific notation if it is smaller; "0" if nothing changed, a dash if undefined."""
    return number(value, 4) if value is None or value >= 0.00005 else f"{value:.0e}" if value else "0"


def forgetting_messages(report: ForgettingReport) -> list[str]:
    """A message per existing task, one on all of them if there are several, and one on the vectors."""
    return [*(task_words(change) for change in report.changes), *transfer_words(report), *cosine_words(report)]


def loss_messages(report: ForgettingReport) -> list[str]:
    """What the summary of a training does not say: which texts the losses are on, the mean of all changes, and how much vectors
    moved."""
    lost = [change for change in report.changes if change.interval.high < 0]
    pairs = [f"{printable(change.task)}: {pair_words(change).removeprefix('; ')}" for change in lost if change.pair]
    return [*pairs, *transfer_words(report), *cosine_words(report)]


def transfer_words(report: ForgettingReport) -> list[str]:
    """The message on the mean change, if there are several tasks."""
    if len(report.changes) < 2 or report.backward_transfer is None:
        return []
    mean = f"{'+' if report.backward_transfer > 0 else ''}{points(report.backward_transfer)}"
    return [f"backward transfer, the mean change of the {len(report.changes)} known tasks: {mean} points"]


def task_words(change: TaskChange) -> str:
    name, unit, (low, high) = printable(change.task), unit_of(change.metric), change.interval.ends
    if change.change == low == high == 0:
        return f"{name} is unchanged"
    if change.interval.holds_zero:
        return f"{name}: no change beyond noise ({points(change.change)} {unit}, 95 %: {points(low)} to {points(high)})"
    texts = "1 validation text" if change.rows == 1 else f"{change.rows:,} validation texts"
    if low > 0:
        return f"{name} gained {points(change.change)} {unit} (95 %: {points(low)} to {points(high)}) on {texts}"
    lost = f"{name} lost {points(-change.change)} {unit} (95 %: {points(-high)} to {points(-low)}) on {texts}"
    return f"{lost}{pair_words(change)}"


def pair_words(change: TaskChange) -> str:
    """The most frequent new confusion, as a part of a message; empty if there is none."""
    if change.pair is None:
        return ""
    true, predicted = (shorten(printable(label), 40) for label in (change.pair.true, change.pair.predicted))
    share = f"{change.pair.share:.0%}".replace("%", " %")
    much = "most of the errors are" if change.pair.share > 0.5 else f"the largest part of the errors ({share}) is"
    return f"; {much} {true} predicted as {predicted}"


def cosine_words(report: ForgettingReport) -> list[str]:
    """The message on the vectors of the probe texts, if there are any."""
    if report.cosine_mean is None:
        return []
    mean, least = number(report.cosine_mean, 4), number(report.cosine_least, 4)
    return [f"cosine of the vectors of {report.probes} probe texts with those of the start: {mean} on average, minimum {least}"]
