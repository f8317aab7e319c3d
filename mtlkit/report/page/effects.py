"""What a training did to tasks, from the reports in the record of a run: forgetting, and multi-task vs. single-task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mtlkit.report.info_model import WORDS
from mtlkit.report.page.blocks import Block, Section, Shade, columns
from mtlkit.report.page.chart import GRID, INK, WIDE, Chart, Tips
from mtlkit.report.plots import MARKERS, OTHERS, TRAIN, VALIDATION
from mtlkit.report.tables import figure, metric_title, number, points
from mtlkit.report.text import printable
from mtlkit.report.training.forgetting import distance
from mtlkit.report.training.sharing import chance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FULL = 0.2  # change of a score that a cell is coloured strongest for
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError)  # of a report that another version wrote
Ends = tuple[float, float] | None


def of_report(metrics: Mapping[str, Any], name: str, title: str, make: Callable[[Mapping[str, Any]], Section]) -> Section | None:
    """The section of a report in the metrics of a run; only its sentences if its figures are not as this version writes them."""
    report = metrics.get(name)
    if not isinstance(report, Mapping):
        return None
    try:
        return make(report)
    except UNREADABLE:
        lines = sentences(report)
        return Section(title, lines) if lines else None


def sentences(report: Mapping[str, Any]) -> tuple[str, ...]:
    """The sentences that are stored with a report."""
    words = report.get(WORDS)
    return tuple(printable(str(text)) for text in words) if isinstance(words, list) else ()


def forgetting_section(report: Mapping[str, Any]) -> Section:
    """Scores of all tasks at every stage, and how those of the starting model changed."""
    stages, metrics = [str(stage) for stage in report["stages"]], report["metrics"]
    rows = tuple(
        (printable(task), metric_title(metrics[task]), *stage_cells(values, metrics[task]))
        for task, values in report["matrix"].items()
    )
    note = "Cells are coloured by the change since the first score."
    matrix = Block("Validation scores at every stage", columns("task", "metric", *stages, numbers=stages), rows, note)
    tables, charts = [matrix], [stage_chart(stages, report["matrix"], metrics)]
    if changes := report["changes"]:
        tables.append(change_block(changes))
        names = [printable(change["task"]) for change in changes]
        effects = [(change["change"], ends_of(change["interval"])) for change in changes]
        text = "Change of each known task in points, with 95 % intervals"
        charts.append(interval_chart("forgetting-change", "Change of the known tasks", text, names, effects))
    tables.append(distance_block(report["distances"]))
    title = "Effect on existing tasks" if changes else "Every stage of the training"
    return Section(title, sentences(report), tuple(charts), tuple(tables))


def stage_cells(values: Sequence[float | None], metric: str) -> list[str]:
    """The scores of a task, each coloured by its change since the first."""
    first = next((value for value in values if value is not None), 0.0)
    return [
        figure(value, metric) if value is None else Shade.of(figure(value, metric), (value - first) / FULL) for value in values
    ]


def change_block(changes: Sequence[Mapping[str, Any]]) -> Block:
    """A row per known task: before and after, the change with its interval, and the class whose recall fell most."""
    rows = []
    for change in changes:
        metric, fallen = change["metric"], change.get("fallen")
        scores = [figure(change[name], metric) for name in ("before", "best", "after")]
        lost = f"{printable(fallen['label'])}: {100 * fallen['before']:.1f} to {100 * fallen['after']:.1f}" if fallen else "-"
        value = change["change"]
        cell = number(None) if value is None else Shade.of(signed(value), value / FULL)
        rows.append((printable(change["task"]), *scores, cell, span(ends_of(change["interval"])), f"{change['rows']:,}", lost))
    numbers = ("before", "best", "after", "change", "95 %", "rows")
    titles = columns("task", *numbers, "recall that fell most", numbers=numbers, long=["recall that fell most"])
    note = "Intervals are of paired differences on the same rows (bootstrap)."
    return Block("Tasks of the starting model, change in points", titles, tuple(rows), note)


def distance_block(distances: Mapping[str, float | None]) -> Block:
    """How far the weights of each part moved."""
    most = max((value for value in distances.values() if value), default=1.0)
    rows = tuple((part, Shade.of(distance(value), (value or 0.0) / most / 2)) for part, value in distances.items())
    return Block("How far the weights moved, |w - w0| / |w0|", columns("part", "distance", numbers=["distance"]), rows)


def stage_chart(stages: Sequence[str], matrix: Mapping[str, Sequence[float | None]], metrics: Mapping[str, str]) -> Chart:
    """A line per task over the stages."""

    def draw(drawing: Figure, tips: Tips) -> None:
        axes = drawing.add_subplot()
        colours = (TRAIN, VALIDATION, *OTHERS[:4])
        for index, (task, values) in enumerate(matrix.items()):
            known = [(place, value) for place, value in enumerate(values) if value is not None]
            places, scores = [place for place, _ in known], [value for _, value in known]
            colour, marker = colours[index % len(colours)], MARKERS[index % len(MARKERS)]
            axes.plot(places, scores, color=colour, marker=marker, markersize=4, label=printable(task))
            name = f"{printable(task)}, {metric_title(metrics[task])}"
            tips.points(axes, known, [f"{stages[place]}: {name} {figure(value, metrics[task])}" for place, value in known])
        every = -(-len(stages) // 7)
        axes.set_xticks(range(len(stages))[::every], [stage.replace("epoch ", "") for stage in stages[::every]])
        axes.set(xlabel="epoch", ylabel="validation score (1 is best)")
        axes.legend(loc="best", fontsize="small")

    text = f"Validation score of {', '.join(map(printable, matrix))} at each of {len(stages)} stages"
    return Chart("forgetting", "Scores at every stage", text, draw)


def sharing_section(report: Mapping[str, Any]) -> Section:
    """Each task trained together with the others and alone."""
    tasks, seeds = report["tasks"], report["seeds"]
    rows = []
    for task in tasks:
        metric, gain = task["metric"], task["difference"]
        means = [figure(_mean(task[side]), metric) for side in ("together", "alone")]
        over_seeds = [span(ends_of(task["over_seeds"]))] if len(seeds) > 1 else []
        cell = Shade.of(signed(gain), (gain or 0.0) / FULL)
        ends = span(ends_of(task["interval"]))
        rows.append((printable(task["task"]), metric_title(metric), *means, cell, ends, *over_seeds, chance(task["holm"])))
    numbers = ("together", "alone", "gain", "95 % of texts", *(["95 % of seeds"] if len(seeds) > 1 else []), "p")
    several = f", means over {len(seeds)} seeds" if len(seeds) > 1 else ""
    block = Block(f"Gain in points{several}", columns("task", "metric", *numbers, numbers=numbers), tuple(rows))
    names = [printable(task["task"]) for task in tasks]
    effects = [(task["difference"], ends_of(task["interval"])) for task in tasks]
    text = "Gain of training each task together with the others, in points, with 95 % intervals"
    chart = interval_chart("multi-task", "Gain by training tasks together", text, names, effects)
    note = "p: equality of both models on the same rows (McNemar or permutation), adjusted for the number of tasks (Holm)."
    return Section("Multi-task vs. single-task", sentences(report), (chart,), (block,), note)


def interval_chart(name: str, title: str, text: str, names: Sequence[str], effects: Sequence[tuple[float | None, Ends]]) -> Chart:
    """A point with its interval per task, and a line at zero. Gains and losses differ in colour and in shape."""
    known = [(label, value, ends) for label, (value, ends) in zip(names, effects, strict=True) if value is not None]
    words = [f"{label} {signed(value)} ({span(ends, ' to ')})" for label, value, ends in known]
    size = (WIDE[0], 1.1 + 0.36 * max(1, len(known)))
    return Chart(name, title, f"{text}: {', '.join(words)}", partial(_draw_intervals, known=known, words=words), size)


def _draw_intervals(drawing: Figure, tips: Tips, known: Sequence[tuple[str, float, Ends]], words: list[str]) -> None:
    axes = drawing.add_subplot()
    axes.axvline(0, color=INK, linewidth=1)
    for row, (_, value, ends) in enumerate(known):
        worse = value < 0
        colour = VALIDATION if worse else TRAIN
        if ends is not None:
            axes.plot([100 * end for end in ends], [row, row], color=colour, linewidth=3, solid_capstyle="butt", alpha=0.55)
        axes.plot([100 * value], [row], marker="v" if worse else "o", color=colour, markersize=8)
    tips.points(axes, [(100 * value, row) for row, (_, value, _) in enumerate(known)], words)
    axes.set_yticks(range(len(known)), [label for label, _, _ in known])
    axes.set(ylim=(len(known) - 0.5, -0.5), xlabel="points")
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def ends_of(interval: Any) -> Ends:
    """The ends of an interval as it is stored; None if it is undefined."""
    return None if interval is None else (float(interval[0]), float(interval[1]))


def span(ends: Ends, between: str = "..") -> str:
    """An interval of a change in points."""
    return number(None) if ends is None else between.join(map(points, ends))


def signed(value: float | None) -> str:
    """A change in points with its sign."""
    if value is None:
        return number(None)
    text = points(value)
    return f"+{text}" if value > 0 and text != "0.0" else text


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
