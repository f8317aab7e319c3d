"""The comparison of multi-task with single-task training, as a table and messages."""

from __future__ import annotations

from rich.console import Group, RenderableType

from mtlkit.evaluation.intervals import Interval
from mtlkit.evaluation.sharing import SharingReport, TaskSharing, mean
from mtlkit.report.columns import LEAST_NAME, narrow, taken
from mtlkit.report.tables import figure, metric_title, points, titled, unit_of
from mtlkit.report.text import literal, printable

OVER_ROWS, OVER_SEEDS = "95 %\nof texts", "95 %\nof seeds"  # titles of intervals over texts and over seeds


def sharing_tables(report: SharingReport, width: int) -> list[RenderableType]:
    """A table with a row per task, and an explanation of its last column. If `width` is too small, names are truncated and the
    intervals over seeds omitted; the messages have them.
    """
    names = {"task": [task.task for task in report.tasks], "metric": [metric_title(task.metric) for task in report.tasks]}
    needed = min(LEAST_NAME, max(map(len, ["task", *names["task"]]))) + max(map(len, ["metric", *names["metric"]])) + 4
    columns = figure_columns(report)
    if taken(columns) + needed > width:
        columns = [column for column in columns if column[0] != OVER_SEEDS]
    several = f", means over {len(report.seeds)} seeds" if len(report.seeds) > 1 else ""
    table: Group = titled(f"Multi-task vs. single-task{several} (gain in points)", narrow(names, columns, width))
    return [table, literal(f"p: {tests_in_words(report)}", "dim")]


def figure_columns(report: SharingReport) -> list[list[str]]:
    """The columns of numbers, each with its title first."""
    tasks = report.tasks
    columns = [
        ["together", *(figure(mean(task.together), task.metric) for task in tasks)],
        ["alone", *(figure(mean(task.alone), task.metric) for task in tasks)],
        ["gain", *(points(task.difference) for task in tasks)],
        [OVER_ROWS, *(span(task.interval) for task in tasks)],
        ["p", *(chance(task.holm) for task in tasks)],
    ]
    if len(report.seeds) > 1:
        columns.insert(4, [OVER_SEEDS, *(span(task.over_seeds) for task in tasks)])
    return columns


def span(interval: Interval | None) -> str:
    return "-" if interval is None else "..".join(map(points, interval.ends))


def chance(p: float) -> str:
    """A p value with two significant digits."""
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def tests_in_words(report: SharingReport) -> str:
    """The tests behind the p values of the table."""
    kinds = {bool(task.only_together) for task in report.tasks}
    names = {True: "McNemar's exact test", False: "a paired permutation test"}
    tests = [name for is_exact, name in names.items() if is_exact in kinds]
    several = f", Holm-adjusted for {len(report.tasks)} tasks" if len(report.tasks) > 1 else ""
    seed = f" of the run itself, seed {report.seeds[0]}" if len(report.seeds) > 1 else ""
    return f"{' or '.join(tests)}{seed}{several}"


def sharing_messages(report: SharingReport) -> list[str]:
    """A message on all tasks together, one per task, and reservations."""
    return [delta_words(report), *(task_words(task) for task in report.tasks), *reservations(report)]


def delta_words(report: SharingReport) -> str:
    if report.delta is None:
        return "Delta is undefined: trained alone, every task scores 0 or below with some seed"
    delta = f"Delta {signed(report.delta)} %"
    if report.interval is None:
        return f"{delta}, from one seed; --seeds 3 estimates how much seeds differ"
    low, high = map(signed, report.interval.ends)
    figures = f"{delta} (95 %: {low} to {high}, {len(report.seeds)} seeds)"
    if not report.beyond_noise:
        return f"no effect of sharing beyond noise: {figures}"
    return f"sharing {'helped' if report.delta > 0 else 'cost'}: {figures}"


def task_words(task: TaskSharing) -> str:
    name, unit, low_high = printable(task.task), unit_of(task.metric), " to ".join(map(points, task.interval.ends))
    p = f"p {chance(task.holm).replace('<', '< ')}" if task.holm < 0.001 else f"p = {chance(task.holm)}"
    seeds = "" if task.over_seeds is None else f"; over seeds {' to '.join(map(points, task.over_seeds.ends))}"
    figures = f"95 %: {low_high}{seeds}, {p}"
    if task.within_noise:
        return f"{name}: no difference beyond noise ({signed(task.difference)} {unit}, {figures})"
    if not task.beyond_noise:
        return f"{name}: unclear, the tests disagree ({signed(task.difference)} {unit}, {figures})"
    better = "better" if task.difference > 0 else "worse"
    texts = f"{task.rows:,} {task.split} text{'s' if task.rows > 1 else ''}"
    return f"{name} is {better} together by {points(abs(task.difference))} {unit} ({figures}) on {texts}"


def reservations(report: SharingReport) -> list[str]:
    """Messages on what limits the validity of the figures."""
    messages = [
        f"{printable(task.task)} has no test split: scored on its validation rows, which also chose the best epoch"
        for task in report.tasks
        if task.split != "test"
    ]
    if report.left_out and report.delta is not None:
        left_out = ", ".join(map(printable, report.left_out))
        messages.append(
            f"Delta leaves out {left_out}: trained alone it scores 0 or below with some seed, so a relative change is undefined"
        )
    return messages


def signed(value: float) -> str:
    """A change x 100 with its sign."""
    text = points(value)
    return text if value <= 0 or text in ("0.0", "-") else f"+{text}"
