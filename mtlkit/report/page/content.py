"""What the page of a report says, as text and numbers; the templates only arrange it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mtlkit.evaluation.figures import ENDING
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.report.evaluation.figures import COLUMNS
from mtlkit.report.info_model import MEANINGS, VALIDATION, stored_reports
from mtlkit.report.log_reader import NEXT_TOKEN, Curves, Kept
from mtlkit.report.page.blocks import Block, Section, columns
from mtlkit.report.page.chart import Chart
from mtlkit.report.page.charts import task_charts
from mtlkit.report.page.effects import forgetting_section, of_report, sharing_section
from mtlkit.report.page.gradients import gradient_section
from mtlkit.report.page.matrix import Matrix
from mtlkit.report.page.overview import overview_chart
from mtlkit.report.page.record_sections import (
    FINDINGS,
    data_section,
    freezing_not_recorded,
    freezing_section,
    lineage_section,
    versions_section,
)
from mtlkit.report.page.summary import about_unfinished, summary_of
from mtlkit.report.run_facts import RunFacts
from mtlkit.report.run_rows import Unfinished
from mtlkit.report.tables import figure, metric_title, number
from mtlkit.report.text import printable
from mtlkit.runs.record import RunRecord, marked_tasks
from mtlkit.training.diagnostics.gradient_stats import TrackedStep
from mtlkit.training.events import BEFORE_FINISH

AT_THE_END = "as measured at the end of the training"
LEAST_POINTS = 3  # fewer make no curve, as of heads that were solved
REPORTS = ("forgetting", "sharing", "freezing", FINDINGS)  # that have sections of their own


@dataclass(frozen=True)
class TaskSection:
    """A task. `figures` are titles, values and 95 % intervals on `rows` rows of `split`; `mistakes` the texts that the head got
    most wrong, with label, prediction and probability; `no_curves` says why there are none; `measured` says when, unless just
    now; `notes` what is to be known about the figures."""

    name: str
    charts: tuple[Chart, ...] = ()
    figures: tuple[tuple[str, str, str], ...] = ()
    split: str = ""
    rows: int = 0
    unit: str = "rows"
    measured: str = ""
    validation: tuple[tuple[str, str, str], ...] = ()
    matrix: Matrix | None = None
    matrix_chart: Chart | None = None
    classes: Block | None = None
    reliability: Chart | None = None
    reliability_line: str = ""
    mistakes: tuple[tuple[str, str, str, str], ...] = ()
    wrong: int = 0
    no_curves: str = ""
    notes: tuple[str, ...] = ()

    @property
    def headline(self) -> tuple[str, str, str] | None:
        """Title, value and interval of the main metric, on rows that were evaluated or else on validation rows."""
        if self.figures:
            return self.figures[0]
        scores = [score for score in self.validation if score[0] != "loss"] or list(self.validation)
        return scores[0] if scores else None

    @property
    def headline_split(self) -> str:
        """The rows that the main metric is measured on."""
        return self.split or VALIDATION

    @property
    def figure_block(self) -> Block:
        """All metrics with their intervals."""
        titles = columns("metric", "value", "95 %", numbers=["value"])
        rows = tuple((title, value, interval or "-") for title, value, interval in self.figures)
        measured = f", {self.measured}" if self.measured else ""
        return Block(f"{self.rows:,} {self.split} {self.unit}{measured}", titles, rows)

    @property
    def validation_block(self) -> Block:
        """The validation scores in the record."""
        caption = self.measured if self.measured and not self.figures else "of the kept weights"
        if not any(interval for *_, interval in self.validation):
            rows: tuple[tuple[str, ...], ...] = tuple(score[:2] for score in self.validation)
            return Block(caption, columns("metric", "value", numbers=["value"]), rows)
        rows = tuple((title, value, interval or "-") for title, value, interval in self.validation)
        return Block(caption, columns("metric", "value", "95 %", numbers=["value"]), rows)

    @property
    def pictures(self) -> list[Chart]:
        """All charts, as pictures."""
        return [*self.charts, *filter(None, (self.matrix_chart, self.reliability))]


@dataclass(frozen=True)
class Page:
    """The content of a page."""

    title: str
    facts: dict[str, str]
    tasks: tuple[TaskSection, ...]
    sections: tuple[Section, ...]
    command: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def pictures(self) -> list[Chart]:
        """All charts, as pictures: first, all tasks at a glance."""
        overview = overview_chart([(task.charts, task.matrix) for task in self.tasks])
        return [
            *([overview] if overview else []),
            *(chart for task in self.tasks for chart in task.pictures),
            *(chart for section in self.sections for chart in section.charts),
        ]


@dataclass(frozen=True)
class Logged:
    """What a log holds: curves, gradients by step, and the last record of a step."""

    curves: Curves
    tracked: Mapping[int, TrackedStep]
    last: Mapping[str, Any]


def make_page(
    facts: RunFacts,
    logged: Logged | None,
    evaluated: Mapping[str, TaskSection],
    notes: Sequence[str],
    changed: Sequence[str] = (),
    unfinished: Unfinished | None = None,
) -> Page:
    """The page of a run: what its record and its log hold, and what an evaluation found, by task. `changed` are the tasks whose
    test rows are not those of the record; `unfinished` is the state of a training without one."""
    record = facts.record
    return Page(
        title=printable(facts.path.resolve().name),
        facts=summary_of(facts, logged.last if logged else {}, unfinished),
        tasks=tuple(task_sections(record, logged, evaluated)),
        sections=tuple(section for section in _sections(facts, logged, changed) if section is not None),
        command=record.command if record else str(about_unfinished(facts).get("typed", "")),
        problems=facts.problems,
        notes=tuple(notes),
    )


def task_sections(record: RunRecord | None, logged: Logged | None, evaluated: Mapping[str, TaskSection]) -> Iterator[TaskSection]:
    """A section per task that was evaluated, or has curves or validation scores."""
    curves = {task.task: task for task in logged.curves.tasks} if logged else {}
    scores = record.metrics.get(VALIDATION) if record else None
    validation = {name: row for name, row in scores.items() if isinstance(row, dict)} if isinstance(scores, dict) else {}
    kept = kept_step(record.metrics) if record else logged.curves.kept if logged else None
    if record is not None and record.stage == "base":
        evaluated = {**base_sections(record.metrics, list(curves)), **evaluated}
    for name in dict.fromkeys([*validation, *evaluated, *curves]):
        section, task = evaluated.get(name, TaskSection(printable(name))), curves.get(name)
        own = tuple(_validation(validation.get(name, {})))
        if record is None and task and (points := task.validation or task.scores):
            last = {"loss": task.validation.values[-1:], task.metric: task.scores.values[-1:]}
            own = tuple(_validation({metric: values[0] for metric, values in last.items() if values}))
            section = replace(section, measured=f"at step {points.steps[-1]:,}")
        if logged and task and len(task.train) + len(task.validation) >= LEAST_POINTS:
            section = replace(section, charts=tuple(task_charts(task, logged.curves, kept)))
        elif logged and (name in logged.curves.solved or not section.figures):
            section = replace(section, no_curves=f"No curves: {why_no_curves(name, logged.curves)}.")
        notes = [text for mark, text in MEANINGS.items() if record and name in marked_tasks(record.metrics, mark)]
        said = tuple(f"Validation scores: {text}." for text in notes)
        yield replace(section, validation=own, notes=(*section.notes, *said))


def why_no_curves(task: str, curves: Curves) -> str:
    """Why too few points of a task are logged to draw them."""
    if task in curves.solved:
        return "its head was solved by L-BFGS, which takes no steps"
    return "the log has fewer than three points of this task"


def _validation(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if isinstance(loss := row.get("loss"), (int, float)) and not isinstance(loss, bool):
        yield "loss", number(loss), ""
    yield from figures_of(row)


def recorded_sections(metrics: Mapping[str, Any]) -> dict[str, TaskSection]:
    """The test figures of each task that the training itself measured."""
    return {name: _recorded(name, row) for name, row in recorded_tests(metrics).items() if any(figures_of(row))}


def recorded_tests(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The metrics of each task on test rows, from the record of a run."""
    tests = metrics.get("test")
    return {name: row for name, row in tests.items() if isinstance(row, dict)} if isinstance(tests, dict) else {}


