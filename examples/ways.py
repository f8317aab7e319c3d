"""What the tables of `freezing/` and `balancing/` share: a training as a process with its cost, a score, figures in words."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from mtlkit.data.datasets.held_out import limited
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import prepare
from mtlkit.inference.engines.base import Array
from mtlkit.inference.loaded_model import LoadedModel


def options_of(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, list[str]]:
    """The command's own options, and those after `--`, which go to every training."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    return parser.parse_args(words[:end]), words[end + 1 :]


@dataclass(frozen=True)
class Cost:
    """Of a training as a process: seconds by the clock, peak memory, seconds of CPU time."""

    seconds: float
    mebibytes: float
    cpu: float = float("nan")


def train(options: list[str], run: Path) -> Cost:
    """Trains, unless that was done before. What it cost is kept beside the run."""
    note = run.with_suffix(".cost.json")
    if not note.exists():
        command = [sys.executable, "-m", "mtlkit", "train-mtl", *options, "--out", str(run), "--overwrite"]
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=run.with_suffix(".log").open("w"))
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"a training failed; see {run.with_suffix('.log')}")
        seconds, cpu = time.monotonic() - started, usage.ru_utime + usage.ru_stime
        note.write_text(json.dumps({"seconds": seconds, "mebibytes": usage.ru_maxrss / 1024, "cpu": cpu}))
    return Cost(**json.loads(note.read_text()))


def folder_of(way: str, seed: int) -> str:
    return f"{''.join(letter if letter.isalnum() else '-' for letter in way)}-{seed}"


def outputs(model: LoadedModel, task: str, table: LabelledTable) -> tuple[Array, Array]:
    """What a head says of the rows whose label it knows, and those labels."""
    texts = prepare(model.specs[task], table, model.encoder)
    return model.engine.outputs(texts.encoded, [task])[task], texts.labels


def accuracy(model: LoadedModel, task: str, table: LabelledTable) -> float:
    said, labels = outputs(model, task, table)
    return float((said.argmax(1) == labels).mean())


def first_rows(table: LabelledTable, rows: int) -> LabelledTable:
    return table.select(limited(len(table), rows))


def percent(values: list[float]) -> str:
    """Mean over seeds, and the least and the greatest where there are several."""
    span = f" ({100 * min(values):.1f} to {100 * max(values):.1f})" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{span}"


def row(cells: Iterable[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)
