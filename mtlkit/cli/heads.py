"""`mtlkit heads`."""

from __future__ import annotations

import typer

from mtlkit.cli.console import answer, print_json, say
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading
from mtlkit.config.commands.heads import HeadsOptions
from mtlkit.errors import listed


def heads(options: HeadsOptions, as_json: bool) -> None:
    """Drop, rename or add heads of a run, without training.

    Writes a new run on the same backbone. Heads keep their weights, calibration and training vectors; the old runs stay as they
    are.
    """
    with loading():
        from mtlkit.recipes import heads as recipe
        from mtlkit.recipes.inputs.next_command import predict_command

    changed = recipe.heads(options)
    say(f"run: {changed.model}, {changed.model.reason}")
    for note in changed.notes:
        say(note, "yellow")
    if as_json:
        print_json({"run": str(changed.out), "parent": str(changed.model), "tasks": list(changed.tasks)})
        return
    answer(f"{changed.out}: {listed([f'head:{task}' for task in changed.tasks], 40)}")
    say(f"next: {predict_command(['--model', str(changed.out)], pairs=changed.pairs)}")


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit heads --drop mood",
        "mtlkit heads runs/mtl --drop mood --rename topic=subject --out runs/fewer",
        "mtlkit heads runs/mtl --take runs/other:mood --out runs/both",
    ]
    add_command(app, "heads", HeadsOptions, heads, examples, panel)
