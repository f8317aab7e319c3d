"""Shows the progress of `embed --output`. Always on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from mtlkit.cli.console import say, stderr
from mtlkit.cli.progress import Display
from mtlkit.config.shell import command_text
from mtlkit.recipes.embed import EmbedProgress

ACTIVITIES = {"embedded": "embedding", "written": "writing"}


def follow(steps: Iterator[EmbedProgress]) -> int:
    """Shows progress to the end; returns the number of vectors written. If interrupted, prints how to resume."""
    embedded: EmbedProgress | None = None
    texts = 0
    try:
        with Display(stderr()) as display:
            display.busy("embedding")
            for step in steps:
                texts = step.texts
                embedded = step if step.stage == "embedded" else embedded
                if step.stage == "finished":
                    say("the output is already complete, with the same model and texts; nothing left to resume")
                else:
                    reused = step.reused if step.stage == "embedded" else 0
                    display.busy(ACTIVITIES[step.stage], step.texts, step.total, earlier=reused)
    except BaseException:
        if embedded:
            say(f"{embedded.texts:,} vectors are kept; resume with: {resume_command(sys.argv[1:])}")
        raise
    if embedded and embedded.reused:
        say(f"{embedded.reused:,} vectors reused from an interrupted run")
    return texts


def resume_command(arguments: list[str]) -> str:
    """The same command, resumed."""
    command, *rest = [argument for argument in arguments if argument not in ("--resume", "--overwrite")]
    return command_text(["mtlkit", command, "--resume", *rest])
