"""The page of `report A B`: runs by their records and logs, and their heads on the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.commands.report import ReportOptions
from mtlkit.errors import UsageError, shorten
from mtlkit.evaluation.comparison import Outputs
from mtlkit.recipes.evaluation.against import matched
from mtlkit.recipes.evaluation.rows import EvaluatedRows
from mtlkit.recipes.reporting.evaluated import changed_line, changed_tests
from mtlkit.recipes.reporting.logs import log_facts
from mtlkit.recipes.run_list.compare import ComparedRuns, compare, tested
from mtlkit.recipes.run_list.outputs import RunOutputs, RunsEvaluator
from mtlkit.report.page.content import Page, recorded_tests
from mtlkit.report.page.matrix import cut
from mtlkit.report.page.runs_page import make_runs_page
from mtlkit.report.page.runs_scores import Disagreement, PageRun, PageTest
from mtlkit.report.run_rows import run_names
from mtlkit.report.runs_tests import RunsTest
from mtlkit.report.text import printable
from mtlkit.tasks.base import kind_of

ROWS, LONGEST_TEXT = 5, 250  # that only one run gets right, and characters of their texts


def page_of_runs(options: ReportOptions) -> tuple[Page, ComparedRuns]:
    """Compares the runs that the options name. Raises UsageError, IntegrityError."""
    folders = [Path(name) for name in (options.run, *options.others) if name is not None]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a run is named twice; name different runs to compare them")
    compared = compare(folders)
    if options.split != "none":
        evaluator = RunsEvaluator(options.split, options.device, options.seed, no_cache=options.no_cache, figures=True)
        compared = tested(compared, evaluator)
    outputs = compared.outputs or (RunOutputs(),) * len(folders)
    runs = [
        PageRun(
            name,
            row,
            record,
            log_facts(row.path),
            {task: one.metrics for task, one in own.figures.items()},
            recorded_tests(record.metrics) if record and compared.split == "test" else {},
        )
        for name, row, record, own in zip(run_names(folders), compared.runs, compared.records, outputs, strict=True)
    ]
    by_folder = dict(zip(folders, outputs, strict=True))
    tests = [_with_rows(test, by_folder[test.first], by_folder[test.run]) for test in compared.tests]
    notes = [f"{run.name} is {run.row.state}: only its log is shown" for run in runs if run.record is None]
    if compared.split == "test":
        notes += [
            f"{run.name}: {changed_line(run.record, task)}"
            for run, own in zip(runs, outputs, strict=True)
            if run.record is not None
            for task in changed_tests(run.record, own.digests)
        ]
    return make_runs_page(runs, tests, compared.options, compared.split, notes), compared


def _with_rows(test: RunsTest, first: RunOutputs, other: RunOutputs) -> PageTest:
    """A test with some rows that only one of the runs gets right, where a row has one class."""
    if test.test is None or kind_of(first.rows[test.task].spec.kind).classes != "one":
        return PageTest(test)
    rows, others = first.rows[test.task], other.rows[test.task]
    second = matched(Outputs(others.spec, others.outputs), rows.spec)
    kind, labels = kind_of(rows.spec.kind), np.asarray(rows.labels)
    decided = [np.asarray(kind.decisions(spec, values)) for spec, values in (Outputs(rows.spec, rows.outputs), second)]
    lead = _lead(rows, second)
    only = [np.flatnonzero((own == labels) & (theirs != labels)) for own, theirs in (decided, decided[::-1])]
    ordered = [only[0][np.argsort(-lead[only[0]], kind="stable")], only[1][np.argsort(lead[only[1]], kind="stable")]]
    return PageTest(test, *(tuple(_shown(rows, decided, some[:ROWS])) for some in ordered))


def _lead(rows: EvaluatedRows, second: Outputs) -> NDArray[Any]:
    """How much more probable the first run holds the label of each row, (N,)."""
    kind = kind_of(rows.spec.kind)
    sides = [kind.class_probabilities(spec, values) for spec, values in (Outputs(rows.spec, rows.outputs), second)]
    if sides[0] is None or sides[1] is None:
        return np.zeros(len(rows.labels))
    every = np.arange(len(rows.labels))
    return np.asarray(sides[0][every, rows.labels] - sides[1][every, rows.labels])


def _shown(rows: EvaluatedRows, decided: list[NDArray[Any]], some: NDArray[np.int64]) -> Iterator[Disagreement]:
    names = rows.spec.labels
    for row in some.tolist():
        label, first, other = (cut(names[int(values[row])]) for values in (rows.labels, *decided))
        yield Disagreement(shorten(printable(rows.shown[row]), LONGEST_TEXT), label, first, other)
