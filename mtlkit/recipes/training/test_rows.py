"""The rows of `--test`: read before a training, so that their faults are found at once, and scored once when it has ended."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Stage
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled import read_for_evaluation, read_test
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import prepare, split_fingerprint
from mtlkit.data.quality.findings import Finding
from mtlkit.data.quality.leaks import overlap
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.errors import UsageError, listed
from mtlkit.evaluation.figures import DETAILS
from mtlkit.inference.compute import Compute
from mtlkit.inference.engines.torch_engine import TorchEngine
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.model.checkpoint import described
from mtlkit.recipes.evaluation.heads import HeadOutputs, evaluate_task
from mtlkit.recipes.training.data_warnings import splits_of, warning
from mtlkit.recipes.training.initial_model import InitialModel
from mtlkit.report.sources import unseen_line
from mtlkit.training.events import Note
from mtlkit.training.plan import TestSource, TrainPlan

SEED = 0  # of intervals, as that of `eval`


@dataclass(frozen=True)
class TestRows:
    """Test rows of a task, and what the split is called."""

    __test__ = False
    table: LabelledTable
    split: str

    @property
    def fingerprint(self) -> dict[str, Any]:
        return split_fingerprint(self.table)


def read_tests(
    plan: TrainPlan,
    start: InitialModel,
    reading: ReadOptions,
    records: Mapping[str, SourceRecord],
    train: Mapping[str, LabelledTable],
) -> Generator[Note, None, tuple[dict[str, TestRows], list[Finding]]]:
    """Reads the test rows of each task, as its training rows were read according to `records`. Warns of rows that are also in
    `train`, the training rows by task, and returns these
    findings. Raises UsageError for a task without test rows, and DataError."""
    tests: dict[str, TestRows] = {}
    reading = replace(reading, records={**start.sources, **records})
    missing: list[str] = []
    leaks: list[Finding] = []
    for name, test in plan.tests.items():
        rows = _read(test, replace(reading, recorded=reading.records.get(name)))
        if rows is None and test.required:
            raise UsageError(f"--test {name}: {test.source} has no test split; give the rows: --test {name}=FILE")
        if rows is None:
            missing.append(name)
            continue
        unseen = prepare(start.model.tasks[name], rows.table, start.encoder).unseen
        if unseen:
            yield Note(f"{name}: {unseen_line(unseen, 'test row')}; not counted in the metrics", warning=True)
        if name in train:
            known, own = splits_of(name, {"train": train[name], "test": rows.table}, TextNumbers())
            own_leaks = list(overlap(known, own))
            leaks += own_leaks
            yield from (Note(warning(finding), warning=True) for finding in own_leaks)
        tests[name] = rows
    if missing and not tests:
        raise UsageError(f"--test: {listed(missing)} without a test split; give the rows: --test {missing[0]}=FILE")
    if missing:
        yield Note(f"{listed(missing)}: no test split, so not tested; --test {missing[0]}=FILE gives the rows", warning=True)
    return tests, leaks


def _read(test: TestSource, reading: ReadOptions) -> TestRows | None:
    if test.named:
        return TestRows(*read_for_evaluation(test.source, "test", reading, named=True))
    table = read_test(test.source, reading)
    return None if table is None else TestRows(table, "test")


def score_tests(
    start: InitialModel, stage: Stage, records: Mapping[str, SourceRecord], tests: Mapping[str, TestRows], compute: Compute
) -> dict[str, dict[str, Any]]:
    """The metrics of the trained model on the test rows of each task, with 95 % intervals: those that `eval` will give."""
    encoder, model = start.encoder, start.model.eval()
    description = described(model, stage, encoder.encoding, sources=records, vectors=start.vectors)
    loaded = LoadedModel(Path(), description, None, encoder, TorchEngine(model, compute))
    tables = {name: rows.table for name, rows in tests.items()}
    outputs_of = HeadOutputs(loaded, tables, " (test)", router=False)
    scores = {}
    for name, rows in tests.items():
        metrics = evaluate_task(loaded, name, rows.table, rows.split, SEED, outputs_of)[0].metrics
        scores[name] = {"split": rows.split, **{key: value for key, value in metrics.items() if key not in DETAILS}}
    return scores
