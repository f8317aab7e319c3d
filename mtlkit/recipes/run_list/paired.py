"""Paired tests of runs on the same rows: each run against the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mtlkit.evaluation.comparison import Outputs
from mtlkit.evaluation.paired import paired_test
from mtlkit.recipes.evaluation.against import matched, not_comparable
from mtlkit.recipes.run_list.outputs import RunOutputs
from mtlkit.report.run_rows import run_names
from mtlkit.report.runs_tests import RunsTest


def paired_tests(folders: Sequence[Path], outputs: Sequence[RunOutputs], seed: int) -> Iterator[RunsTest]:
    """A test for each task of the first run that another one has, too."""
    own, names = outputs[0], run_names(folders)
    for task in [*own.rows, *own.missing]:
        for folder, name, other in zip(folders[1:], names[1:], outputs[1:], strict=True):
            if task in other.rows or task in other.missing:
                untested = RunsTest(task, folders[0], folder, (names[0], name))
                yield _tested(untested, (own, other), seed)


def _tested(pair: RunsTest, sides: tuple[RunOutputs, RunOutputs], seed: int) -> RunsTest:
    if reason := _reason(pair, sides):
        return replace(pair, reason=reason)
    first, second = (side.rows[pair.task] for side in sides)
    model, against = (Outputs(rows.spec, rows.outputs) for rows in (first, second))
    return replace(pair, test=paired_test(model, matched(against, first.spec), first.labels, seed))


def _reason(pair: RunsTest, sides: tuple[RunOutputs, RunOutputs]) -> str | None:
    """Why two runs cannot be compared; None if they can."""
    for name, side in zip(pair.names, sides, strict=True):
        if pair.task in side.missing:
            return f"{name}: {side.missing[pair.task]}"
    first, second = (side.rows[pair.task] for side in sides)
    if reason := not_comparable(first.spec, second.spec, *pair.names):
        return reason
    if sides[0].digests[pair.task] != sides[1].digests[pair.task]:
        counts = [f"{len(rows.texts):,} in {name}" for rows, name in zip((first, second), pair.names, strict=True)]
        return f"the rows are not the same ({' and '.join(counts)})"
    return None
