"""What each way of keeping old tasks costs and saves, on data of your own: the table of examples/README.md.

    python examples/freezing/table.py START --new emotion=emotion.parquet --old topic=ag_news --old sentiment=imdb

START is a run with heads for the old tasks, made by `mtlkit train-mtl`. Every way is trained from it as a process of its own,
with each seed; what is there already in --out is not trained again. Options after `--` go to every training, such as
`-- --epochs 3`. Accuracies are of the --split (test), changes are paired over its rows.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

import mtlkit
from mtlkit.data.datasets.labelled import ReadOptions, read_train_and_test
from mtlkit.data.sources.grammar.task_names import parse_task
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.evaluation.forgetting import TaskChange, task_change

sys.path.insert(0, str(Path(__file__).parents[1]))
from ways import accuracy, first_rows, folder_of, options_of, outputs, percent, row, train

WAYS = {
    "nothing kept": [],
    "backbone frozen, linear head": ["--freeze", "backbone"],
    "backbone frozen, MLP head": ["--freeze", "backbone", "--head", "mlp:256", "--head-rate", "5"],
    "clip 0.1": ["--clip", "0.1"],
    "guard l2sp": ["--guard", "l2sp"],
    "guard lwf": ["--guard", "lwf"],
    "guard ewc": ["--guard", "ewc"],
    "rehearse the first old task, 0.2": ["--rehearse", "{first}:0.2"],
    "rehearse all old tasks, 0.2": ["--rehearse", "{first}:0.2", "--rehearse", "{second}:0.2"],
    "adapter of its own, all layers": ["--adapter", "lora:8", "--adapter-per", "task"],
    "adapter of its own, upper half": ["--adapter", "lora:8@layers:{upper}", "--adapter-per", "task"],
    "unfreeze top-down, decay 2.6": ["--unfreeze", "top-down", "--layer-lr-decay", "2.6"],
}


def points(changes: list[TaskChange]) -> str:
    """Change in points with its interval, each a mean over seeds."""
    low, high = (100 * mean(getattr(change.interval, end) for change in changes) for end in ("low", "high"))
    return f"{100 * mean(change.change for change in changes):+.1f} ({low:.1f} to {high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path)
    parser.add_argument("--new", required=True, help="the task to add, NAME=SOURCE")
    parser.add_argument("--old", required=True, action="append", help="a task that START knows, NAME=SOURCE; twice")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--rows", type=int, default=5000, help="of the split that are measured, at most, whatever the limit of a source"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/ways"))
    parser.add_argument("--only", action="append", help="a way in place of the table's: --only='--guard lwf:3'")
    asked, more = options_of(parser)
    asked.out.mkdir(parents=True, exist_ok=True)
    start = mtlkit.load(asked.start)
    old = dict(map(parse_task, asked.old))
    (new, new_source), reading = parse_task(asked.new), ReadOptions("utf-8", "error", SkippedRows())
    tables = {
        name: first_rows(read_train_and_test(source, asked.split, reading)[1], asked.rows)
        for name, source in [*old.items(), (new, new_source)]
    }
    before = {name: outputs(start, name, tables[name]) for name in old}
    common = ["--init", str(asked.start), "--task", asked.new, *(part for task in asked.old for part in ("--watch", task))]
    ways = {way: way.split() for way in asked.only} if asked.only else WAYS
    first, second = next(iter(old)), list(old)[-1]
    layers = start.checkpoint.architecture.layers
    upper = f"{layers // 2}-{layers - 1}"
    sizes = ", ".join(f"{name} {len(table):,}" for name, table in tables.items())
    print(f"{asked.split} rows: {sizes}; seeds {asked.seeds}; {' '.join(more)}\n")
    row(["", new, *(f"{name}: change in points (95 %)" for name in old), "seconds", "peak MiB"])
    row(["---"] * (len(old) + 4))
    for way, options in ways.items():
        fresh, changes, costs = [], defaultdict(list), []
        for seed in range(asked.seeds):
            run = asked.out / folder_of(way, seed)
            chosen = [part.format(first=first, second=second, upper=upper) for part in options]
            costs.append(train([*common, *chosen, *more, "--seed", str(seed)], run))
            made = mtlkit.load(run)
            fresh.append(accuracy(made, new, tables[new]))
            for name, (then, labels) in before.items():
                changes[name].append(task_change(start.specs[name], labels, then, outputs(made, name, tables[name])[0], 0.0))
        seconds, peak = mean(cost.seconds for cost in costs), max(cost.mebibytes for cost in costs)
        row([way, percent(fresh), *map(points, changes.values()), f"{seconds:.0f}", f"{peak:.0f}"])


if __name__ == "__main__":
    main()
