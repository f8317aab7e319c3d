"""What an evaluation of a run finds for its page: each task on its own, and what has changed since the run was tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.report import ReportOptions
from mtlkit.errors import DataError, IntegrityError, UsageError
from mtlkit.evaluation.run_scores import scores_of
from mtlkit.recipes.inputs.open_model import open_model
from mtlkit.recipes.reporting.sections import section
from mtlkit.recipes.run_list.outputs import RunsEvaluator
from mtlkit.report.page.content import AT_THE_END, TaskSection, recorded_sections
from mtlkit.report.run_facts import RunFacts
from mtlkit.report.tables import figure, metric_title
from mtlkit.report.text import printable
from mtlkit.runs.record import RunRecord


@dataclass(frozen=True)
class Evaluated:
    """A section per task with figures; `notes` say why others were not evaluated. `cached` are the tasks whose predictions came
    from the cache, `changed` those whose test rows are not the ones that the training measured."""

    sections: Mapping[str, TaskSection] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cached: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def evaluated(options: ReportOptions, facts: RunFacts) -> Evaluated:
    """Evaluates the heads of a run. Test figures in its record stand in for tasks that cannot be evaluated."""
    record = facts.record
    if record is None or record.stage != "mtl":
        return Evaluated()
    recorded = {} if options.split == "validation" else recorded_sections(record.metrics)
    if options.split == "none":
        return Evaluated(recorded)
    asked = EvalOptions(model=str(facts.path), device=options.device, runs=options.runs, no_cache=options.no_cache)
    try:
        loaded, _ = open_model(asked)
    except (UsageError, DataError, IntegrityError) as error:
        return Evaluated(recorded, (f"not evaluated: {error}",))
    evaluator = RunsEvaluator(options.split, options.device, options.seed, no_cache=options.no_cache, figures=True)
    found = evaluator.outputs_of(loaded, record)
    sections = {name: section(name, task) for name, task in found.figures.items()}
    changed = tuple(changed_tests(record, found.digests)) if options.split == "test" else ()
    notes = [
        f"{printable(name)} is not evaluated: {reason}" + (f"; its test figures are {AT_THE_END}" if name in recorded else "")
        for name, reason in found.missing.items()
        if name in record.sources  # others are heads of the starting model, whose data this run never had
    ]
    return Evaluated({**recorded, **sections}, (*notes, *(changed_line(record, name) for name in changed)), found.cached, changed)


def changed_tests(record: RunRecord, digests: Mapping[str, str]) -> Iterator[str]:
    """The tasks whose test rows, by their digests, are not those that the run was tested on when it ended."""
    for name, digest in digests.items():
        about = record.data.get(name)
        tested = about.get("test") if isinstance(about, dict) else None
        if isinstance(tested, dict) and tested.get("sha256") not in (None, digest):
            yield name


def changed_line(record: RunRecord, name: str) -> str:
    """Says that the test rows of a task have changed, and what was measured on the earlier ones."""
    score = next((score for score in scores_of(record.metrics) if score.task == name), None)
    then = ""
    if score is not None and score.test is not None:
        then = f" ({metric_title(score.metric)} {figure(score.test.value, score.metric)} then)"
    return f"the test rows of {printable(name)} differ from those that the run was tested on{then}"
