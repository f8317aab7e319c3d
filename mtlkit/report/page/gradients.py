"""Gradients of a training by part of the model: their norms, and how far those of the tasks agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import log10
from typing import TYPE_CHECKING

import numpy as np

from mtlkit.errors import counted
from mtlkit.report.page.blocks import Block, Section, Shade, columns
from mtlkit.report.page.chart import WIDE, Chart, Tips
from mtlkit.report.tables import number
from mtlkit.report.text import printable
from mtlkit.report.training.tracking import percent, scientific, tracking_messages
from mtlkit.training.diagnostics.gradient_stats import WHOLE, PairSummary, TaskConflict, TrackedStep, TrackingSummary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Grid = dict[str, list[float | None]]  # by part: a value per column

LEAST_STEPS, MOST_COLUMNS = 3, 24  # tracked steps that make a picture, and columns of it; more steps are averaged
MOST_PAIRS = 3  # pairs of tasks up to which a table has columns for each
NORMS, COSINES = "cividis", "PuOr"  # colours that colour-blind readers tell apart
COLOURS = 24  # of a scale; matplotlib would draw many as an image of pixels
LEAST_COSINE = 0.1  # end of the scale of cosines


def gradient_section(tracked: Mapping[int, TrackedStep]) -> Section | None:
    """Tables of all tracked steps together, and pictures over the steps; None if no step was tracked."""
    if not tracked:
        return None
    summary = summarise(list(tracked.values()), 0.0, 0.0)
    charts: list[Chart] = []
    if len(tracked) >= LEAST_STEPS:
        charts.append(norm_chart(tracked))
        if grid := cosine_grid(tracked, summary.pairs):
            charts.append(cosine_chart(list(tracked), grid))
    note = (
        "A cosine below 0: a step for one task raises the loss of the other. Magnitudes are 1 if both gradients are equally long."
    )
    tables = [part_block(summary)]
    if len(summary.pairs) > MOST_PAIRS:
        tables.append(pair_block(summary.pairs))
    steps = f"Means over {counted(len(tracked), 'tracked step')}, before clipping."
    lines = (steps, *tracking_messages(summary))
    return Section("Gradients", lines, tuple(charts), tuple(tables), note if summary.pairs else "")


def part_block(summary: TrackingSummary) -> Block:
    """A row per part: norm, update-to-weight ratio, and the agreement of tasks if there are few."""
    pairs = summary.pairs if len(summary.pairs) <= MOST_PAIRS else ()
    titles = ["gradient norm", "update/weight"]
    for pair in pairs:
        name = ", ".join(map(printable, pair.tasks)) if len(pairs) > 1 else ""
        titles += [f"{name}{': ' if name else ''}{title}" for title in ("cosine", "conflicting steps", "magnitudes")]
    most = max((log10(norm) for norm in summary.norms.values() if norm), default=0.0)
    parts = [*summary.norms, *([WHOLE] if pairs else [])]
    rows = []
    for part in parts:
        norm = summary.norms.get(part)
        cell = Shade.of(scientific(norm), 1 + (log10(norm) - most) / 3) if norm and log10(norm) > most - 3 else scientific(norm)
        cells = [cell, scientific(summary.ratios.get(part))]
        rows.append((part, *cells, *(text for pair in pairs for text in conflict_cells(pair.parts.get(part)))))
    return Block("Parts of the model", columns("part", *titles, numbers=titles), tuple(rows))


def pair_block(pairs: Sequence[PairSummary]) -> Block:
    """A row per pair of tasks: its agreement over the whole backbone, and the part with most conflicts."""
    numbers = ("cosine", "conflicting steps", "magnitudes")
    rows = ((", ".join(map(printable, pair.tasks)), *conflict_cells(pair.whole), pair.worst or "-") for pair in pairs)
    return Block(
        "Pairs of tasks, whole backbone", columns("tasks", *numbers, "most in", numbers=numbers), tuple(rows), sortable=True
    )


def conflict_cells(conflict: TaskConflict | None) -> tuple[str, str, str]:
    """Cosine, share of conflicting steps, and magnitude similarity."""
    if conflict is None:
        return "-", "-", "-"
    cosine = Shade.of(number(conflict.cosine, 3), conflict.cosine / 0.5)
    return cosine, percent(conflict.share), number(conflict.magnitude_similarity, 2)


def norm_chart(tracked: Mapping[int, TrackedStep]) -> Chart:
    """Gradient norms of each part over the steps, on a logarithmic scale."""
    parts = dict.fromkeys(part for step in tracked.values() for part, norm in step.norms.items() if norm)
    grid = {part: [step.norms.get(part) for step in tracked.values()] for part in parts}
    text = f"Gradient norm of {len(grid)} parts over {len(tracked)} tracked steps, between {' and '.join(_ends(grid))}"
    draw = partial(_draw_grid, steps=list(tracked), grid=grid, is_norm=True)
    return Chart("gradients", "Gradient norms by part", text, draw, _size(grid))


def cosine_grid(tracked: Mapping[int, TrackedStep], pairs: Sequence[PairSummary]) -> Grid:
    """Cosines by part for one pair of tasks; by pair, over the whole backbone, for several."""
    grid: Grid = {}
    for pair in pairs:
        parts = [part for part, conflict in pair.parts.items() if conflict] if len(pairs) == 1 else [WHOLE]
        for part in parts:
            name = part if len(pairs) == 1 else ", ".join(map(printable, pair.tasks))
            grid[name] = [_cosine(step, pair.tasks, part) for step in tracked.values()]
    return {name: values for name, values in grid.items() if any(value is not None for value in values)}


def _cosine(step: TrackedStep, tasks: tuple[str, str], part: str) -> float | None:
    own = next((pair.parts.get(part) for pair in step.pairs if pair.tasks == tasks), None)
    return None if own is None else own.cosine


def cosine_chart(steps: list[int], grid: Grid) -> Chart:
    """Cosines of the gradients of tasks over the steps."""
    text = f"Cosine between the gradients of tasks over {len(steps)} tracked steps, between {' and '.join(_ends(grid))}"
    draw = partial(_draw_grid, steps=steps, grid=grid, is_norm=False)
    return Chart("conflicts", "Agreement of the tasks' gradients (cosine)", text, draw, _size(grid))


def _size(grid: Grid) -> tuple[float, float]:
    return WIDE[0], 1.2 + 0.22 * max(4, len(grid))


def _ends(grid: Grid) -> list[str]:
    known = [value for values in grid.values() for value in values if value is not None]
    return [f"{end:.2g}" for end in (min(known, default=0.0), max(known, default=0.0))]


def _draw_grid(figure: Figure, tips: Tips, steps: list[int], grid: Grid, *, is_norm: bool) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize

    axes, binned = figure.add_subplot(), list(bins(len(steps)))
    means = np.array([[_mean(values[index] for index in own) for own in binned] for values in grid.values()])
    known = means[np.isfinite(means)]
    if is_norm:
        scale: Normalize = LogNorm(max(known.min(), known.max() / 1e6), known.max())
    else:
        most = max(LEAST_COSINE, float(np.abs(known).max()))
        scale = Normalize(-most, most)
    colours = colormaps[NORMS if is_norm else COSINES].resampled(COLOURS)
    mesh = axes.pcolormesh(np.ma.masked_invalid(means), cmap=colours, norm=scale, edgecolors="face", linewidth=0.3)
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, aspect=12, format="{x:g}")
    bar.outline.set_visible(False)
    bar.ax.tick_params(which="both", length=2)
    axes.set_yticks(np.arange(len(grid)) + 0.5, list(grid))
    axes.invert_yaxis()
    shown = range(0, len(binned), -(-len(binned) // 6))
    axes.set_xticks([place + 0.5 for place in shown], [f"{steps[binned[place][0]]:,}" for place in shown])
    axes.set_xlabel("step")
    axes.tick_params(length=0)
    names, places, texts = list(grid), [], []
    for (row, column), value in np.ndenumerate(means):
        if np.isfinite(value):
            first, last = steps[binned[column][0]], steps[binned[column][-1]]
            when = f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"
            places.append((column + 0.5, row + 0.5))
            texts.append(f"{names[row]}, {when}: {value:.2g}")
    tips.points(axes, places, texts)


def bins(count: int) -> Iterator[range]:
    """Ranges of indices, at most MOST_COLUMNS, of about the same length."""
    size = -(-count // MOST_COLUMNS)
    for first in range(0, count, size):
        yield range(first, min(count, first + size))


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")
