"""Shows how far `embed --output` is: a live line on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator

from rich.live import Live
from rich.text import Text

from mtlkit.cli.console import say, stderr
from mtlkit.cli.training_view import PLAIN_SECONDS, clock
from mtlkit.recipes.embed import EmbedProgress


def follow(steps: Iterator[EmbedProgress]) -> int:
    """Shows progress to the end; how many vectors were written. On any other end, says how to go on with what was done."""
    console, started = stderr(), time.monotonic()
    embedded: EmbedProgress | None = None
    texts, spoke = 0, started
    live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
    try:
        if live:
            live.start()
        for step in steps:
            texts = step.texts
            embedded = step if step.stage == "embedded" else embedded
            if step.stage == "finished":
                say("the output is finished already, with the same model and texts; nothing is left to resume")
                continue
            text = line(step, time.monotonic() - started)
            if live:
                live.update(Text(text), refresh=True)
            elif time.monotonic() - spoke > PLAIN_SECONDS:
                spoke = time.monotonic()
                say(text)
    except BaseException:
        if embedded:
            say(f"{embedded.texts:,} vectors are kept; go on with: {resume_command(sys.argv[1:])}")
        raise
    finally:
        if live:
            live.update(Text(""))
            live.stop()
    if embedded and embedded.kept:
        say(f"{embedded.kept:,} vectors were there already")
    return texts


def line(step: EmbedProgress, seconds: float) -> str:
    """For example "12,288 of 1,000,000 vectors  512 texts/s  32:09 left"."""
    of = "" if step.total is None else f" of {step.total:,}"
    if step.stage == "written":
        return f"{step.texts:,}{of} vectors written"
    pace = (step.texts - step.kept) / seconds
    left = "" if step.total is None or not pace else f"  {clock((step.total - step.texts) / pace)} left"
    return f"{step.texts:,}{of} vectors  {pace:,.0f} texts/s{left}"


def resume_command(arguments: list[str]) -> str:
    """The same command, going on."""
    command, *rest = [argument for argument in arguments if argument not in ("--resume", "--overwrite")]
    return shlex.join(["mtlkit", command, "--resume", *rest])
