"""The figures of a model card, with intervals, and the command that gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mtlkit.config.shell import command_text
from mtlkit.evaluation.figures import ENDING
from mtlkit.evaluation.intervals import wilson
from mtlkit.evaluation.metric_names import ACCURACY, Metric, all_metrics
from mtlkit.report.cards.facts import CardFacts
from mtlkit.report.cards.markdown import block, table, text
from mtlkit.report.cards.names import public_source
from mtlkit.report.info_model import MEANINGS, stored_reports
from mtlkit.report.run_rows import validation_rows
from mtlkit.report.tables import number
from mtlkit.runs.record import NOT_MEASURED, TRAINED_ON, marked_tasks

TEST, VALIDATION = "test", "validation"
PERPLEXITY = Metric("perplexity", "perplexity", "", share=False, hub="perplexity")  # of a base


@dataclass(frozen=True)
class Figure:
    """A metric of a task on a split; `task` is empty for a base."""

    task: str
    metric: Metric
    value: float
    interval: tuple[float, float] | None
    rows: int | None
    split: str

    def shown(self, value: float) -> str:
        return f"{number(100 * value, 1)} %" if self.metric.share else number(value, 3)


def figures(facts: CardFacts) -> Iterator[Figure]:
    """The main figures of each head: of the test rows if they were measured, and of the validation rows."""
    metrics = facts.record.metrics
    if facts.description.stage == "base":
        yield from _of_split("", VALIDATION, metrics, None, (PERPLEXITY,))
        return
    useless = marked_tasks(metrics, TRAINED_ON, NOT_MEASURED)
    for name in dict.fromkeys(name for split in (TEST, VALIDATION) for name in _dict(metrics.get(split))):
        shown = tuple(metric for metric in all_metrics().values() if metric.in_epochs)
        if row := _dict(_dict(metrics.get(TEST)).get(name)):
            yield from _of_split(name, TEST, row, row.get("n"), shown)
        if name not in useless and (row := _dict(_dict(metrics.get(VALIDATION)).get(name))):
            rows = validation_rows(facts.record.data, name)
            known = {} if name in marked_tasks(metrics) else _accuracy_interval(row, rows)
            yield from _of_split(name, VALIDATION, {**known, **row}, rows, shown)


def _of_split(task: str, split: str, row: Mapping[str, Any], rows: Any, shown: tuple[Metric, ...]) -> Iterator[Figure]:
    for metric in shown:
        value, ends = row.get(metric.name), row.get(f"{metric.name}{ENDING}")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield Figure(task, metric, float(value), _interval(ends), rows if isinstance(rows, int) else None, split)


def _interval(ends: Any) -> tuple[float, float] | None:
    if isinstance(ends, (list, tuple)) and len(ends) == 2 and all(isinstance(end, (int, float)) for end in ends):
        return float(ends[0]), float(ends[1])
    return None


def _accuracy_interval(row: Mapping[str, Any], rows: int | None) -> dict[str, Any]:
    value = row.get(ACCURACY.name)
    if not rows or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return {}
    return {f"{ACCURACY.name}{ENDING}": wilson(round(value * rows), rows).to_json()}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def figures_section(facts: CardFacts) -> str:
    """The table of figures, what they are of, and the commands; empty without figures."""
    found = list(figures(facts))
    if not found:
        return ""
    rows = []
    for one in found:
        ends = "-" if one.interval is None else " to ".join(map(one.shown, one.interval))
        count = "-" if one.rows is None else f"{one.rows:,}"
        rows.append([text(one.task) or "-", one.metric.title, one.shown(one.value), ends, one.split, count])
    lines = [table(["task", "metric", "value", "95 % interval", "split", "rows"], rows)]
    splits = list(dict.fromkeys(one.split for one in found))
    if facts.description.stage == "base":
        lines.append("On texts that were held out of training.")
    elif VALIDATION in splits and "best_epoch" in facts.record.metrics:
        lines.append("The validation rows also chose the best epoch.")
    for mark, meaning in MEANINGS.items():
        if marked := marked_tasks(facts.record.metrics, mark):
            lines.append(f"Validation of {', '.join(map(text, marked))}: {meaning}.")
    if facts.difference is not None:
        lines.append(f"Measured before the export, whose outputs differ by {facts.difference:.0e} at most.")
    measured = {"", *(task.name for task in facts.description.tasks)}  # by `eval`: heads, and a base
    commands = [_command(facts, split) for split in splits if any(one.split == split and one.task in measured for one in found)]
    if not commands:
        lines.append("Measured by the training.")
    for title, sentences in stored_reports(facts.record.metrics):
        lines += ["", f"{text(title)}:", "", *(f"- {text(str(sentence), 300)}" for sentence in sentences)]
    shown = ["", block("\n".join(map(command_text, commands)), "sh")] if commands else []
    return "\n".join([*lines, *shown])


def _command(facts: CardFacts, split: str) -> list[str]:
    """The command that measures a split; a base is measured on the texts that were held out."""
    apart = [f"{name}={public_source(source)}" for name, source in facts.test_sources.items()] if split == TEST else []
    options = [word for source in apart for word in ("--task", source)]
    named = [] if split == TEST or facts.description.stage == "base" else ["--split", split]
    return ["mtlkit", "eval", "--model", facts.evaluated_as, *options, *named]
