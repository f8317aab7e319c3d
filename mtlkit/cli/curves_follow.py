"""`mtlkit curves --follow`: curves of a running training, redrawn in place on a terminal; lines elsewhere."""

from __future__ import annotations

from contextlib import nullcontext

from rich.console import RenderableType
from rich.live import Live

from mtlkit.cli.console import say, stdout
from mtlkit.config.commands.run_commands import CurvesOptions
from mtlkit.config.shell import quoted
from mtlkit.errors import UsageError
from mtlkit.recipes.curves_follow import Followed
from mtlkit.recipes.curves_follow import follow as follow_log
from mtlkit.report.curves import curve_text, evaluation_lines
from mtlkit.report.log_reader import Curves, Series, solved_without_steps
from mtlkit.report.text import literal


def follow(options: CurvesOptions, as_json: bool) -> None:
    """Shows a training until it ends. Raises UsageError, IntegrityError, SavingError."""
    if as_json:
        raise UsageError("--follow draws as the log grows, and --json prints one document; remove one of them")
    console, drawn = stdout(), Curves((), {}, Series(), ())
    live = Live(console=console, auto_refresh=False) if console.is_terminal and options.output is None else None
    last = Followed(options.runs)
    with live or nullcontext():
        for last in follow_log(options):
            if live is not None:
                live.update(content(last, options), refresh=True)
            elif last.curves is None:
                say(waiting(last))
            else:
                for line in evaluation_lines(last.curves, drawn):
                    console.print(literal(line), soft_wrap=True)
                drawn = last.curves
    finish(last, options)


def content(last: Followed, options: CurvesOptions) -> RenderableType:
    """What the terminal shows: as much as fits, so that it can be redrawn in place."""
    console = stdout()
    if last.curves is None:
        return literal(waiting(last))
    height = None if last.ended else console.height - 1
    text = curve_text(last.curves, console.width, span=options.smooth, ascii_only=console.options.ascii_only, height=height)
    return literal("fewer than three steps so far") if text is None else text


def waiting(last: Followed) -> str:
    return f"waiting for a training to write {last.folder}; press Ctrl-C to stop"


def finish(last: Followed, options: CurvesOptions) -> None:
    """The last words. Raises UsageError if there was nothing to draw for `--output`."""
    assert last.curves is not None
    if last.curves.solved:
        reason = solved_without_steps(last.curves)
        if options.output is not None:
            raise UsageError(f"--output {options.output}: {reason}; remove it")
        say(reason)
    run = quoted(str(last.folder))
    if last.ended == "finished":
        say(f"{last.folder}: the training has ended; next: mtlkit info {run}")
    else:
        say(f"{last.folder}: the training was interrupted; resume it with --resume {run}")
    if options.output is not None:
        print(options.output)
