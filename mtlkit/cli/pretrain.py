"""`mtlkit pretrain`."""

from __future__ import annotations

import typer

from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading
from mtlkit.config.commands.pretrain import PretrainOptions


def pretrain(options: PretrainOptions, as_json: bool) -> None:
    """Train a tokenizer and a base by next-token prediction.

    Uses the samples in the package unless sources are given. Ends with perplexity and bits per byte on held-out text.
    """
    from mtlkit.recipes.inputs.early_checks import check_texts

    if options.resume is None:
        check_texts(options.sources, options.encoding)

    with loading():
        from mtlkit.cli.training_view import follow
        from mtlkit.recipes.pretrain import stream

    follow(stream(options), as_json, verbose=options.verbose)


def register(app: typer.Typer, panel: str) -> None:
    examples = ["mtlkit pretrain", 'mtlkit pretrain "articles.parquet?text=body" notes.txt --size m --tokens 50000000']
    add_command(app, "pretrain", PretrainOptions, pretrain, examples, panel)
