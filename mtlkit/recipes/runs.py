"""`mtlkit runs`: lists, compares and deletes runs."""

from __future__ import annotations

from pathlib import Path

from mtlkit.config.commands.runs import RunsOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.run_list import delete as deleting
from mtlkit.recipes.run_list.compare import ComparedRuns, compare, tested
from mtlkit.recipes.run_list.rows import is_run, run_row, runs_in
from mtlkit.report.run_rows import RunRow
from mtlkit.report.runs import in_order

RUNS = Path("runs")


def runs(options: RunsOptions) -> list[RunRow]:
    """The runs of the folder, or the named runs, in the order of `sort`. Raises UsageError."""
    folders = list(map(Path, options.folders))
    if len(folders) > 1 or (folders and is_run(folders[0])):
        return in_order([run_row(folder) for folder in folders], options.sort)
    return in_order([run_row(path) for path in runs_in(folder_of(options))], options.sort)


def compared(options: RunsOptions) -> ComparedRuns:
    """The named runs side by side, in the order in which they are named, with paired tests. Raises UsageError,
    IntegrityError."""
    found = compare(list(map(Path, options.folders)))
    if options.split == "none":
        return found
    from mtlkit.recipes.run_list.outputs import RunsEvaluator

    return tested(found, RunsEvaluator(options.split, options.device, options.seed, no_cache=options.no_cache))


def folder_of(options: RunsOptions) -> Path:
    """The folder that is listed, or that runs are deleted from."""
    return Path(options.folders[0]) if options.folders else RUNS


def planned_deletion(options: RunsOptions) -> deleting.Deletion:
    """What --delete or --keep would delete. Raises UsageError."""
    if options.keep is None:
        return deleting.named(options.delete)
    folder = folder_of(options)
    if is_run(folder):
        raise UsageError(f"--keep {options.keep}: {folder} is a run, not a folder with runs; name the folder that it is in")
    return deleting.but_newest(folder, options.keep)


def delete(deletion: deleting.Deletion, options: RunsOptions) -> None:
    """Deletes the runs. Raises UsageError."""
    try:
        deleting.delete(deletion, command_line("runs", options))
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be deleted ({error.strerror})") from None
