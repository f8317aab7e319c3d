"""`train-mtl --baselines`: compares a run with training each task alone, with the same starting model, seed, batches and steps.

Only the outputs of these trainings for the rows to score are stored, in `.cache/baselines` beside the run. So each training runs
once, and none can be mistaken for a run.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

from mtlkit.errors import DivergedError, MtlkitError, counted
from mtlkit.evaluation.sharing import SharingReport, sharing_report, task_sharing
from mtlkit.evaluation.task_metrics import examples_in, main_metric, score
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, outputs_of_head
from mtlkit.inference.engines.fast import fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.training.baselines.cache import (
    Outputs,
    ScoredRows,
    baseline_entry,
    keep_outputs,
    key_of,
    read_outputs,
    rows_to_score,
)
from mtlkit.recipes.training.baselines.runs import BaselineRun, ComparedRun, baselines_of
from mtlkit.recipes.training.prepare import Prepared, prepare
from mtlkit.report.tables import metric_title
from mtlkit.training.events import BaselineEvent, Event, Note, Progress
from mtlkit.training.incidents import StepSkipped
from mtlkit.training.objectives.base import HeadObjective, all_inputs
from mtlkit.training.plan import TrainData
from mtlkit.training.sampling.columns import vectors_of_all
from mtlkit.training.trainer import Trainer


def compare(run: ComparedRun) -> Generator[Event, None, SharingReport]:
    """Compares the run with each task alone, over `--seeds` seeds. Trains what is not in the cache: each task alone and,
    except for the seed of the run itself, all tasks together. Scores are on the test rows, or the validation rows of a task
    without any.

    Raises DataError, DivergedError.
    """
    names = run.trained
    rows = rows_to_score(run.options, {name: run.plan.sources[name] for name in names}, run.prepared)
    together, alone = [head_outputs(run.prepared.start.model, rows, run.plan.compute)], []
    seeds = range(run.options.seed, run.options.seed + run.options.seeds)
    yield Note(f"comparing with each task alone: {len(seeds) * (len(names) + 1) - 1} trainings")
    for seed in seeds:
        outputs = yield from outputs_of_seed(run, baselines_of(run, seed), rows)
        together += [outputs.together] if outputs.together else []
        alone.append(outputs.alone)
    tasks = []
    for name, scored in rows.items():
        spec = run.prepared.start.model.tasks[name].uncalibrated()  # like the models trained alone
        sides = ([outputs[name] for outputs in side] for side in (together, alone))
        tasks.append(task_sharing(spec, scored.split, scored.texts.labels, *sides))
    return sharing_report(seeds, tasks)


@dataclass(frozen=True)
class SeedOutputs:
    """The outputs of all heads for one seed: of the model trained on all tasks (None: that is the run itself), and of the models
    trained on one task each.
    """

    together: Outputs | None
    alone: Outputs


def outputs_of_seed(
    run: ComparedRun, arms: list[BaselineRun], rows: Mapping[str, ScoredRows]
) -> Generator[Event, None, SeedOutputs]:
    """The outputs of trainings with the same seed, from the cache if possible."""
    compute = run.plan.compute
    entries = [baseline_entry(run.cache, key_of(arm.options, arm.tasks, run.prepared, rows, compute)) for arm in arms]
    stored = [read_outputs(entry, {name: rows[name] for name in arm.tasks}) for entry, arm in zip(entries, arms, strict=True)]
    if None in stored:
        prepared = without_events(prepare(replace(run.plan, options=replace(run.options, seed=arms[0].options.seed))))
    together: Outputs | None = None
    alone: dict[str, Any] = {}
    for arm, entry, outputs in zip(arms, entries, stored, strict=True):
        where = f", cached in {entry.path}"
        if outputs is None:
            yield Note(f"{arm.name}: training")
            log = StringIO()
            outputs = yield from train_baseline(run, arm, prepared, rows, log)
            keep_outputs(entry, outputs, arm.options, log.getvalue())
            where = ""
        yield Note(f"{arm.name}: {baseline_scores_text(outputs, rows, run.prepared.start.model)}{where}")
        if len(arm.tasks) > 1:
            together = outputs
        else:
            alone.update(outputs)
    return SeedOutputs(together, alone)


def train_baseline(
    run: ComparedRun, arm: BaselineRun, prepared: Prepared, rows: Mapping[str, ScoredRows], log: StringIO
) -> Generator[Event, None, Outputs]:
    """Trains a copy of the starting model, with its random state, and returns its outputs. Yields its steps and warnings. Watched
    tasks are included only if there are guards, which may need them.
    """
    model = deepcopy(prepared.start.model)
    objectives: dict[str, HeadObjective] = {}
    for name in [*arm.tasks, *(arm.plan.watched if arm.plan.guards else ())]:
        objective = prepared.data.objectives[name]
        assert isinstance(objective, HeadObjective)
        objectives[name] = HeadObjective(model, objective.task, objective.options)
    try:
        data = TrainData(objectives, arm.known, prepared.data.classes)
        for event in Trainer(arm.plan, model, data, run.cache).events(log):
            if isinstance(event, Progress | StepSkipped) or (isinstance(event, Note) and event.warning):
                yield BaselineEvent(arm.name, event)
    except DivergedError as error:
        raise DivergedError(f"--baselines, {arm.name}: {error}") from None
    except MtlkitError as error:
        raise type(error)(f"--baselines, {arm.name}: {error}") from None
    return head_outputs(model, {name: rows[name] for name in arm.tasks}, run.plan.compute)


def head_outputs(model: MultiTaskModel, rows: Mapping[str, ScoredRows], compute: Compute) -> Outputs:
    """The outputs of each task's head for the rows that it is scored on, (N, outputs)."""
    fast = fastest(model.eval(), compute)
    texts = {name: scored.texts for name, scored in rows.items()}
    vectors = vectors_of_all(texts, lambda encoded: encode_all(fast, encoded, compute))
    outputs = {name: outputs_of_head(model, name, all_inputs(texts[name], own), texts[name].begins) for name, own in vectors}
    return {name: outputs[name] for name in rows}


def baseline_scores_text(outputs: Outputs, rows: Mapping[str, ScoredRows], model: MultiTaskModel) -> str:
    """The main metric of each task, as text."""
    texts = []
    for name, values in outputs.items():
        spec, labels = model.tasks[name].uncalibrated(), rows[name].texts.labels
        metric, examples = main_metric(spec), counted(examples_in(spec, labels), f"{rows[name].split} row")
        figure = score(spec, values, labels)[metric]
        task = f"{name} " if len(outputs) > 1 else ""
        texts.append(f"{task}{metric_title(metric)} {figure:.4f} on {examples}")
    return ", ".join(texts)


def without_events(events: Generator[Event, None, Prepared]) -> Prepared:
    """Runs a generator and returns its result, ignoring its events, which the user has seen before."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            prepared: Prepared = end.value
            return prepared
