"""`mtlkit join`."""

from __future__ import annotations

import typer

from mtlkit.cli.console import answer, print_json
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import working
from mtlkit.config.commands.join import JoinOptions
from mtlkit.errors import counted


def join(options: JoinOptions, as_json: bool) -> None:
    """Check that an output in parts is complete, and join its parts into one file.

    Every part is read and compared with the digest in the manifest. If rows are missing, because a shard has not run or was
    killed, says which.
    """
    from mtlkit.recipes.join import join as run

    with working("checking parts"):
        joined = run(options)
    if as_json:
        print_json(joined.to_json())
        return
    answer(f"{joined.folder}: complete, {counted(joined.rows, 'row')} in {counted(joined.parts, 'part')}, all verified")
    if joined.output is not None:
        answer(f"{joined.output}: {counted(joined.rows, 'row')}")


def register(app: typer.Typer, panel: str) -> None:
    examples = ["mtlkit join vectors/", "mtlkit join vectors/ --output vectors.parquet"]
    add_command(app, "join", JoinOptions, join, examples, panel)
