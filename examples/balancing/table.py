"""What each schedule and each balance brings, on data of your own: the tables of examples/README.md.

    python examples/balancing/table.py --task topic=ag_news --rows 3000 --task sentiment=imdb --rows 1000 --seeds 3

Every way is trained from --init as a process of its own, all ways of a seed before the next seed; what is there already in --out
is not trained again, so other settings want another --out. Each seed begins with every task alone (`train-mtl --baselines`), and
all ways are held against that. `--rows` cuts the rows to train on, `--validation` and `--test` those to choose the best epoch by
and to score on, of each task. All ways see equally many texts: an epoch of a schedule that draws its tasks has as many batches as
one of `joint`. Options after `--` go to every training, such as `-- --epochs 3`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import pyarrow
from pyarrow import parquet

import mtlkit
from mtlkit.config.registries.balancing import BALANCING
from mtlkit.config.registries.methods import ordered
from mtlkit.data.datasets.labelled import read_train_and_test, read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.sources.grammar.task_names import parse_task
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.evaluation.intervals import student
from mtlkit.runs.record import LOG, verify
from mtlkit.training.balancing.registry import missing_module
from mtlkit.training.diagnostics.gradient_stats import WHOLE

sys.path.insert(0, str(Path(__file__).parents[1]))
from ways import accuracy, first_rows, folder_of, options_of, percent, row, train

SCHEDULES = ["round-robin", "joint", "proportional", "temperature:2", "sequential"]
BALANCES = [method.name for method in ordered(BALANCING) if method.name != "weights" and not missing_module(method.name)]
DRAWN = ("proportional", "temperature")

Tables = Mapping[str, LabelledTable]


@dataclass(frozen=True)
class Way:
    schedule: str = "joint"
    balance: str = "sum"

    @property
    def options(self) -> list[str]:
        return ["--schedule", self.schedule, "--balance", self.balance]


JOINT = Way()


@dataclass(frozen=True)
class Result:
    """Of a way with a seed: accuracy on the test rows by task, how often the gradients of two tasks were compared and were
    in conflict, optimiser steps, CPU seconds of the whole command."""

    accuracy: Mapping[str, float]
    compared: int
    conflicts: int
    steps: int
    cpu: float


def cut(source: str, folder: Path, rows: int, validation: int, test: int) -> Tables:
    """Writes at most so many rows of a source as a data set of its own. Gives them by split."""
    reading = ReadOptions("utf-8", "error", SkippedRows())
    train, held = read_train_and_validation(source, reading)
    tests = read_train_and_test(source, "test", reading)[1]
    found = {"train": first_rows(train, rows), "validation": first_rows(held, validation), "test": first_rows(tests, test)}
    folder.mkdir(parents=True, exist_ok=True)
    for split, table in found.items():
        parquet.write_table(pyarrow.table({"text": table.texts, "label": table.labels}), folder / f"{split}.parquet")
    return found


def steps_of(log: Path) -> list[dict[str, Any]]:
    """The lines of a training's log that are of optimiser steps."""
    return [line for line in map(json.loads, log.read_text().splitlines()) if "losses" in line]


def measure(options: list[str], run: Path, tests: Tables) -> Result:
    """Trains and scores, unless that was done before."""
    note = run.with_suffix(".result.json")
    if not note.exists():
        cost, model, steps = train(options, run), mtlkit.load(run), steps_of(run / LOG)
        pairs = [pair["parts"].get(WHOLE) for step in steps if step.get("tracking") for pair in step["tracking"]["pairs"]]
        cosines = [whole["cosine"] for whole in pairs if whole]
        scores = {name: accuracy(model, name, table) for name, table in tests.items()}
        conflicts = sum(cosine < 0 for cosine in cosines)
        note.write_text(json.dumps(asdict(Result(scores, len(cosines), conflicts, len(steps), cost.cpu))))
        print(f"{run.name}: {scores}", file=sys.stderr, flush=True)
    return Result(**json.loads(note.read_text()))


def alone_and_batches(options: list[str], run: Path) -> tuple[dict[str, float], int]:
    """Accuracy of each task trained alone, on its test rows; batches of all tasks in an epoch of `joint`."""
    train([*options, *JOINT.options, "--baselines"], run)
    record = verify(run)
    alone = {task["task"]: task["alone"][0] for task in record.metrics["sharing"]["tasks"]}
    return alone, len(steps_of(run / LOG)) // record.options["epochs"] * len(alone)


