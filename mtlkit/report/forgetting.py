"""The forgetting report as tables and in words. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from mtlkit.report.embedding_tables import compact_table
from mtlkit.report.tables import METRICS, number, titled
from mtlkit.report.text import one_line, printable, shorten
from mtlkit.training.forgetting import ForgettingReport, TaskChange

LEAST_NAME = 16  # columns for the name of a task before stages are left out
BAR = 24
UNITS = {"accuracy": "points", "macro_f1": "points of macro-F1", "spearman": "points of Spearman's correlation x 100"}


def forgetting_tables(report: ForgettingReport, width: int) -> list[RenderableType]:
    """Tasks at every stage, what became of the known ones, how far each part moved.
    Where `width` is too little, names are cut and stages in the middle left out; never a figure."""
    found: list[RenderableType] = [stage_table(report, width)]
    if report.changes:
        found.append(change_table(report.changes, width))
    if any(change.fallen for change in report.changes):
        found.append(fallen_table(report.changes, width))
    return [*found, distance_table(report.distances, width)]


def stage_table(report: ForgettingReport, width: int) -> Group:
    """A row a task, a column a stage."""
    names = {"task": list(report.matrix), "metric": [METRICS[metric] for metric in report.metrics.values()]}
    stages = [
        [stage.replace(" ", "\n"), *(figure(values[place], report.metrics[task]) for task, values in report.matrix.items())]
        for place, stage in enumerate(report.stages)
    ]
    longest, metric = (max(map(len, [title, *cells])) for title, cells in names.items())
    stages = fitting(stages, width - min(longest, LEAST_NAME) - metric - 4)
    scaled = " (accuracy and macro-F1 x 100)" if set(report.metrics.values()) != {"spearman"} else ""
    return titled(f"Validation rows at every stage{scaled}", narrow(names, stages, width))


def change_table(changes: Sequence[TaskChange], width: int) -> Group:
    """A row a known task: its main metric before, at its best and after, and the change with its interval in points."""
    rows = [change_figures(change) for change in changes]
    titles = ("before", "best", "after", "change", "95 % interval", "texts")
    figures = [list(column) for column in zip(titles, *rows, strict=True)]
    table = narrow({"task": [change.task for change in changes]}, figures, width)
    return titled("What became of the tasks that the start knew (change in points)", table)


def change_figures(change: TaskChange) -> list[str]:
    values = [figure(value, change.metric) for value in (change.before, change.best, change.after)]
    return [*values, points(change.change), "..".join(map(points, change.interval.to_json())), f"{change.rows:,}"]


def fallen_table(changes: Sequence[TaskChange], width: int) -> Group:
    """A row a task: the class whose recall fell most."""
    rows = [(change.task, change.fallen) for change in changes if change.fallen]
    names = {"task": [task for task, _ in rows], "class": [fall.label for _, fall in rows]}
    figures = [
        ["before", *(number(100 * fall.before, 1) for _, fall in rows)],
        ["after", *(number(100 * fall.after, 1) for _, fall in rows)],
        ["texts", *(f"{fall.support:,}" for _, fall in rows)],
    ]
    return titled("Classes whose recall fell most (x 100)", narrow(names, figures, width))


def distance_table(distances: Mapping[str, float | None], width: int) -> Group:
    """A row a part: the relative distance of its weights from the start, as a figure and as a bar."""
    most = max((value for value in distances.values() if value), default=1.0)
    bars = ["█" * round(BAR * (value or 0.0) / most) for value in distances.values()]
    figures = [["distance", *map(distance, distances.values())], ["", *bars]]
    table = narrow({"part": list(distances)}, figures, width)
    table.columns[-1].justify = "left"
    return titled("How far the weights moved, |w - w0| / |w0|", table)


def distance(value: float | None) -> str:
    """Four decimals; of what is smaller its power of ten; nothing moved is 0, from all zeros there is no relative distance."""
    return number(value, 4) if value is None or value >= 0.00005 else f"{value:.0e}" if value else "0"


def figure(value: float | None, metric: str) -> str:
    """A metric in a table: accuracy and macro-F1 x 100 with one decimal, a correlation with three."""
    return number(value, 3) if value is None or metric == "spearman" else number(100 * value, 1)


def points(value: float) -> str:
    """A change x 100 with one decimal; with more of them where it would vanish."""
    value *= 100
    if 0.0005 <= abs(value) < 0.05:
        return f"{value:.1g}"
    return number(round(value, 1) + 0.0, 1)  # -0.0 + 0.0 is 0.0


def narrow(names: Mapping[str, Sequence[str]], figures: Sequence[Sequence[str]], width: int) -> Table:
    """A table of names by their title, then of columns of figures, each below its title. Names share the room that figures
    leave and are cut where it is too little; the shorter ones last."""
    table = compact_table()
    room = width - taken(figures) - 2 * len(names)
    texts = {title: [one_line(cell) for cell in cells] for title, cells in names.items()}
    longest = {title: max([len(title), *(cell.cell_len for cell in cells)]) for title, cells in texts.items()}
    widths = {}
    for place, title in enumerate(sorted(longest, key=longest.__getitem__)):
        widths[title] = max(4, min(longest[title], room // (len(names) - place)))
        room -= widths[title]
    for title in names:
        table.add_column(title, max_width=widths[title], overflow="ellipsis", no_wrap=True)
    for title, *_ in figures:
        table.add_column(title, justify="right", no_wrap=True)
    for row in zip(*texts.values(), *(column[1:] for column in figures), strict=True):
        table.add_row(*row)
    return table


def taken(figures: Sequence[Sequence[str]]) -> int:
    """Letters that columns of figures take of a line, with what stands between them."""
    return sum(2 + max(len(line) for cell in column for line in cell.split("\n")) for column in figures)


def fitting(columns: list[list[str]], width: int) -> list[list[str]]:
    """All columns where they fit, else the first, an ellipsis, and as many of the last as do."""
    shown = columns
    for start in range(2, len(columns)):
        if taken(shown) <= width:
            break
        shown = [columns[0], ["…"] * len(columns[0]), *columns[start:]]
    return shown


def in_words(report: ForgettingReport) -> list[str]:
    """A sentence a known task, one on all of them together where there are several, and one on the vectors."""
    found = [task_words(change) for change in report.changes]
    if len(report.changes) > 1 and report.backward_transfer is not None:
        mean = points(report.backward_transfer)
        found.append(f"backward transfer, the mean change of the {len(report.changes)} known tasks: {mean} points")
    return found + cosine_words(report)


def task_words(change: TaskChange) -> str:
    name, unit, (low, high) = printable(change.task), UNITS[change.metric], change.interval.to_json()
    if change.change == low == high == 0:
        return f"{name} is unchanged"
    if change.interval.holds_zero:
        return f"{name}: no change beyond noise ({points(change.change)} {unit}, 95 %: {points(low)} to {points(high)})"
    texts = "1 validation text" if change.rows == 1 else f"{change.rows:,} validation texts"
    if change.change > 0:
        return f"{name} gained {points(change.change)} {unit} (95 %: {points(low)} to {points(high)}) on {texts}"
    lost = f"{name} lost {points(-change.change)} {unit} (95 %: {points(-high)} to {points(-low)}) on {texts}"
    return f"{lost}{pair_words(change)}"


def pair_words(change: TaskChange) -> str:
    """Where most of what turned wrong went."""
    if change.pair is None:
        return ""
    true, predicted = (shorten(printable(label), 40) for label in (change.pair.true, change.pair.predicted))
    much = "most of it" if change.pair.share > 0.5 else f"the largest part of it ({change.pair.share:.0%})".replace("%", " %")
    return f"; {much} is {true} read as {predicted}"


def cosine_words(report: ForgettingReport) -> list[str]:
    """The sentence on the vectors of the probe texts; none where there were no such texts."""
    if report.cosine_mean is None:
        return []
    mean, least = number(report.cosine_mean, 4), number(report.cosine_least, 4)
    return [f"cosine of the vectors of {report.probes} probe texts with those of the start: {mean} on average, {least} at least"]
