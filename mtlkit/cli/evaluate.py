"""`mtlkit eval`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from mtlkit.cli.console import answer, print_json, say, say_cached, say_notes, stdout
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading, working
from mtlkit.config.commands.evaluate import EvalOptions, parse_retrieval
from mtlkit.data.sources.grammar.task_names import named_sources
from mtlkit.errors import counted, listed
from mtlkit.runs.record import NOT_MEASURED, marked_tasks

if TYPE_CHECKING:
    from mtlkit.evaluation.reliability import Reliability
    from mtlkit.inference.loaded_model import LoadedModel
    from mtlkit.recipes.evaluate import Evaluation
    from mtlkit.recipes.evaluation.against import Comparison
    from mtlkit.recipes.evaluation.heads import TaskEvaluation


def evaluate(options: EvalOptions, as_json: bool) -> None:
    """Measure a model on held-out data.

    Per task: accuracy, macro-F1 and a table per class; correlations for regression. For a run with a router: how well it tells
    the tasks apart. For a base: perplexity on held-out text.

    --against compares with another model on the same rows. --out-of-scope measures how well texts that fit no class are
    recognized.

    --sts, --probe and --retrieval measure the vectors instead of the heads: how well cosines follow scores of sentence pairs, how
    well a logistic regression works on frozen vectors, and how well queries find their documents.
    """
    from mtlkit.recipes.inputs.early_checks import check_sources

    out_of_scope = [] if options.out_of_scope is None else [options.out_of_scope]
    check_sources([*(named_sources(options.task).values() if options.task else ()), *options.sts, *options.text, *out_of_scope])
    check_sources([source for text in options.retrieval for source in parse_retrieval(text)])

    from mtlkit.recipes.evaluation.confusion_file import check_output
    from mtlkit.recipes.evaluation.errors_file import check_errors

    check_output(options)
    check_errors(options)
    with loading():
        from mtlkit.recipes.evaluate import evaluate as measure
        from mtlkit.recipes.inputs.open_model import open_against, open_model
        from mtlkit.report.evaluation.figures import base_lines
        from mtlkit.report.evaluation.out_of_scope import separation_line

        loaded, ref = open_model(options)
        against = open_against(options)
    say(f"model: {ref}, {ref.reason}")
    say_notes(loaded)
    with working("evaluating"):
        result = measure(options, loaded, against)
    say_cached(result.cached)
    say_reading(options, loaded, result)
    believed = {name: task.reliability for name, task in result.tasks.items() if task.reliability}
    write_files(options, result, believed)
    if as_json:
        print_json(result.to_json())
        return
    if result.comparison:
        show_comparison(result.comparison, result.model)
    if not result.comparison or options.confusion or options.worst_first:
        for name, task in result.tasks.items():
            show(name, task, options)
    if not result.comparison or options.calibration:
        show_calibration(believed, options.calibration)
    for name, separation in result.out_of_scope.items():
        stdout().print(separation_line(name, separation))
    if result.router:
        show("which task", result.router, options)
    show_vectors(result, options.confusion)
    for line in base_lines(result.base):
        stdout().print(line)


def say_reading(options: EvalOptions, loaded: LoadedModel, result: Evaluation) -> None:
    """How the data was read, and what is not evaluated."""
    from mtlkit.report.sources import source_line, unseen_line

    if result.tally.skipped:
        say(str(result.tally), "yellow")
    if not options.task and result.tasks:
        if loaded.record and options.split == "validation" and (seen := trained_on(loaded.record.metrics)):
            say(f"{listed(seen)}: these rows were trained on, too; mtlkit info says what was measured in the training", "yellow")
        for name in loaded.tasks:
            if name not in result.tasks:
                say(f"{name}: not evaluated, as its data is not recorded; specify it with --task {name}=SOURCE")
    for name, record in result.records():
        say(source_line(record, name))
        for remark in record.remarks:
            say(remark, "yellow")
    for retrieval in result.retrieval:
        for remark in retrieval.remarks:
            say(f"{retrieval.source}: {remark}", "yellow")
    for name, task in (result.tasks | result.probes).items():
        if task.unseen:
            say(f"{name}: {unseen_line(task.unseen, 'row')}; not counted in the metrics", "yellow")


def trained_on(metrics: Mapping[str, Any]) -> list[str]:
    """The tasks of a run whose validation rows were trained on."""
    return [name for name in marked_tasks(metrics) if name not in marked_tasks(metrics, NOT_MEASURED)]


def write_files(options: EvalOptions, result: Evaluation, believed: Mapping[str, Reliability]) -> None:
    """Writes what `--errors` and `--output` ask for."""
    from mtlkit.recipes.evaluation.confusion_file import write_matrices
    from mtlkit.recipes.evaluation.errors_file import write_errors
    from mtlkit.recipes.evaluation.pictures import draw_confusion, draw_reliability, is_picture

    if options.errors is not None:
        number = write_errors(options, result.rows)
        say(f"{counted(number, 'row')} written to {options.errors}")
    if options.output is not None:
        if options.calibration and is_picture(options.output):
            draw_reliability(options, believed)
            say(f"reliability diagram written to {options.output}")
        else:
            write = draw_confusion if is_picture(options.output) else write_matrices
            write(options, matrices_of(result))
            say(f"confusion matrices written to {options.output}")


def show(name: str, task: TaskEvaluation, options: EvalOptions) -> None:
    """A task's tables."""
    from mtlkit.errors import shorten
    from mtlkit.report.evaluation.figures import class_table, headline
    from mtlkit.report.tables import new_table, titled
    from mtlkit.report.text import literal

    console = stdout()
    metrics = task.metrics
    if "per_class" not in metrics:
        console.print(literal(headline(name, metrics, console.width)))
        return
    console.print(class_table(f"{name} ({task.split})", metrics, console.width, worst_first=options.worst_first))
    if task.truncated:
        console.print(literal(f"{task.truncated / metrics['n']:.1%} of the texts did not fit and were cut"))
    if not options.confusion:
        return
    if "word_confusion" in metrics:
        show_confusion(f"{name}, words by type", metrics["word_confusion"])
    if "confusion" not in metrics:
        return
    show_confusion(name, metrics)
    if not task.confused:
        return
    pairs = new_table()
    for column in ("true", "predicted as", "texts", "for example"):
        pairs.add_column(column, justify="right" if column == "texts" else "left", overflow="fold")
    for pair in task.confused:
        pairs.add_row(
            literal(pair.true), literal(pair.predicted), str(pair.count), literal(shorten(pair.text, 2 * console.width))
        )
    console.print(titled(f"{name}: most often confused", pairs))


