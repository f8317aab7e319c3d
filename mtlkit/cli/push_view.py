"""What `export --push` would send, or has sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mtlkit.cli.console import answer, say, stdout
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.errors import counted, listed

if TYPE_CHECKING:
    from rich.table import Table

    from mtlkit.recipes.publishing.push import PushPlan


def show_push(options: ExportOptions, plan: PushPlan) -> None:
    """What was pushed, or would be, with the command that does it."""
    from mtlkit.recipes.inputs.command_line import command_line
    from mtlkit.report.tables import megabytes

    what = f"{counted(len(plan.files), 'file')}, {megabytes(plan.size)} MB"
    visible = "private" if plan.private else "public"
    if plan.done:
        answer(f"{plan.url} already has this export" if plan.changes_nothing else f"pushed {what} to {plan.url} ({visible})")
        return
    stdout().print(push_table(plan))
    if plan.unknown:
        say(f"whether {plan.repository.name} exists is not known: {plan.unknown}", "yellow")
    elif plan.repository.commit is None:
        say(f"{plan.repository.name} does not exist, or the token does not see it; it would be made, {visible}")
    else:
        say(f"{plan.repository.name} exists and is {visible}")
    if plan.stays:
        say(f"other files there stay: {listed(plan.stays)}")
    yes = replace(options, yes=True, replace=bool(plan.conflicts), overwrite=False)
    answer(f"nothing was sent; to send {what} to {plan.url}: {command_line('export', yes)}")


def push_table(plan: PushPlan) -> Table:
    """A row per file: its size, and what becomes of it in the repository."""
    from mtlkit.report.tables import new_table
    from mtlkit.report.text import literal

    table = new_table()
    table.add_column("file", overflow="fold")
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("on the hub", no_wrap=True)
    styles = {"replaced": "yellow", "deleted": "yellow"}
    for name, change in plan.changes.items():
        size = f"{plan.files[name].size:,}" if name in plan.files else "-"
        shown = "not known" if plan.unknown else change
        table.add_row(literal(name), size, literal(shown, styles.get(shown, "")))
    return table
