"""`mtlkit mine`."""

from __future__ import annotations

import typer

from mtlkit.cli.console import answer, print_json, say, say_cut, say_notes
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading, working
from mtlkit.config.commands.mine import MineOptions
from mtlkit.config.shell import command_text
from mtlkit.errors import counted


def mine(options: MineOptions, as_json: bool) -> None:
    """Find hard negatives for pairs of texts.

    For each pair, texts that the model finds similar to the first text, although they do not match it: never the text itself, any
    of its matches, or a copy of them. They come from the second texts of the other pairs, or from --corpus. Writes a table that
    train-sentence --objective pairs and triplets read.

    The search is exact and compares in blocks, so memory does not grow with the corpus. A pair without enough negatives is left
    out.
    """
    from mtlkit.recipes.inputs.early_checks import check_pairs, check_texts

    if options.source is not None:
        check_pairs([options.source], options.encoding or "utf-8", "pairs")
    if options.corpus is not None:
        check_texts([options.corpus], options.encoding or "utf-8")
    with loading():
        from mtlkit.recipes import mine as recipe
        from mtlkit.recipes.inputs.open_model import open_model
        from mtlkit.report.sources import source_line

        recipe.check_output(options)
        loaded, ref = open_model(options)
    say(f"model: {ref}, {ref.reason}")
    say_notes(loaded)
    with working("mining"):
        mined = recipe.mine(options, loaded)
    say(source_line(mined.record, mined.record.source))
    if mined.tally.skipped:
        say(str(mined.tally), "yellow")
    if left_out := mined.pairs - mined.written:
        say(f"{counted(left_out, 'pair')} left out: fewer than {mined.negatives} candidates{mined.limits}", "yellow")
    say_cut(loaded.encoder)
    if as_json:
        print_json(mined.to_json())
        return
    answer(
        f"{mined.output}: {mined.written:,} of {mined.pairs:,} pairs, each with {mined.negatives} of {mined.candidates:,} "
        f"candidates as negatives; mean similarity {mined.positive:.3f} of positives, {mined.negative:.3f} of negatives"
    )
    command = ["mtlkit", "train-sentence", "--objective", "pairs", "--task", f"pairs={mined.output}", "--init", str(ref)]
    say(f"next: {command_text(command)}")


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit mine faq.csv --output negatives.jsonl",
        'mtlkit mine "faq.csv?first=question&second=answer" --model runs/sentence --negatives 5 -o negatives.parquet',
        'mtlkit mine pairs.csv --corpus "articles.csv?text=body" --margin 0.1 --skip 2 --depth 50 -o negatives.csv',
    ]
    add_command(app, "mine", MineOptions, mine, examples, panel)
