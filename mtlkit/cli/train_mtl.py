"""`mtlkit train-mtl`."""

from __future__ import annotations

import typer

from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading
from mtlkit.cli.ranks import one_voice
from mtlkit.config.commands.train_mtl import TrainMtlOptions


@one_voice()
def train_mtl(options: TrainMtlOptions, as_json: bool) -> None:
    """Train one head per task on one backbone.

    Starts from the newest sentence encoder in --runs, else the newest base, else the bundled model mini. --init chooses another
    model; --init scratch starts from random weights. Heads of the starting model are kept.
    """
    from mtlkit.recipes.inputs.early_checks import check_tasks

    if options.resume is None:
        check_tasks(options.task, options.encoding, "train-mtl")

    with loading():
        from mtlkit.cli.new_classes import followed_asking
        from mtlkit.recipes.train_mtl import stream

    followed_asking(stream, options, as_json)


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit train-mtl",
        "mtlkit train-mtl --freeze backbone --out runs/frozen",
        "mtlkit train-mtl --few-shot --task intent=few.csv --init mini --out runs/few",
        "mtlkit train-mtl --freeze head:topic --init runs/mtl --out runs/kept",
        "mtlkit train-mtl --unfreeze top-down --layer-lr-decay 2.6 --out runs/thawed",
        "mtlkit train-mtl --task topic=ag_news --task sentiment=imdb --cap shortest --schedule joint",
    ]
    add_command(app, "train-mtl", TrainMtlOptions, train_mtl, examples, panel)
