"""`mtlkit report`."""

from __future__ import annotations

import typer

from mtlkit.cli.console import answer, print_json, say, say_cached
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading, working
from mtlkit.config.commands.report import ReportOptions
from mtlkit.errors import counted


def report(options: ReportOptions, as_json: bool) -> None:
    """Write a page about a run: figures, curves, confusion matrices with the texts behind them, mistakes, data and lineage.

    Of several runs, the page overlays their curves and compares their options, scores and predictions on the same rows.

    The page is one file that needs no network, legible on paper and on a phone. The heads are evaluated on --split; curves come
    from the log alone, so a run that is still training has a page, too.
    """
    with loading():
        from mtlkit.recipes.report import check
        from mtlkit.recipes.report import report as write

    check(options)
    with working("evaluating"):
        written = write(options)
    if written.facts is not None:
        say(f"run: {written.facts.name}, {written.facts.reason}")
    say_cached(written.cached)
    for note in written.page.notes:
        say(note, "yellow")
    if as_json:
        runs = list(map(str, written.runs))
        about: dict[str, object] = {"run": runs[0]} if len(runs) == 1 else {"runs": runs}
        pictures = {"pictures": [str(path) for path in written.pictures]} if written.pictures else {}
        print_json({**about, "output": str(written.output), "bytes": written.bytes, **pictures})
    else:
        answer(f"{written.output}: {written.bytes / 1e6:.2f} MB")
        if written.pictures:
            answer(f"{written.pictures[0].parent}: {counted(len(written.pictures), 'picture')}")


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit report",
        "mtlkit report runs/mtl -o report.html --overwrite",
        "mtlkit report runs/mtl --split validation --format md",
        "mtlkit report runs/mtl runs/other -o comparison.html",
        "mtlkit report runs/mtl --pictures pictures --overwrite",
    ]
    add_command(app, "report", ReportOptions, report, examples, panel)
