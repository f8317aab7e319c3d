"""Compares runs: options that differ and scores side by side by their records, and paired tests on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtlkit.config.common import Split
from mtlkit.errors import UsageError, listed
from mtlkit.recipes.run_list.outputs import RunOutputs, RunsEvaluator
from mtlkit.recipes.run_list.paired import paired_tests
from mtlkit.recipes.run_list.rows import is_run, run_row
from mtlkit.recipes.run_list.unfinished import unfinished_record
from mtlkit.report.run_rows import RunRow
from mtlkit.report.runs_tests import RunsTest
from mtlkit.runs.record import RECORD, RunRecord, read_record

# options that say where a run is and how it is shown, not what is trained
NOT_COMPARED = {
    "out",
    "overwrite",
    "runs",
    "resume",
    "save_every",
    "keep_state",
    "extend",
    "verbose",
    "recompute",
    "license",
    "language",
}
MISSING = "-"


@dataclass(frozen=True)
class ComparedRuns:
    """Runs side by side. `records` are None for unfinished ones, `options` are those that differ, with a value for each run;
    `same_rows` says for each task that all runs have whether they were measured on the same validation rows. `tests` compare
    each run with the first one on the rows of `split`; `outputs`, one for each run, are what they rest on.
    """

    runs: tuple[RunRow, ...]
    records: tuple[RunRecord | None, ...]
    options: dict[str, tuple[str, ...]]
    same_rows: dict[str, bool]
    split: Split = "none"
    tests: tuple[RunsTest, ...] = ()
    outputs: tuple[RunOutputs, ...] = ()

    @property
    def cached(self) -> list[str]:
        """The tasks whose predictions came from the cache, for every run that has them."""
        names = dict.fromkeys(name for one in self.outputs for name in one.rows)
        return [name for name in names if all(name in one.cached for one in self.outputs if name in one.rows)]

    @property
    def untested(self) -> str:
        """Why there is no test although tests were asked for; empty if there is one, or none was asked for."""
        if self.split == "none" or self.tests:
            return ""
        unfinished = [run.path for run, record in zip(self.runs, self.records, strict=True) if record is None]
        if self.records[0] is None or len(self.runs) - len(unfinished) < 2:
            return f"{unfinished[0]} is not finished, so nothing to test"
        return "no task in common, so nothing to test"

    def to_json(self) -> dict[str, Any]:
        runs = [run.to_json() for run in self.runs]
        options = {name: list(values) for name, values in self.options.items()}
        tests = [test.to_json() for test in self.tests]
        return {"runs": runs, "options": options, "same_rows": self.same_rows, "split": self.split, "tests": tests}


def compare(folders: Sequence[Path]) -> ComparedRuns:
    """Compares records. Raises UsageError for a folder that is no run, and IntegrityError for a damaged record."""
    if unknown := [str(folder) for folder in folders if not is_run(folder)]:
        raise UsageError(f"{unknown[0]} is not a run; give the folders of two or more runs, or one folder with runs")
    records = tuple(read_record(folder) if (folder / RECORD).is_file() else None for folder in folders)
    rows = tuple(map(run_row, folders))
    if damaged := [row.problem for row in rows if row.problem]:
        raise UsageError(damaged[0])
    finished = [record for record in records if record is not None]
    return ComparedRuns(rows, records, _differences(folders, records), _same_rows(finished) if len(finished) > 1 else {})


def tested(compared: ComparedRuns, evaluator: RunsEvaluator) -> ComparedRuns:
    """The same runs with paired tests, for which their heads are evaluated unless their predictions are cached."""
    folders = [run.path for run in compared.runs]
    outputs = tuple(
        RunOutputs() if record is None else evaluator.outputs(folder, record)
        for folder, record in zip(folders, compared.records, strict=True)
    )
    tests = tuple(paired_tests(folders, outputs, evaluator.seed))
    return replace(compared, split=evaluator.split, tests=tests, outputs=outputs)


def _differences(folders: Sequence[Path], records: Sequence[RunRecord | None]) -> dict[str, tuple[str, ...]]:
    """Options that differ, the starting model and the command among them, in the order of the first run that has them."""
    described = [_described(record or unfinished_record(folder)) for folder, record in zip(folders, records, strict=True)]
    names = dict.fromkeys(name for one in described for name in one)
    values = {name: tuple(one.get(name, MISSING) for one in described) for name in names}
    known = [place for place, one in enumerate(described) if one]  # nothing is known of a training without a checkpoint
    return {name: each for name, each in values.items() if len({each[place] for place in known}) > 1}


def _described(record: RunRecord | None) -> dict[str, str]:
    """The options of a run; none of an unfinished one that has saved no checkpoint yet."""
    if record is None:
        return {}
    parent = (record.parent or {}).get("digest")
    options = {f"--{name.replace('_', '-')}": _shown(value) for name, value in record.options.items() if name not in NOT_COMPARED}
    return {"command": " ".join(record.command.split()[:2]), **options, **({"starting model": parent[:12]} if parent else {})}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return listed(map(str, value), 20) if value else MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return MISSING if value is None else str(value)


def _same_rows(records: Sequence[RunRecord]) -> dict[str, bool]:
    digests = [
        {
            task: split.get("sha256")
            for task, about in record.data.items()
            if isinstance(about, dict) and isinstance(split := about.get("validation"), dict)
        }
        for record in records
    ]
    shared = [task for task in digests[0] if all(task in one for one in digests)]
    return {task: len({one[task] for one in digests}) == 1 for task in shared}
