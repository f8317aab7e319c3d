"""Caches the results of `--baselines`: for each training, a file with the outputs of its heads for the rows to score."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.cache import fingerprint
from mtlkit.data.datasets.labelled import read_for_evaluation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.task_data import LabelledTexts, prepare
from mtlkit.data.sources import existing_split, find_split, open_source
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.evaluation.metrics import Array
from mtlkit.inference.compute import Compute
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.recipes.training.prepare import Prepared
from mtlkit.runs.store import BASELINES, Arrays, StoreEntry, cache_key, entry_in, has_shape
from mtlkit.training.sampling.floor import least_steps
from mtlkit.training.validation.best_weights import FEW

OUTPUTS = "outputs."  # prefix of the name of an array, before that of its task
FORMAT = "3"  # incremented when the stored arrays change, or what a training makes of the same options
# options that do not affect the outputs, or only through the data, the starting model or the device, which are in the key
NOT_IN_KEY = {"out", "overwrite", "runs", "cache_memory", "track_every", "router", "baselines", "seeds"} | {
    *("task", "watch", "cap", "encoding", "on_bad_row", "init", "device", "precision"),
    *(
        "resume",
        "save_every",
        "keep_state",
        "extend",
        "keep_best_per_task",
        "verbose",
        "recompute",
        "calibrate",
        "solver",
        "prototypes",
    ),
    *("license", "language"),
    *("holdout", "refit", "test"),
}

Outputs = Mapping[str, Array]  # of the heads for the rows to score, by task, each (N, outputs)


@dataclass(frozen=True)
class ScoredRows:
    """The rows to score a task on: those of the test split, or of the validation split if there is none."""

    split: str
    texts: LabelledTexts
    sha256: str


def rows_to_score(options: TrainMtlOptions, sources: Mapping[str, str], prepared: Prepared) -> dict[str, ScoredRows]:
    """The rows to score each task on, read from its source. Raises DataError."""
    rows = {}
    reading = ReadOptions(options.encoding, options.on_bad_row, SkippedRows(), holdout=options.holdout, records=prepared.sources)
    for name, source in sources.items():
        recorded = replace(reading, recorded=prepared.sources.get(name), tally=SkippedRows())
        path, query = parse_source(source)
        opened = open_source(path, query)
        unseen = find_split(opened, "test") not in (None, existing_split(opened, query.split))
        table, split = read_for_evaluation(source, "test" if unseen else "validation", recorded, named=False)
        texts = prepare(prepared.start.model.tasks[name], table, prepared.start.encoder)
        rows[name] = ScoredRows(split, texts, fingerprint([*table.all_texts, *map(str, table.labels)]))
    return rows


def key_of(
    options: TrainMtlOptions, tasks: Sequence[str], prepared: Prepared, rows: Mapping[str, ScoredRows], compute: Compute
) -> str:
    """The key of a training: a digest of everything that its outputs depend on. This includes all tasks of the run, as the
    initial weights of heads and the run's own tokenizer depend on them.
    """
    model, parent = prepared.start.model, prepared.start.parent
    few = any(len(prepared.data.objectives[name].validation.lengths) < FEW for name in tasks)
    unchanged = set() if few or least_steps(options) else {"min_steps"}  # trains as before there was this option
    content = {
        "tasks": list(tasks),
        "options": {name: value for name, value in plain(options).items() if name not in NOT_IN_KEY | unchanged},
        "data": {name: trained_rows(data) for name, data in prepared.fingerprints.items() if "source" in data},
        "heads": {name: spec.uncalibrated().to_json() for name, spec in model.tasks.items()},
        "rows": {name: rows[name].sha256 for name in tasks},
        "start": parent["digest"] if parent else None,
        "compute": [compute.device.type, compute.precision],
        "versions": {package: version(package) for package in ("mtlkit", "torch")},
    }
    return cache_key(FORMAT, json.dumps(content, sort_keys=True))


def trained_rows(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fingerprint of a task without what changes no training: where its rows were, and those of `--test`."""
    return {**{key: value for key, value in data.items() if key != "test"}, "source": None}


def baseline_entry(folder: Path, key: str) -> StoreEntry:
    """The cache file of a training in the folder for caches beside the run."""
    return entry_in(folder / BASELINES, BASELINES, key)


def read_outputs(entry: StoreEntry, rows: Mapping[str, ScoredRows]) -> Outputs | None:
    """The cached outputs of a training for these rows; None if there are none or, with a warning, if the file is damaged."""
    shapes = {f"{OUTPUTS}{name}": (len(scored.texts), None) for name, scored in rows.items()}
    stored = entry.read(lambda arrays: all(has_shape(arrays.get(name), "<f4", *shape) for name, shape in shapes.items()))
    return stored and {name: stored[f"{OUTPUTS}{name}"] for name in rows}


def keep_outputs(entry: StoreEntry, outputs: Outputs, options: TrainMtlOptions, log: str) -> None:
    """Stores the outputs of a training, with its options and its log for inspection. Does nothing if that is not possible."""
    about = {"command": command_line("train-mtl", options), "options": plain(options)}
    texts = {"record": json.dumps(about), "log": log}
    arrays: Arrays = {f"{OUTPUTS}{name}": array for name, array in outputs.items()}
    entry.keep(arrays | {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()})
