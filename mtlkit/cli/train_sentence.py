"""`mtlkit train-sentence`."""

from __future__ import annotations

import typer

from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading
from mtlkit.cli.ranks import one_voice
from mtlkit.config.commands.train_sentence import TrainSentenceOptions


@one_voice()
def train_sentence(options: TrainSentenceOptions, as_json: bool) -> None:
    """Fine-tune a base into a sentence encoder.

    Starts from the newest base in --runs, else from the bundled model mini, or from random weights with --init scratch.

    --objective classify learns labels through a head. labels learns them by contrast: texts with the same label get similar
    vectors, which helps most with few texts per label; train-mtl --freeze backbone then adds the head. pairs learns to tell
    matching texts (columns such as anchor and positive) from all others in the batch. distill learns the vectors of a --teacher,
    computed once and cached. similarity learns scores of text pairs (columns sentence1, sentence2, score) with the cosine of
    their vectors.
    """
    from mtlkit.recipes.inputs.early_checks import check_objective

    if options.resume is None:
        check_objective(options.objective, [options.task], options.encoding, "train-sentence")

    with loading():
        from mtlkit.cli.new_classes import followed_asking
        from mtlkit.recipes.train_sentence import stream

    followed_asking(stream, options, as_json)


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit train-sentence",
        'mtlkit train-sentence --task "intent=tickets.csv?text=body" --init scratch --size m',
        'mtlkit train-sentence --objective pairs --task "faq=faq.csv?first=question&second=answer" --init mini',
        "mtlkit train-sentence --objective labels --task intent=few.csv --init mini --learning-rate 5e-5 --epochs 10",
        "mtlkit train-sentence --objective similarity --task sts=stsb --init mini",
        "mtlkit train-sentence --objective distill --teacher sentence-transformers/all-MiniLM-L6-v2 --task texts=texts.txt"
        " --init scratch --token-init teacher --matryoshka 64",
    ]
    add_command(app, "train-sentence", TrainSentenceOptions, train_sentence, examples, panel)
