"""Paired tests of runs on the same rows: each run against the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mtlkit.evaluation.comparison import Outputs
from mtlkit.evaluation.paired import paired_test
from mtlkit.recipes.evaluation.against import matched, not_comparable
from mtlkit.recipes.run_list.outputs import RunOutputs
from mtlkit.report.runs_tests import RunsTest


def paired_tests(folders: Sequence[Path], outputs: Sequence[RunOutputs], seed: int) -> Iterator[RunsTest]:
    """A test for each task of the first run that another one has, too."""
    own = outputs[0]
    for task in [*own.rows, *own.missing]:
        for folder, other in zip(folders[1:], outputs[1:], strict=True):
            if task in other.rows or task in other.missing:
                yield _tested(task, (folders[0], folder), (own, other), seed)


def _tested(task: str, folders: tuple[Path, Path], sides: tuple[RunOutputs, RunOutputs], seed: int) -> RunsTest:
    if reason := _reason(task, folders, sides):
        return RunsTest(task, *folders, reason=reason)
    first, second = (side.rows[task] for side in sides)
    model, against = (Outputs(rows.spec, rows.outputs) for rows in (first, second))
    return RunsTest(task, *folders, paired_test(model, matched(against, first.spec), first.labels, seed))


def _reason(task: str, folders: tuple[Path, Path], sides: tuple[RunOutputs, RunOutputs]) -> str | None:
    """Why two runs cannot be compared; None if they can."""
    for folder, side in zip(folders, sides, strict=True):
        if task in side.missing:
            return f"{folder}: {side.missing[task]}"
    first, second = (side.rows[task] for side in sides)
    names = [str(folder) for folder in folders]
    if reason := not_comparable(first.spec, second.spec, names[0], names[1]):
        return reason
    if sides[0].digests[task] != sides[1].digests[task]:
        counts = [f"{len(rows.texts):,} in {name}" for rows, name in zip((first, second), names, strict=True)]
        return f"the rows are not the same ({' and '.join(counts)})"
    return None