def _recorded(name: str, row: Mapping[str, Any]) -> TaskSection:
    figures, split = tuple(figures_of(row)), printable(str(row.get("split", "test")))
    return TaskSection(printable(name), figures=figures, split=split, rows=row.get("n", 0), measured=AT_THE_END)


def _sections(facts: RunFacts, logged: Logged | None, changed: Sequence[str]) -> Iterator[Section | None]:
    record = facts.record
    metrics: Mapping[str, Any] = record.metrics if record else {}
    yield of_report(metrics, "forgetting", "Effect on existing tasks", forgetting_section)
    yield of_report(metrics, "sharing", "Multi-task vs. single-task", sharing_section)
    yield gradient_section(logged.tracked) if logged else None
    frozen = of_report(metrics, "freezing", "Frozen parts", freezing_section)
    yield frozen or (freezing_not_recorded(record) if record else None)
    for title, lines in stored_reports({name: report for name, report in metrics.items() if name not in REPORTS}):
        yield Section(title, tuple(printable(str(line)) for line in lines))
    yield data_section(record, changed) if record else None
    yield lineage_section(facts.lineage)
    yield versions_section(facts)


def kept_step(metrics: Mapping[str, Any]) -> Kept | None:
    """The step whose weights were kept; None if there was none, as of heads that were solved."""
    step, epoch = metrics.get("best_step"), metrics.get("best_epoch")
    return Kept(step, epoch if isinstance(epoch, int) else None) if isinstance(step, int) and step else None


