"""`mtlkit runs`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from mtlkit.cli.console import answer, can_ask, print_json, say, say_cached, stderr, stdout
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading, working
from mtlkit.config.commands.runs import RunsOptions
from mtlkit.config.shell import command_text
from mtlkit.errors import UsageError, counted, listed

if TYPE_CHECKING:
    from mtlkit.recipes.run_list.delete import Deletion

MOST_SHOWN = 4  # exports in a message


def runs(options: RunsOptions, as_json: bool) -> None:
    """List runs, compare some of them, or delete old ones.

    The list has the validation scores of each run, with 95 % intervals of accuracies, and says which are finished, interrupted,
    still running or damaged. Several runs are shown side by side: the options that differ, their scores, and for each task that
    they share a paired test against the first run on the same test rows.
    """
    if options.delete or options.keep is not None:
        delete_runs(options, as_json)
    elif len(options.folders) > 1:
        compare_runs(options, as_json)
    else:
        list_runs(options, as_json)


def list_runs(options: RunsOptions, as_json: bool) -> None:
    """Prints the list."""
    from mtlkit.recipes.runs import folder_of
    from mtlkit.recipes.runs import runs as read
    from mtlkit.report.runs import run_table

    found = read(options)
    if as_json:
        print_json([run.to_json() for run in found])
    elif found:
        stdout().print(run_table(found, stdout().width))
    else:
        say(f"no run in {folder_of(options)}/; train one with: mtlkit train-mtl")


def compare_runs(options: RunsOptions, as_json: bool) -> None:
    """Prints runs side by side."""
    with loading():
        from mtlkit.recipes.runs import compared
        from mtlkit.report.runs import comparison_tables
        from mtlkit.report.runs_tests import tests_table

    with working("evaluating"):
        found = compared(options)
    say_cached(found.cached)
    if as_json:
        print_json(found.to_json())
        return
    for table in comparison_tables(found.runs, found.options, found.same_rows):
        stdout().print(table)
    if found.tests:
        stdout().print(tests_table(found.tests, found.split, stdout().width))
    elif found.untested:
        say(found.untested)
    say(f"next: {command_text(['mtlkit', 'report', *options.folders])}")


def delete_runs(options: RunsOptions, as_json: bool) -> None:
    """Shows what will be deleted, asks, and deletes it. Raises UsageError where there is no terminal to ask on."""
    from mtlkit.recipes.runs import delete, planned_deletion
    from mtlkit.report.tables import megabytes

    planned = planned_deletion(options)
    for folder in planned.ancestors:
        say(f"kept, as newer runs descend from it: {folder}")
    if exports := planned.exports:
        say(f"deleted with the run they are in: {listed(exports, MOST_SHOWN)}")
    if planned.runs and not options.yes and not agreed(planned):
        say("nothing was deleted")
        return
    delete(planned, options)
    if as_json:
        print_json({"deleted": [str(run.path) for run in planned.runs], "kept": list(map(str, planned.ancestors))})
    else:
        answer(f"deleted {counted(len(planned.runs), 'run')}, {megabytes(planned.size)} MB")


def agreed(planned: Deletion) -> bool:
    """Whether the user agrees on the terminal. Raises UsageError if there is none."""
    from mtlkit.report.tables import megabytes

    names = ", ".join(str(run.path) for run in planned.runs)
    about = f"{counted(len(planned.runs), 'run')} ({megabytes(planned.size)} MB): {names}"
    if not can_ask():
        raise UsageError(f"would delete {about}; nothing was deleted: confirm with --yes, as there is no terminal to ask on")
    stderr().print(f"delete {about}? [y/N] ", end="", markup=False, highlight=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit runs",
        "mtlkit runs --sort score",
        "mtlkit runs runs/mtl runs/other",
        "mtlkit runs runs/mtl runs/other --split validation",
        "mtlkit runs --keep 5",
        "mtlkit runs --delete runs/mtl --yes",
    ]
    add_command(app, "runs", RunsOptions, runs, examples, panel)