def show_comparison(comparison: Comparison, model: str) -> None:
    """A table and a sentence for each common task; the other tasks are named."""
    from mtlkit.report.evaluation.comparison import comparison_sentence, comparison_table

    for task in comparison.tasks.values():
        stdout().print(comparison_table(task, model, comparison.against, stdout().width))
        answer(comparison_sentence(task, model, comparison.against))
    for owner, names in ((model, comparison.only_model), (comparison.against, comparison.only_against)):
        if names:
            say(f"only in {owner}: {', '.join(names)}")


def show_calibration(believed: Mapping[str, Reliability], table: bool) -> None:
    """How well the probabilities of each head are calibrated."""
    from mtlkit.report.evaluation.calibration import reliability_line, reliability_table

    for name, reliability in believed.items():
        stdout().print(reliability_table(name, reliability) if table else reliability_line(name, reliability))


def matrices_of(result: Evaluation) -> dict[str, tuple[list[str], list[list[int]]]]:
    """Labels and counts of every confusion matrix, by task."""
    evaluated = {name: task.metrics for name, task in (result.tasks | result.probes).items()}
    if result.router:
        evaluated["which task"] = result.router.metrics
    evaluated |= {name: found["word_confusion"] for name, found in evaluated.items() if "word_confusion" in found}
    return {name: (metrics["labels"], metrics["confusion"]) for name, metrics in evaluated.items() if "confusion" in metrics}


def show_confusion(name: str, metrics: dict[str, Any]) -> None:
    import numpy as np

    from mtlkit.report.evaluation.confusion import confusion_view

    console = stdout()
    console.print(confusion_view(name, metrics["labels"], np.array(metrics["confusion"]), console.width))


def show_vectors(result: Evaluation, confusion: bool) -> None:
    """The results of `--sts`, `--probe` and `--retrieval`."""
    from mtlkit.report.evaluation.embedding_tables import probe_table, retrieval_table, sts_table

    console = stdout()
    if result.sts:
        console.print(sts_table([score.to_json() for score in result.sts]))
    if result.probes:
        console.print(probe_table({name: probe.to_json() for name, probe in result.probes.items()}, console.width))
    for retrieval in result.retrieval:
        console.print(retrieval_table(retrieval.to_json()))
    for name, probe in result.probes.items() if confusion else ():
        show_confusion(name, probe.metrics)


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit eval --confusion",
        "mtlkit eval --confusion --output confusion.csv",
        "mtlkit eval --confusion --output confusion.png",
        "mtlkit eval --errors errors.csv",
        "mtlkit eval runs/mtl --against runs/other",
        "mtlkit eval --calibration --output reliability.png",
        "mtlkit eval --model runs/mtl --task topic=held_out.csv --json",
        "mtlkit eval --model runs/mtl --out-of-scope chatter.txt",
        "mtlkit eval --model runs/sentence --sts stsb.csv --probe",
        "mtlkit eval --model runs/sentence --retrieval queries.jsonl,corpus.jsonl,qrels.tsv",
        'mtlkit eval --probe --task "topic=ag_news?limit=1000" --dim 128',
    ]
    add_command(app, "eval", EvalOptions, evaluate, examples, panel)
