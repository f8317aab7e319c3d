"""`mtlkit check-data`."""

from __future__ import annotations

import typer

from mtlkit.cli.console import print_json, say, stdout
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import working
from mtlkit.config.commands.check_data import CheckDataOptions


def check_data(options: CheckDataOptions, as_json: bool) -> None:
    """Find problems in the data before training.

    Per task: rows, classes and lengths of each split; blank, repeated and contradictory texts; validation or test texts that are
    also in training, exactly or nearly, there or in another task; labels unseen in training; rows sorted by label. For --text:
    blank and repeated texts, and those of validation or test that are also in training.

    With --objective pairs or similarity: repeated pairs, leaks, the same text on both sides, pairs with few or no negatives, and
    scores that contradict each other, never vary, or have another scale than in training.

    --strict exits with code 3 on findings that make a result misleading: leaks, contradictory labels or scores, blank texts,
    labels unseen in training, a single class, unusable pairs.
    """
    from mtlkit.errors import DataError
    from mtlkit.recipes.inputs.early_checks import check_objective, check_texts

    if options.tasks:
        check_objective(options.objective, options.tasks, options.encoding, "check-data")
    check_texts(options.text, options.encoding)

    from mtlkit.recipes.check_data import check_data as look
    from mtlkit.report.check_data import absences, baseline_message, task_tables
    from mtlkit.report.findings import conclusion, example_lines, finding_message
    from mtlkit.report.sources import source_line
    from mtlkit.report.text import literal

    with working("reading and comparing"):
        result = look(options)
    say(f"tokens by {result.model}, {result.reason}")
    for task in result.tasks:
        say(source_line(task.record, task.name))
        for remark in task.record.remarks:
            say(remark, "yellow")
    if result.tally.skipped:
        say(str(result.tally), "yellow")
    if as_json:
        print_json(result.to_json())
    else:
        console = stdout()
        for task in result.tasks:
            for table in task_tables(task, console.width):
                console.print(table)
            for sentence in absences(task):
                console.print(literal(sentence))
        for finding in result.findings:
            console.print(literal(finding_message(finding), "red" if finding.spoils else "yellow"))
            for example in finding.examples:
                for line in example_lines(example, console.width - 2):
                    console.print(literal(f"  {line}", "dim"), no_wrap=True, overflow="ellipsis")
        for name, baseline in (result.baselines or {}).items():
            console.print(literal(baseline_message(name, baseline)))
        console.print(literal(conclusion(result.findings)))
    if options.strict and result.spoiling:
        raise DataError(f"--strict: {'; '.join(map(finding_message, result.spoiling))}")


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit check-data",
        "mtlkit check-data --task topic=ag_news --task mood=reviews/ --strict",
        "mtlkit check-data --task topic=ag_news --baseline",
        "mtlkit check-data --text articles.txt --text news/",
        'mtlkit check-data --objective pairs --task "faq=faq.csv?first=question&second=answer"',
        "mtlkit check-data --objective similarity --task sts=stsb",
        'mtlkit check-data --task "topic=articles.csv:text=title+body" --max-length 128 --json',
    ]
    add_command(app, "check-data", CheckDataOptions, check_data, examples, panel)
