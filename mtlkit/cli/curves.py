"""`mtlkit curves`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mtlkit.cli.console import print_json, say, stdout
from mtlkit.cli.options.command import add_command
from mtlkit.config.commands.run_commands import CurvesOptions
from mtlkit.config.shell import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


def curves(options: CurvesOptions, as_json: bool) -> None:
    """Plot the losses of a run, finished or still training.

    Per task: the smoothed training loss and the validation loss of every epoch, drawn in the terminal, with a mark where weights
    are kept. --output writes a picture instead, with raw losses, scores and gradient norms. --follow draws a running training
    until it ends.
    """
    from mtlkit.cli.curves_follow import follow
    from mtlkit.recipes.curves import curves as read
    from mtlkit.report.curves import curve_text
    from mtlkit.report.log_reader import solved_without_steps

    if options.follow:
        follow(options, as_json)
        return
    shown = read(options)
    say(f"curves of {shown.log}, {shown.reason}")
    if as_json:
        print_json({"log": str(shown.log), **shown.curves.to_json(options.smooth)})
    elif options.output is None:
        console = stdout()
        text = curve_text(shown.curves, console.width, span=options.smooth, ascii_only=console.options.ascii_only)
        if shown.curves.solved:
            say(f"{solved_without_steps(shown.curves)}; mtlkit info {quoted(str(shown.log.parent))} has the scores")
        elif text is None:
            say("fewer than three steps or evaluations make no curve; --json gives them as numbers")
        else:
            console.print(text)
    else:
        print(options.output)


def print_curves(run: Path, console: Console) -> None:
    """The curves of a run that has just been trained; nothing if its log is missing or too short."""
    from mtlkit.report.curves import curve_text
    from mtlkit.report.log_reader import read_curves
    from mtlkit.runs.record import LOG

    log = run / LOG
    text = curve_text(read_curves(log), console.width, ascii_only=console.options.ascii_only) if log.is_file() else None
    if text is not None:
        console.print(text)


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit curves",
        "mtlkit curves runs/mtl --smooth 50",
        "mtlkit curves runs/mtl --output curves.svg",
        "mtlkit curves runs/mtl --follow",
        "mtlkit curves runs/mtl --json",
    ]
    add_command(app, "curves", CurvesOptions, curves, examples, panel)