def figures_of(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Title, value and interval of each metric of an evaluated task."""
    for name in all_metrics():
        if isinstance(value := metrics.get(name), (int, float)) and not isinstance(value, bool):
            interval = metrics.get(f"{name}{ENDING}")
            ends = " to ".join(figure(end, name) for end in interval) if interval else ""
            yield metric_title(name), figure(value, name), ends


def base_sections(metrics: Mapping[str, Any], names: Sequence[str]) -> dict[str, TaskSection]:
    """The section of each phase of a base; `names` are those of its losses, in order."""
    before = metrics.get(BEFORE_FINISH)
    phases = [before, metrics] if isinstance(before, dict) and len(names) > 1 else [metrics]
    return {name: base_section(name, row) for name, row in zip(names or [NEXT_TOKEN], phases, strict=False)}


def base_section(name: str, metrics: Mapping[str, Any]) -> TaskSection:
    """The figures of a base on held-out texts, as recorded."""
    figures = []
    for key in ("perplexity", "loss", "bits_per_byte", "masked_accuracy"):
        if isinstance(value := metrics.get(key), (int, float)):
            ends = metrics.get(f"{key}{ENDING}")
            figures.append((key.replace("_", " "), number(value, 2), " to ".join(number(end, 2) for end in ends) if ends else ""))
    scored = metrics.get("tokens_scored", 0)
    return TaskSection(printable(name), figures=tuple(figures), split="held-out", rows=scored, unit="tokens")


def class_block(metrics: Mapping[str, Any]) -> Block | None:
    """Precision, recall and F1 of each class in percent, with the interval of F1 if there is one, and support."""
    classes = metrics.get("per_class", {})
    if not classes:
        return None
    ends = f"f1{ENDING}"
    has_intervals = any(row.get(ends) for row in classes.values())
    rows = []
    for label, row in classes.items():
        shares = [number(None if row[name] is None else 100 * row[name], 1) for name in COLUMNS]
        interval = [" to ".join(number(100 * end, 1) for end in row[ends]) if row.get(ends) else "-"] if has_intervals else []
        rows.append((printable(label), *shares, *interval, f"{row['support']:,}"))
    numbers = (*COLUMNS.values(), *(["F1, 95 %"] if has_intervals else []), "rows")
    return Block("Classes, in percent", columns("class", *numbers, numbers=numbers), tuple(rows), sortable=True)
