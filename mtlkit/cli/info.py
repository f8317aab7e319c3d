"""`mtlkit info`."""

from __future__ import annotations

import typer

from mtlkit.cli.console import print_json, say, stdout
from mtlkit.cli.options.command import add_command
from mtlkit.config.commands.run_commands import InfoOptions


def info(options: InfoOptions, as_json: bool) -> None:
    """Describe a run: origin, parts, data, metrics and integrity.

    Exits with code 4 if a file is damaged or missing. No weights are loaded. RUN may also be an export or an unfinished training.

    --caches lists the caches of mtlkit instead: those in the user's cache folder, in .cache next to the runs in --runs, and parts
    of unfinished embed commands in the current folder. --clear-caches removes them; other files are never touched.
    """
    if options.caches or options.clear_caches:
        show_caches(options, as_json)
    else:
        show_run(options, as_json)


def show_caches(options: InfoOptions, as_json: bool) -> None:
    """Lists or clears the caches."""
    from mtlkit.recipes.caches import caches
    from mtlkit.report.caches import cache_table

    report = caches(options)
    if as_json:
        print_json(report.to_json())
    else:
        stdout().print(cache_table(report))


def show_run(options: InfoOptions, as_json: bool) -> None:
    """Describes a run. Raises IntegrityError if it is damaged."""
    from mtlkit.errors import IntegrityError
    from mtlkit.recipes.info import info as read
    from mtlkit.report.info import info_tables

    facts = read(options)
    say(f"run: {facts.name}, {facts.reason}")
    if as_json:
        print_json(facts.to_json())
    else:
        console = stdout()
        for table in info_tables(facts, console.width):
            console.print(table)
    if facts.problems:
        more = f" (the first of {len(facts.problems)} problems)" if len(facts.problems) > 1 else ""
        raise IntegrityError(facts.problems[0] + more)


def register(app: typer.Typer, panel: str) -> None:
    examples = ["mtlkit info", "mtlkit info runs/mtl", "mtlkit info mini --json", "mtlkit info --caches"]
    add_command(app, "info", InfoOptions, info, examples, panel)
