"""Shows the progress of `embed --output` and `predict --output`. Always on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from mtlkit.cli.console import print_json, say, stderr
from mtlkit.cli.progress import Display
from mtlkit.config.shell import command_text
from mtlkit.errors import listed
from mtlkit.recipes.outputs.job import OutputProgress, RowOptions
from mtlkit.recipes.outputs.write import output_address, writes_parts


def write(options: RowOptions, steps: Iterator[OutputProgress], what: str, activity: str, as_json: bool, **facts: object) -> None:
    """Shows progress to the end, and then what was written: so many of `what`, with these facts in JSON."""
    rows = follow(steps, what, activity)
    address = output_address(options)
    if as_json:
        print_json({**facts, "output": address, "rows": rows})
    else:
        folder = "/" if writes_parts(options) and not address.endswith("/") else ""
        of_dim = f" of {facts['dim']}" if "dim" in facts else ""
        print(f"{address}{folder}: {rows:,} {what}{of_dim}")


def follow(steps: Iterator[OutputProgress], what: str, activity: str) -> int:
    """Shows progress to the end; returns the number of rows written. If interrupted, prints how to resume."""
    computed: OutputProgress | None = None
    texts = 0
    try:
        with Display(stderr()) as display:
            display.busy(activity)
            for step in steps:
                texts = step.texts
                computed = step if step.stage == "computed" else computed
                if step.stage == "finished":
                    say("the output is already complete, with the same model and texts; nothing left to resume")
                else:
                    reused = step.reused if step.stage == "computed" else 0
                    display.busy(activity if step.stage == "computed" else "writing", step.texts, step.total, earlier=reused)
                if step.missing:
                    say(f"waiting for other shards: {listed(step.missing, 4)}")
    except BaseException:
        if computed:
            say(f"{computed.texts:,} {what} are kept; resume with: {resume_command(sys.argv[1:])}")
        raise
    if computed and computed.reused:
        say(f"{computed.reused:,} {what} reused from an interrupted run")
    return texts


def resume_command(arguments: list[str]) -> str:
    """The same command, resumed."""
    command, *rest = [argument for argument in arguments if argument not in ("--resume", "--overwrite")]
    return command_text(["mtlkit", command, "--resume", *rest])