def delta(together: Mapping[str, float], alone: Mapping[str, float]) -> float:
    """Percent that the tasks gain on being alone, the mean of all."""
    return 100 * mean((together[name] - figure) / figure for name, figure in alone.items())


def over_seeds(values: Sequence[float]) -> str:
    """The mean with its 95 % interval (Student's t)."""
    interval = student(values)
    return f"{mean(values):+.1f}" + (f" ({interval.low:+.1f} to {interval.high:+.1f})" if interval else "")


def print_table(title: str, found: Mapping[str, Sequence[Result]], alone: Sequence[Mapping[str, float]]) -> None:
    """A row a way, held against each task alone and against the first way."""
    tasks, usual = list(alone[0]), next(iter(found))
    deltas = {way: [delta(one.accuracy, seed) for one, seed in zip(ones, alone, strict=True)] for way, ones in found.items()}
    titles = ["Delta, % (95 %)", f"against {usual} (95 %)", "conflict", "steps", "CPU ms a step", f"CPU, times {usual}"]
    row([title, *tasks, *titles])
    row(["---"] * (1 + len(tasks) + len(titles)))
    row(["each alone", *(percent([seed[name] for seed in alone]) for name in tasks), *("-" for _ in titles)])
    for way, results in found.items():
        gained = [one - other for one, other in zip(deltas[way], deltas[usual], strict=True)]
        compared, conflicts = sum(one.compared for one in results), sum(one.conflicts for one in results)
        costs = mean(one.cpu / other.cpu for one, other in zip(results, found[usual], strict=True))
        row(
            [
                way,
                *(percent([one.accuracy[name] for one in results]) for name in tasks),
                over_seeds(deltas[way]),
                "-" if way == usual else over_seeds(gained),
                f"{100 * conflicts / compared:.0f} % of {compared}" if compared else "-",
                f"{results[0].steps:,}",
                f"{mean(1000 * one.cpu / one.steps for one in results):.0f}",
                f"{costs:.2f}",
            ]
        )
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, action="append", help="NAME=SOURCE; twice or more")
    parser.add_argument("--rows", required=True, action="append", type=int, help="of each task to train on, in the same order")
    parser.add_argument("--validation", type=int, default=400, help="rows of each task at most (default: %(default)s)")
    parser.add_argument("--test", type=int, default=2000, help="rows of each task at most (default: %(default)s)")
    parser.add_argument("--init", default="mini")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--schedules", nargs="*", default=SCHEDULES, help="all with --balance sum (default: %(default)s)")
    parser.add_argument("--balances", nargs="*", default=BALANCES, help="all with --schedule joint (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/balancing"))
    asked, more = options_of(parser)
    tables, common = {}, ["--init", asked.init]
    for task, rows in zip(asked.task, asked.rows, strict=True):
        name, source = parse_task(task)
        tables[name] = cut(source, asked.out / "data" / name, rows, asked.validation, asked.test)
        common += ["--task", f"{name}={asked.out / 'data' / name}"]
    tests = {name: splits["test"] for name, splits in tables.items()}
    ways = dict.fromkeys([*(Way(schedule=name) for name in asked.schedules), *(Way(balance=name) for name in asked.balances)])
    alone: list[dict[str, float]] = []
    found: dict[Way, list[Result]] = {way: [] for way in ways}
    for seed in range(asked.seeds):
        seeded = [*common, *more, "--seed", str(seed)]
        scores, batches = alone_and_batches(seeded, asked.out / folder_of("alone", seed))
        alone.append(scores)
        for way, results in found.items():
            length = ["--epoch-by", f"steps:{batches}"] if way.schedule.startswith(DRAWN) else []
            run = asked.out / folder_of(f"{way.schedule} {way.balance}", seed)
            results.append(measure([*seeded, *way.options, *length], run, tests))
    sizes = [f"{name} {' + '.join(f'{len(table):,}' for table in splits.values())}" for name, splits in tables.items()]
    print(f"rows to train, choose the epoch and score on: {', '.join(sizes)}; seeds {asked.seeds}; {' '.join(more)}\n")
    print_table("--schedule, with --balance sum", {name: found[Way(schedule=name)] for name in asked.schedules}, alone)
    print_table("--balance, with --schedule joint", {name: found[Way(balance=name)] for name in asked.balances}, alone)


if __name__ == "__main__":
    main()
