"""The tables of `few_shot.py`."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import mean, variance
from typing import Any

Result = dict[str, Any]
Cells = dict[str, dict[int, Result]]  # by set, by seed


def print_report(results: Sequence[Result], sides: Sequence[str]) -> None:
    """Accuracy and CPU seconds of each set (mean over seeds), and the differences between the first side and the others."""
    start_up = {result["side"]: result["cpu"] for result in results if result["set"] == "start-up"}
    cells: dict[str, Cells] = {side: {} for side in sides}
    for result in results:
        if result["set"] != "start-up":
            cells[result["side"]].setdefault(result["set"], {})[result["seed"]] = result
    for figure, unit in (("accuracy", "%"), ("cpu", "CPU s")):
        print(f"\n{unit:<16}" + "".join(f"{side:>10}" for side in sides))
        for name in cells[sides[0]]:
            print(f"{name:<16}" + "".join(f"{mean(_figures(cells[side][name], figure)):>10.1f}" for side in sides))
        print(f"{'mean':<16}" + "".join(f"{_mean(cells[side], figure):>10.1f}" for side in sides))
    print(f"{'start-up':<16}" + "".join(f"{start_up[side]:>10.1f}" for side in sides))
    first = sides[0]
    for other in sides[1:]:
        low, middle, high = difference(cells[first], cells[other])
        print(f"\n{first} - {other}: {middle:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})")
        ours, theirs = _mean(cells[first], "cpu"), _mean(cells[other], "cpu")
        without = (ours - start_up[first]) / (theirs - start_up[other])
        print(f"CPU time, {first} / {other}: {ours / theirs:.2f}; without start-up {without:.2f}")


def difference(ours: Cells, theirs: Cells) -> tuple[float, float, float]:
    """The mean difference of accuracy and its 95 % interval: for these sets, over draws of training rows.

    By the normal distribution, with the variance of the differences in each set; sets count alike.
    """
    gaps = {name: [one["accuracy"] - theirs[name][seed]["accuracy"] for seed, one in ours[name].items()] for name in ours}
    middle = mean(map(mean, gaps.values()))
    spread = [variance(values) / len(values) if len(values) > 1 else float("nan") for values in gaps.values()]
    error = 1.96 * sqrt(sum(spread)) / len(gaps)
    return middle - error, middle, middle + error


def _figures(cells: dict[int, Result], figure: str) -> list[float]:
    return [result[figure] for result in cells.values()]


def _mean(cells: Cells, figure: str) -> float:
    """Sets count alike."""
    return mean(mean(_figures(seeds, figure)) for seeds in cells.values())
