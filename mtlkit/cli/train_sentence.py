"""`mtlkit train-sentence`."""

from __future__ import annotations

import typer

from mtlkit.cli.options import add_command
from mtlkit.config.training import TrainSentenceOptions


def train_sentence(options: TrainSentenceOptions, as_json: bool) -> None:
    """Turn a base into a sentence encoder by fine-tuning it on one task.

    Starts from the newest base under --runs, or from fresh weights with --init scratch.
    """
    from mtlkit.cli.progress import follow
    from mtlkit.recipes.train_sentence import stream

    follow(stream(options), as_json)


def register(app: typer.Typer) -> None:
    examples = [
        "mtlkit train-sentence",
        'mtlkit train-sentence --task "intent=tickets.csv?text=body" --init scratch --size m',
    ]
    add_command(app, "train-sentence", TrainSentenceOptions, train_sentence, examples)
