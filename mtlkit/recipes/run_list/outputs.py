"""What the heads of runs give for the rows that their data has now, from cached predictions where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mtlkit.config.common import Device
from mtlkit.config.held_out import holdout_of
from mtlkit.data.datasets.labelled import read_for_evaluation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import prepare, split_fingerprint
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import MtlkitError
from mtlkit.inference.cached_model import load_cached, reused_tasks
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.evaluation.heads import HeadOutputs, TaskEvaluation, evaluate_task
from mtlkit.recipes.evaluation.rows import EvaluatedRows, evaluated_rows
from mtlkit.runs.record import RunRecord

EvaluatedSplit = Literal["test", "validation"]


@dataclass(frozen=True)
class SplitRows:
    """The rows of a task, and a digest of their texts and labels."""

    table: LabelledTable
    digest: str


@dataclass(frozen=True)
class RunOutputs:
    """The evaluated rows of each task of a run, with digests of what was read; `missing` says of the other tasks why they have
    none. `figures` are there if they were asked for; `cached` are the tasks whose predictions came from the cache."""

    rows: dict[str, EvaluatedRows] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    figures: dict[str, TaskEvaluation] = field(default_factory=dict)
    cached: tuple[str, ...] = ()


class RunsEvaluator:
    """Runs the heads of several runs on a split of their data. Rows that they read in the same way are read once."""

    def __init__(self, split: EvaluatedSplit, device: Device, seed: int, *, no_cache: bool, figures: bool = False) -> None:
        self.split, self.device, self.seed, self.no_cache, self.figures = split, device, seed, no_cache, figures
        self._read: dict[tuple[str, str], SplitRows | str] = {}

    def outputs(self, folder: Path, record: RunRecord) -> RunOutputs:
        """The outputs of a finished run. A model or data that cannot be read raises nothing: its tasks are `missing`."""
        if record.stage != "mtl":
            return RunOutputs()
        try:
            loaded = (load if self.no_cache else load_cached)(folder, device=self.device)
        except MtlkitError as error:
            return RunOutputs(missing=dict.fromkeys(record.sources, str(error)))
        return self.outputs_of(loaded, record, f" of {folder}")

    def outputs_of(self, loaded: LoadedModel, record: RunRecord, what: str = "") -> RunOutputs:
        """The outputs of an opened model whose run has this record. `what` is shown while it runs, after the name of the task."""
        found = RunOutputs()
        read: dict[str, SplitRows] = {}
        for name in loaded.tasks:
            rows = self._rows(loaded, name, record)
            if isinstance(rows, str):
                found.missing[name] = rows
            else:
                read[name] = rows
        outputs_of = HeadOutputs(loaded, {name: rows.table for name, rows in read.items()}, what)
        for name, rows in read.items():
            try:
                self._evaluate(found, loaded, name, rows, outputs_of)
            except MtlkitError as error:
                found.missing[name] = str(error)
        return replace(found, cached=tuple(reused_tasks(loaded)))

    def _evaluate(self, found: RunOutputs, loaded: LoadedModel, name: str, read: SplitRows, outputs_of: HeadOutputs) -> None:
        if self.figures:
            evaluation, _ = evaluate_task(loaded, name, read.table, self.split, self.seed, outputs_of)
            assert evaluation.rows is not None
            found.figures[name], rows = evaluation, evaluation.rows
        else:
            spec = loaded.specs[name]
            texts = prepare(spec, read.table, loaded.encoder)
            rows = evaluated_rows(spec, read.table, texts, outputs_of(name, texts)[name])
        found.rows[name], found.digests[name] = rows, read.digest

    def _rows(self, loaded: LoadedModel, name: str, record: RunRecord) -> SplitRows | str:
        """The rows of a task, or why they cannot be read."""
        apart = record.test_sources if self.split == "test" else {}
        source = apart.get(name) or record.sources.get(name)
        if source is None:
            return "its data is not recorded"
        recorded: Mapping[str, object] = loaded.checkpoint.sources
        key = source, repr((recorded, holdout_of(record.options), name in apart))
        if key not in self._read:
            reading = ReadOptions(
                None,
                "error",
                SkippedRows(),
                holdout=holdout_of(record.options),
                recorded=loaded.checkpoint.sources.get(name),
                records=loaded.checkpoint.sources,
            )
            try:
                table, _ = read_for_evaluation(source, self.split, reading, named=name in apart)
                self._read[key] = SplitRows(table, split_fingerprint(table)["sha256"])
            except MtlkitError as error:
                self._read[key] = str(error)
        return self._read[key]
