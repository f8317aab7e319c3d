"""`train-mtl --baselines`: compares the run with training each task alone, with the same start, seed, batches and budget.

The outputs of such a training for the rows to score on are kept in `.cache/baselines` beside the run, not its weights. So each is
paid for once, and none can be mistaken for a run.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

from mtlkit.config.registries.balancing import BalanceChoice
from mtlkit.config.registries.schedules import EpochLength, ScheduleChoice
from mtlkit.config.training import TrainMtlOptions
from mtlkit.errors import DivergedError, MtlkitError, UsageError
from mtlkit.evaluation.sharing import SharingReport, sharing_report, task_sharing
from mtlkit.evaluation.task_metrics import main_metric, score
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, outputs_of_head
from mtlkit.inference.fast import fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.training.baseline_cache import Outputs, ScoredRows, keep, kept, key_of, recall, rows_to_score
from mtlkit.recipes.training.prepare import Prepared, prepare
from mtlkit.training.events import BaselineEvent, Event, Note, Progress
from mtlkit.training.incidents import StepSkipped
from mtlkit.training.objectives.base import HeadObjective
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers
from mtlkit.training.trainer import Trainer


def check_baselines(plan: TrainPlan, out: Path, trained: Sequence[str]) -> None:
    """What can be checked without reading data; `trained` are the tasks of `--task` whose heads train. Raises UsageError."""
    options = options_of(plan)
    if not options.baselines:
        if options.seeds > 1:
            raise UsageError(f"--seeds {options.seeds} repeats what --baselines trains; add --baselines, or remove it")
        return
    if len(trained) < 2:
        raise UsageError("--baselines trains each of several tasks alone, and only one trains here; give two tasks, or remove it")
    if plan.freezing.keeps("backbone"):
        raise UsageError(
            "--baselines measures what sharing the backbone brings, and a frozen one is not shared; remove one of them"
        )
    for asked, why in (
        (options.rehearse and f"--rehearse {options.rehearse[0]}", "gives it company"),
        (options.max_forgetting is not None and "--max-forgetting", "may stop one training before the other"),
        (options.task_patience and "--task-patience", "may stop one task before the other"),
    ):
        if asked:
            raise UsageError(f"--baselines trains each task alone for as long as together, and {asked} {why}; remove one of them")
    if plan.start and plan.start.path.resolve() == out.resolve():
        raise UsageError(f"--baselines starts from {plan.start} again, and --out would replace it; name another folder")


@dataclass(frozen=True)
class ComparedRun:
    """The run to compare: its plan, what was prepared for it (its model trained by now), and the folder for caches beside it."""

    plan: TrainPlan
    prepared: Prepared
    cache: Path

    @property
    def options(self) -> TrainMtlOptions:
        return options_of(self.plan)

    @property
    def trained(self) -> list[str]:
        return list(self.plan.trained(self.prepared.data.objectives))


@dataclass(frozen=True)
class BaselineRun:
    """A training to compare with: its tasks and plan, the heads that the start brought, and its name in messages."""

    tasks: tuple[str, ...]
    plan: TrainPlan
    known: frozenset[str]
    name: str

    @property
    def options(self) -> TrainMtlOptions:
        return options_of(self.plan)


def options_of(plan: TrainPlan) -> TrainMtlOptions:
    """Those of a plan for several tasks."""
    assert isinstance(plan.options, TrainMtlOptions)
    return plan.options


def compare(run: ComparedRun) -> Generator[Event, None, SharingReport]:
    """Trains what is not kept: for each of `seeds` seeds every task alone and, but for the first, which is the run's, all of them
    together. Scores all on the test rows, or on the validation rows of a task that has none. Raises DataError, DivergedError.
    """
    names = run.trained
    rows = rows_to_score(run.options, {name: run.plan.sources[name] for name in names}, run.prepared)
    together, alone = [head_outputs(run.prepared.start.model, rows, run.plan.compute)], []
    seeds = range(run.options.seed, run.options.seed + run.options.seeds)
    yield Note(f"comparing with each task alone: {len(seeds) * (len(names) + 1) - 1} trainings")
    for seed in seeds:
        *more, last = yield from trained_with(run, arms_of(run, seed), rows)
        together += more
        alone.append(last)
    tasks = []
    for name, one in rows.items():
        sides = ([outputs[name] for outputs in side] for side in (together, alone))
        tasks.append(task_sharing(run.prepared.start.model.tasks[name], one.split, one.texts.labels, *sides))
    return sharing_report(seeds, tasks)


def arms_of(run: ComparedRun, seed: int) -> list[BaselineRun]:
    """The trainings of a seed: each task alone; before them all together, unless that is the run itself.

    Alone, a task has the batches that it has together, the same rows in the same order: as many an epoch (the nearest whole
    number where epochs differ), and as many in a step of the optimizer as there are of it on average.
    """
    options = replace(run.options, seed=seed, out=None, overwrite=False, baselines=False, seeds=1)
    options = replace(options, track_every=0, router=False, keep_best_per_task=False)  # which changes no number
    names, plan, data = run.trained, run.plan, run.prepared.data
    lengths = {name: data.objectives[name].train.lengths for name in names}
    plans = make_samplers(lengths, options.batch_tokens, seed, data.classes)
    mix = TaskMixture(plans, plan.schedule, epoch_by=plan.epoch_by)
    together = BaselineRun(tuple(names), replace(plan, options=options), data.known, f"together, seed {seed}")
    arms = [] if seed == run.options.seed else [together]
    for name in names:
        batches = sum(mix.planned(epoch)[name] for epoch in range(options.epochs)) / options.epochs
        accumulate = max(1, round(options.accumulate * batches / mix.steps))
        length = EpochLength("steps", max(1, round(batches / accumulate)), accumulate)
        alone = replace(
            options,
            task=[f"{name}={plan.sources[name]}"],
            schedule="round-robin",
            epoch_by=f"steps:{length.steps}",
            accumulate=accumulate,
            balance="sum",
            select="mean",
            batch_tokens=plans[name].budget,
        )
        known = data.known - {other for other in names if other != name}  # guards do not keep the heads of others
        own = replace(plan, options=alone, schedule=ScheduleChoice(), epoch_by=length, balance=BalanceChoice())
        arms.append(BaselineRun((name,), own, known, f"{name} alone, seed {seed}"))
    return arms


def trained_with(
    run: ComparedRun, arms: list[BaselineRun], rows: Mapping[str, ScoredRows]
) -> Generator[Event, None, list[Outputs]]:
    """The outputs of the models of a seed: of all together, where that is among the arms, then of all alone, as one."""
    compute = run.plan.compute
    files = [kept(run.cache, key_of(arm.options, arm.tasks, run.prepared, rows, compute)) for arm in arms]
    known = [recall(file, {name: rows[name] for name in arm.tasks}) for file, arm in zip(files, arms, strict=True)]
    if None in known:
        prepared = silently(prepare(replace(run.plan, options=replace(run.options, seed=arms[0].options.seed))))
    found: list[Outputs] = []
    alone: dict[str, Any] = {}
    for arm, file, outputs in zip(arms, files, known, strict=True):
        where = f", cached in {file.path}"
        if outputs is None:
            yield Note(f"{arm.name}: training")
            log = StringIO()
            outputs = yield from train_arm(run, arm, prepared, rows, log)
            keep(file, outputs, arm.options, log.getvalue())
            where = ""
        yield Note(f"{arm.name}: {baseline_scores_text(outputs, rows, run.prepared.start.model)}{where}")
        if len(arm.tasks) > 1:
            found.append(outputs)
        else:
            alone.update(outputs)
    return [*found, alone]


def train_arm(
    run: ComparedRun, arm: BaselineRun, prepared: Prepared, rows: Mapping[str, ScoredRows], log: StringIO
) -> Generator[Event, None, Outputs]:
    """Trains a copy of the start, including its random state; yields its steps and warnings. Watched tasks are only for
    guards."""
    model = deepcopy(prepared.start.model)
    objectives: dict[str, HeadObjective] = {}
    for name in [*arm.tasks, *(arm.plan.watched if arm.plan.guards else ())]:
        one = prepared.data.objectives[name]
        assert isinstance(one, HeadObjective)
        objectives[name] = HeadObjective(model, one.task, one.options)
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
    return {name: outputs_of_head(model, name, encode_all(fast, one.texts.encoded, compute)) for name, one in rows.items()}


def baseline_scores_text(outputs: Outputs, rows: Mapping[str, ScoredRows], model: MultiTaskModel) -> str:
    """The main metric of each task."""
    found = []
    for name, one in outputs.items():
        metric = main_metric(model.tasks[name])
        figure = score(model.tasks[name], one, rows[name].texts.labels)[metric]
        found.append(f"{name + ' ' if len(outputs) > 1 else ''}{metric} {figure:.4f} on {len(one):,} {rows[name].split} rows")
    return ", ".join(found)


def silently(events: Generator[Event, None, Prepared]) -> Prepared:
    """What a recipe's part returns, without what it tells a second time."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            found: Prepared = end.value
            return found
