"""What the benchmarks share: options, the description of the machine, alternating rounds and their summary.

Imports nothing heavy: `startup.py` measures processes, and a child's peak memory is never below its parent's size.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import median


@dataclass(frozen=True)
class Measure:
    """One run: the figure that is compared, by the clock and by CPU time, and others worth seeing, by name."""

    value: float
    by_cpu: float
    others: dict[str, float] = field(default_factory=dict)


class Stopwatch:
    """Runs from where it is made."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def rate(self, amount: int, **others: float) -> Measure:
        """`amount` per second since the start."""
        return Measure(amount / (time.perf_counter() - self._clock), amount / (time.process_time() - self._cpu), others)


@dataclass(frozen=True)
class Side:
    """What one column of the comparison runs, and its name."""

    name: str
    run: Callable[[], Measure]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=positive, default=5, help="runs of each side, in turn (default: %(default)s)")
    made.add_argument("--threads", type=positive, default=2, help="threads of PyTorch (default: %(default)s)")
    return made


def positive(text: str) -> int:
    """A whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def describe(packages: Sequence[str], threads: int) -> None:
    """Prints what the figures were measured with and on."""
    print(f"{platform.system()} {platform.machine()}, cores: {os.cpu_count()}, threads: {threads}")
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in ("mtlkit", *packages)))


def compare(ours: Side, theirs: Side, rounds: int, unit: str) -> None:
    """Runs both sides in turn and prints every round, then medians and the ratio ours / theirs.

    The side that begins changes from round to round, so that a machine that slows down or speeds up favours neither.
    """
    pairs: list[tuple[Measure, Measure]] = []
    for number in range(1, rounds + 1):
        if number % 2:
            first = ours.run()
            pairs.append((first, theirs.run()))
        else:
            first = theirs.run()
            pairs.append((ours.run(), first))
        _print_row(f"round {number}", ours, theirs, *pairs[-1], unit)
    mine, peer = [one for one, _ in pairs], [one for _, one in pairs]
    _print_row("median", ours, theirs, _middle(mine), _middle(peer), unit)
    print(f"ratio {ours.name} / {theirs.name}, round by round:")
    _print_ratios("by the clock", [(one.value, other.value) for one, other in pairs])
    _print_ratios("by CPU time", [(one.by_cpu, other.by_cpu) for one, other in pairs])


def _print_ratios(label: str, pairs: Sequence[tuple[float, float]]) -> None:
    ratios = [one / other for one, other in pairs]
    of_medians = median(one for one, _ in pairs) / median(other for _, other in pairs)
    print(f"  {label}: median {median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}; of the medians {of_medians:.2f}")


def _middle(measures: Sequence[Measure]) -> Measure:
    others = {name: median(one.others[name] for one in measures) for name in measures[0].others}
    return Measure(median(one.value for one in measures), median(one.by_cpu for one in measures), others)


def _print_row(label: str, ours: Side, theirs: Side, mine: Measure, peer: Measure, unit: str) -> None:
    cells = [f"{side.name} {_figures(one, unit)}" for side, one in ((ours, mine), (theirs, peer))]
    print(f"{label:<8} {cells[0]}   {cells[1]}   ratio {mine.value / peer.value:.2f}", flush=True)


def _figures(measure: Measure, unit: str) -> str:
    figures = {"by CPU": measure.by_cpu, **measure.others}
    others = ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in figures.items())
    return f"{_short(measure.value)} {unit} ({others})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
