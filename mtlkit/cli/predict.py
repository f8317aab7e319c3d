"""`mtlkit predict`."""

from __future__ import annotations

import sys
from typing import Any

import typer

from mtlkit.cli.console import print_json, print_line, say, say_cut, say_notes, stdout
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import followed, loading
from mtlkit.config.inference import PredictOptions

WIDEST = 23  # columns of a task's predictions that the texts leave room for


def predict(options: PredictOptions, as_json: bool) -> None:
    """Predict labels and probabilities with every head.

    The backbone runs once for all heads. If the run has a router, only the heads that fit a text predict. In a terminal, prints a
    table; in a pipe, one JSON object per line.
    """
    from mtlkit.recipes.inputs.early_checks import check_input

    check_input(options)

    with loading():
        from mtlkit.recipes.inputs.open_model import open_model
        from mtlkit.recipes.inputs.texts import input_notes
        from mtlkit.recipes.predict import predict as answers_to

        loaded, found = open_model(options)
    say(f"model: {found}, {found.reason}")
    say_notes(loaded)
    for note in input_notes(options, loaded.recorded(options.task)):
        say(note)
    answers = followed(answers_to(options, loaded, sys.stdin), "predicting")
    if as_json:
        print_json({"model": str(found), "predictions": list(answers)})
    elif stdout().is_terminal:
        tasks = loaded.tasks if options.task is None else (options.task,)
        kinds = {name: loaded.specs[name].kind for name in tasks if name in loaded.specs}
        show(answers, kinds, bool(loaded.router) and options.task is None)
    else:
        for answer in answers:
            print_line(answer)
    say_cut(loaded.encoder)


def show(answers: Any, kinds: dict[str, str], routed: bool) -> None:
    """A row for each text, a column for each task, given with its kind; before them the likeliest task where a router chose the
    heads."""
    from mtlkit.inference.predictions import prediction_kind
    from mtlkit.report.tables import new_table
    from mtlkit.report.text import literal, one_line

    console = stdout()
    titles = [*(["which task"] if routed else []), *kinds]
    rows: list[tuple[str, list[str]]] = []
    for answer in answers:
        found = answer["tasks"]
        cells = [likeliest(answer["router"])] if routed else []
        cells += [prediction_kind(kind).in_short(found[task]) if task in found else "" for task, kind in kinds.items()]
        rows.append((answer["text"], cells))
    widths = [max(map(len, column)) for column in zip(titles, *(cells for _, cells in rows), strict=True)]
    room = console.width - sum(min(width, WIDEST) + 3 for width in widths) - 2
    table = new_table()
    table.add_column("text", max_width=max(20, room), overflow="ellipsis", no_wrap=True)
    for title in titles:
        table.add_column(literal(title), overflow="fold")
    for text, cells in rows:
        table.add_row(one_line(text), *map(literal, cells))
    console.print(table)


def likeliest(router: dict[str, float]) -> str:
    """The task that a text most likely belongs to."""
    best = max(router, key=lambda task: router[task])
    return f"{best} {router[best]:.0%}"


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        'mtlkit predict "The striker scored twice before the interval."',
        "mtlkit predict --input reviews.csv --task sentiment > out.jsonl",
    ]
    add_command(app, "predict", PredictOptions, predict, examples, panel)
