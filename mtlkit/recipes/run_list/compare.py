"""Compares runs by their records: options that differ, and scores side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlkit.errors import UsageError, listed
from mtlkit.recipes.run_list.rows import is_run, run_row
from mtlkit.report.run_rows import RunRow
from mtlkit.runs.record import RunRecord, read_record

# options that say where a run is and how it is shown, not what is trained
NOT_COMPARED = {"out", "overwrite", "runs", "resume", "save_every", "keep_state", "extend", "verbose"}
MISSING = "-"


@dataclass(frozen=True)
class ComparedRuns:
    """Runs side by side. `options` are those that differ, with a value for each run; `same_rows` says for each task that all
    runs have whether they were measured on the same validation rows."""

    runs: tuple[RunRow, ...]
    options: dict[str, tuple[str, ...]]
    same_rows: dict[str, bool]

    def to_json(self) -> dict[str, Any]:
        runs = [run.to_json() for run in self.runs]
        options = {name: list(values) for name, values in self.options.items()}
        return {"runs": runs, "options": options, "same_rows": self.same_rows}


def compare(folders: Sequence[Path]) -> ComparedRuns:
    """Raises UsageError for a folder that is no finished run, and IntegrityError for a damaged record."""
    if unknown := [str(folder) for folder in folders if not is_run(folder)]:
        raise UsageError(f"{unknown[0]} is not a run; give the folders of two or more runs, or one folder with runs")
    records = [read_record(folder) for folder in folders]
    rows = tuple(map(run_row, folders))
    if damaged := [row.problem for row in rows if row.problem]:
        raise UsageError(damaged[0])
    return ComparedRuns(rows, _differences(records), _same_rows(records))


def _differences(records: Sequence[RunRecord]) -> dict[str, tuple[str, ...]]:
    """Options that differ, the starting model and the command among them, in the order of the first run that has them."""
    described = [_described(record) for record in records]
    names = dict.fromkeys(name for one in described for name in one)
    values = {name: tuple(one.get(name, MISSING) for one in described) for name in names}
    return {name: each for name, each in values.items() if len(set(each)) > 1}


def _described(record: RunRecord) -> dict[str, str]:
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
