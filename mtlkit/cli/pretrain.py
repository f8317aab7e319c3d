"""`mtlkit pretrain`."""

from __future__ import annotations

import typer

from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading
from mtlkit.cli.ranks import one_voice
from mtlkit.config.commands.pretrain import PretrainOptions


@one_voice()
def pretrain(options: PretrainOptions, as_json: bool) -> None:
    """Train a base on raw text, or adapt a model to it.

    Fresh weights learn to predict the next token, with a tokenizer trained on the texts: by default, the samples in the package.
    With --init, that model is trained further with its own tokenizer; an encoder learns to predict masked tokens. Heads are
    trained afterwards. Ends with the perplexity on held-out text.
    """
    from mtlkit.recipes.inputs.early_checks import check_texts

    if options.resume is None:
        check_texts(options.sources, options.encoding)

    with loading():
        from mtlkit.cli.training_view import follow
        from mtlkit.recipes.pretrain import stream

    follow(stream(options), as_json, verbose=options.verbose)


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit pretrain",
        'mtlkit pretrain "articles.parquet?text=body" notes.txt --size m --tokens 50000000',
        "mtlkit pretrain reviews.txt --init mini",
    ]
    add_command(app, "pretrain", PretrainOptions, pretrain, examples, panel)
