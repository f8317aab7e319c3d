"""The page that compares runs: their scores with paired tests, curves overlaid, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mtlkit.report.evaluation.comparison import comparison_sentence
from mtlkit.report.page.blocks import Block, Section, columns
from mtlkit.report.page.content import LEAST_POINTS, Page, kept_step, why_no_curves
from mtlkit.report.page.matrix_changes import change_block
from mtlkit.report.page.overlays import RunCurves, overlaid_charts
from mtlkit.report.page.runs_scores import NONE, PageRun, PageTest, runs_block, scores_section
from mtlkit.report.text import printable


def make_runs_page(
    runs: Sequence[PageRun], tests: Sequence[PageTest], options: Mapping[str, Sequence[str]], split: str, notes: Sequence[str]
) -> Page:
    """The page of two or more runs, each tested against the first."""
    names = [printable(run.name) for run in runs]
    scored = (one.task for run in runs for one in run.row.scores)
    tasks = list(dict.fromkeys([*(name for run in runs for name in (*run.figures, *_logged_tasks(run))), *scored]))
    sections = [
        Section("Runs", tables=(runs_block(runs),), folded=False),
        scores_section(runs, tests, tasks, split),
        _options_section(names, options),
        *(_task_section(task, runs, [one for one in tests if one.test.task == task]) for task in tasks),
        Section("Commands", tables=(_commands(runs),)),
    ]
    title = " and ".join(names) if len(names) == 2 else ", ".join(names)
    return Page(title, {}, (), tuple(section for section in sections if section is not None), "", notes=tuple(notes))


def _logged_tasks(run: PageRun) -> list[str]:
    return [task.task for task in run.logged.curves.tasks] if run.logged else []


def _options_section(names: Sequence[str], options: Mapping[str, Sequence[str]]) -> Section:
    title = "Options that differ"
    if not options:
        return Section(title, ("No option differs.",))
    rows = tuple((printable(name), *map(printable, values)) for name, values in options.items())
    return Section(title, tables=(Block("Defaults included", columns("option", *names, long=names), rows),), folded=False)


def _task_section(task: str, runs: Sequence[PageRun], tests: Sequence[PageTest]) -> Section | None:
    """Curves of all runs, and for each test a sentence, how the confusion matrix changed, and rows that only one gets right."""
    curves = []
    for place, run in enumerate(runs):
        own = next((one for one in run.logged.curves.tasks if one.task == task), None) if run.logged else None
        if own is not None and len(own.train) + len(own.validation) >= LEAST_POINTS:
            curves.append(RunCurves(run.name, place, own, kept_step(run.record.metrics) if run.record else None))
    lines: list[str] = []
    tables: list[Block] = []
    for one in tests:
        if one.test.test is not None:
            lines.append(comparison_sentence(one.test.test.comparison, *one.test.names))
            tables += _differences(one, runs)
    missing: dict[str, list[str]] = {}
    for run in runs:
        if run.logged and task in _logged_tasks(run) and run.name not in {own.run for own in curves}:
            missing.setdefault(why_no_curves(task, run.logged.curves), []).append(printable(run.name))
    note = " ".join(f"No curves of {', '.join(without)}: {reason}." for reason, without in missing.items())
    if not (curves or lines or tables):
        return None
    return Section(printable(task), tuple(lines), tuple(overlaid_charts(task, curves)), tuple(tables), note)


def _differences(one: PageTest, runs: Sequence[PageRun]) -> Iterator[Block]:
    test = one.test
    first, other = (next(run for run in runs if run.name == name) for name in test.names)
    names = printable(first.name), printable(other.name)
    block = change_block(names, first.figures[test.task], other.figures[test.task])
    if block is not None:
        yield block
    for right, rows in zip(names, (one.only_first, one.only_run), strict=True):
        if rows:
            titles = columns("label", f"{names[0]} predicts", f"{names[1]} predicts", "text", long=["text"])
            cells = tuple((row.label, row.first, row.run, row.text) for row in rows)
            yield Block(f"Rows that only {right} gets right, the clearest first", titles, cells)


def _commands(runs: Sequence[PageRun]) -> Block:
    rows = tuple((printable(run.name), printable(run.record.command) if run.record else NONE) for run in runs)
    return Block("What repeats each run", columns("run", "command", long=["command"]), rows)
