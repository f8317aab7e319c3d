"""`mtlkit predict`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from mtlkit.cli.console import print_json, print_line, say, say_cut, say_notes, stdout
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import followed, loading
from mtlkit.config.commands.predict import PredictOptions
from mtlkit.errors import listed

if TYPE_CHECKING:
    from rich.text import Text

    from mtlkit.config.architecture import TaskSpec

WIDEST = 23  # columns of a task's predictions that the texts leave room for


def predict(options: PredictOptions, as_json: bool) -> None:
    """Predict labels and probabilities with every head.

    The backbone runs once for all heads. If the run has a router, only the heads that fit a text predict. In a terminal, prints a
    table; in a pipe, one JSON object per line.

    Heads that read pairs of texts predict with --pair: for two texts, or two columns of --input. Heads that label words give
    spans with their places in the text, in characters; in a terminal, the spans are marked in the text.

    --output writes a file, or a folder of parts, in constant memory, and --resume continues it after any interruption.

    With --reject, classification heads may answer "none of these": for texts unlike those that they were trained on, and for
    blank texts.
    """
    from mtlkit.recipes.inputs.early_checks import check_input

    check_input(options)

    with loading():
        from mtlkit.inference.predictions import heads_for
        from mtlkit.inference.scope.rejection import can_reject
        from mtlkit.recipes.inputs.open_model import open_model
        from mtlkit.recipes.inputs.pairs import predicts_pairs
        from mtlkit.recipes.inputs.texts import input_notes
        from mtlkit.recipes.inputs.words import reads_words
        from mtlkit.recipes.outputs.write import check_output
        from mtlkit.recipes.predict import predict as answers_to
        from mtlkit.recipes.predict import predict_to_output

        if options.output is not None:
            check_output(options)
        loaded, found = open_model(options)
    say(f"model: {found}, {found.reason}")
    say_notes(loaded)
    of_pairs = predicts_pairs(options, loaded.specs)
    tasks = heads_for(loaded.specs, options.tasks, loaded.name, pairs=of_pairs) if loaded.tasks else ()
    records = loaded.recorded(options.tasks)
    for note in [] if of_pairs or reads_words(options, records) else input_notes(options, records):
        say(note)
    if options.tasks is None and (others := [name for name in loaded.tasks if name not in tasks]):
        why = "heads for single texts, without --pair" if of_pairs else "heads for pairs of texts, with --pair FIRST SECOND"
        say(f"not used: {why}: {listed(others)}")
    if options.reject is not None:
        known = [name for name in tasks if name in loaded.tasks]
        scopes = loaded.scopes_for(known)
        if without := [name for name in known if name not in scopes]:
            say(f"only blank texts are rejected by {listed(without)}: {loaded.name} keeps no training vectors for that", "yellow")
    if options.output is not None:
        from mtlkit.cli.output_progress import write

        write(options, predict_to_output(options, loaded, sys.stdin), "predictions", "predicting", as_json, model=str(found))
        say_cut(loaded.encoder)
        return
    blank = Blank()
    answers = blank.counted(followed(answers_to(options, loaded, sys.stdin), "predicting"))
    if as_json:
        print_json({"model": str(found), "predictions": list(answers)})
    elif stdout().is_terminal:
        specs = {name: loaded.specs[name] for name in tasks if name in loaded.specs}
        show(answers, specs, bool(loaded.router) and options.tasks is None and not of_pairs)
    else:
        for answer in answers:
            print_line(answer)
    say_cut(loaded.encoder)
    if blank.texts and options.reject is None and any(can_reject(loaded.specs[name]) for name in tasks if name in loaded.specs):
        say(
            f"{blank.texts:,} blank text{'s' if blank.texts > 1 else ''}: predictions mean nothing; --reject rejects them",
            "yellow",
        )


class Blank:
    """Counts texts with nothing in them."""

    def __init__(self) -> None:
        self.texts = 0

    def counted(self, answers: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        from mtlkit.inference.scope.rejection import is_blank

        for answer in answers:
            self.texts += is_blank(answer["pair"] if "pair" in answer else answer["text"])
            yield answer


def show(answers: Any, specs: Mapping[str, TaskSpec], routed: bool) -> None:
    """A row for each text, a column for each task; before them the likeliest task where a router chose the heads. The words that
    the first head of words labels are marked in the text."""
    from mtlkit.report.tables import new_table
    from mtlkit.report.text import literal

    console = stdout()
    marked = next((name for name, spec in specs.items() if spec.tags is not None), None)
    kinds = {name: spec.kind for name, spec in specs.items() if name != marked}
    titles = [*(["which task"] if routed else []), *kinds]
    rows: list[tuple[Text, list[str]]] = []
    for answer in answers:
        found = answer["tasks"]
        cells = [likeliest(answer["router"])] if routed else []
        cells += [in_short(kind, found[task]) if task in found else "" for task, kind in kinds.items()]
        rows.append((shown_text(answer, found.get(marked)), cells))
    widths = [max(map(len, column)) for column in zip(titles, *(cells for _, cells in rows), strict=True)] if titles else []
    room = console.width - sum(min(width, WIDEST) + 3 for width in widths) - 2
    table = new_table()
    table.add_column(
        "text" if marked is None else literal(f"text, marked by {marked}"),
        max_width=max(20, room),
        overflow="fold" if marked else "ellipsis",
        no_wrap=not marked,
    )
    for title in titles:
        table.add_column(literal(title), overflow="fold")
    for text, cells in rows:
        table.add_row(text, *map(literal, cells))
    console.print(table)


def shown_text(answer: dict[str, Any], labelled: dict[str, Any] | None) -> Text:
    """The text of an answer, or both texts of a pair, with the words that a head labelled."""
    from mtlkit.report.spans import marked_text
    from mtlkit.report.text import one_line

    if labelled is not None:
        return marked_text(answer["text"], labelled)
    return one_line(" | ".join(answer["pair"]) if "pair" in answer else answer["text"])


def in_short(kind: str, answer: dict[str, Any]) -> str:
    """The cell of an answer."""
    from mtlkit.inference.predictions import prediction_kind
    from mtlkit.inference.scope.rejection import NONE_OF_THESE

    return NONE_OF_THESE if answer.get("rejected") else prediction_kind(kind).in_short(answer)


def likeliest(router: dict[str, float]) -> str:
    """The task that a text most likely belongs to."""
    best = max(router, key=lambda task: router[task])
    return f"{best} {router[best]:.0%}"


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        'mtlkit predict "The striker scored twice before the interval."',
        'mtlkit predict --reject auto "What is the capital of Peru?"',
        "mtlkit predict --input reviews.csv --task sentiment > out.jsonl",
        "mtlkit predict --input reviews.csv --keep id --output out.csv --top-k 3",
        'mtlkit predict --model runs/nli --pair "A man is eating." "Somebody eats."',
        "mtlkit predict --model runs/nli --input pairs.csv --pair premise,hypothesis",
    ]
    add_command(app, "predict", PredictOptions, predict, examples, panel)
