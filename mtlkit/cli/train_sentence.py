"""`mtlkit train-sentence`."""

from __future__ import annotations

import typer

from mtlkit.cli.options import add_command
from mtlkit.cli.progress import loading
from mtlkit.config.training import TrainSentenceOptions


def train_sentence(options: TrainSentenceOptions, as_json: bool) -> None:
    """Turn a base into a sentence encoder by fine-tuning it: on labels, on pairs of texts, or on what a teacher says.

    Starts from the newest base under --runs, else from the model inside the package, or from fresh weights with --init scratch.

    classify: a text and its label, by way of a head. pairs: two texts that belong together (columns such as anchor and positive),
    told apart from all others of their batch. distill: texts alone; a --teacher's vectors are worked out once, kept, and learned.
    similarity: two texts and how alike they are (sentence1, sentence2, score), learned by their cosine.
    """
    from mtlkit.recipes.inputs.early_checks import check_objective

    if options.resume is None:
        check_objective(options.objective, [options.task], options.encoding)

    with loading():
        from mtlkit.cli.training_view import follow
        from mtlkit.recipes.train_sentence import stream

    follow(stream(options), as_json, verbose=options.verbose)


def register(app: typer.Typer) -> None:
    examples = [
        "mtlkit train-sentence",
        'mtlkit train-sentence --task "intent=tickets.csv?text=body" --init scratch --size m',
        'mtlkit train-sentence --objective pairs --task "faq=faq.csv?first=question&second=answer" --init mini',
        "mtlkit train-sentence --objective similarity --task sts=stsb --init mini",
        "mtlkit train-sentence --objective distill --teacher sentence-transformers/all-MiniLM-L6-v2 --task texts=texts.txt"
        " --init scratch --token-init teacher --matryoshka 64",
    ]
    add_command(app, "train-sentence", TrainSentenceOptions, train_sentence, examples)
