"""What `train-mtl --baselines` holds its run against: each task trained alone, with the same start, seed, batches and budget.

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

from mtlkit.config.schedules import EpochLength
from mtlkit.config.training import TrainMtlOptions
from mtlkit.errors import DivergedError, MtlkitError, UsageError
from mtlkit.evaluation.metrics import main_metric, score
from mtlkit.evaluation.sharing import SharingReport, sharing_report, task_sharing
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, outputs_of
from mtlkit.inference.fast import fastest
from mtlkit.inference.find_model import ModelRef
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.training.baseline_cache import Outputs, ScoredRows, keep, kept, key_of, recall, rows_to_score
from mtlkit.recipes.training.prepare import Checked, Prepared, prepare_objectives
from mtlkit.training.events import Event, Note, Progress
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.objectives.base import HeadObjective
from mtlkit.training.plan import MixtureOptions, TrainPlan
from mtlkit.training.sampling.mixture import TaskMixture, make_plans
from mtlkit.training.setup import RuntimeContext, fit


def check_baselines(
    options: TrainMtlOptions, found: ModelRef | None, out: Path, trained: Sequence[str], freezing: FreezeRules
) -> None:
    """What can be said without reading data; `trained` are the tasks of `--task` whose heads train. Raises UsageError."""
    if not options.baselines:
        if options.seeds > 1:
            raise UsageError(f"--seeds {options.seeds} repeats what --baselines trains; add --baselines, or leave it out")
        return
    if len(trained) < 2:
        raise UsageError("--baselines trains each of several tasks alone, and here one trains; give two tasks, or leave it out")
    if freezing.keeps("backbone"):
        raise UsageError("--baselines tells what sharing brought, and above a frozen backbone nothing is shared; leave one out")
    for asked, why in (
        (options.rehearse and f"--rehearse {options.rehearse[0]}", "gives it company"),
        (options.max_forgetting is not None and "--max-forgetting", "may stop one training before the other"),
        (options.task_patience and "--task-patience", "may stop one task before the other"),
    ):
        if asked:
            raise UsageError(f"--baselines trains each task alone for as long as together, and {asked} {why}; leave one out")
    if found and found.path.resolve() == out.resolve():
        raise UsageError(f"--baselines starts from {found} once more, and --out would replace it; name another folder")


@dataclass(frozen=True)
class ComparedRun:
    """The run that is compared: its options, what was checked and prepared for it (its model trained by now), its terms, where it
    computes, and the folder for caches beside it."""

    options: TrainMtlOptions
    checked: Checked
    prepared: Prepared
    plan: TrainPlan
    compute: Compute
    cache: Path

    @property
    def trained(self) -> list[str]:
        return list(self.plan.trained(self.prepared.objectives))


@dataclass(frozen=True)
class BaselineRun:
    """A training to compare: its tasks, its options and terms, and what messages call it."""

    tasks: tuple[str, ...]
    options: TrainMtlOptions
    plan: TrainPlan
    name: str


def compare(run: ComparedRun) -> Generator[Event, None, SharingReport]:
    """Trains what is not kept: for each of `seeds` seeds every task alone and, but for the first, which is the run's, all of them
    together. Scores all on the test rows, or on the validation rows of a task that has none. Raises DataError, DivergedError.
    """
    names = run.trained
    rows = rows_to_score(run.options, {name: run.checked.sources[name] for name in names}, run.prepared)
    together, alone = [said(run.prepared.start.model, rows, run.compute)], []
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
    number where epochs differ), and as many in a step of the optimiser as there are of it on average.
    """
    options = replace(run.options, seed=seed, out=None, overwrite=False, baselines=False, seeds=1)
    options = replace(options, track_every=0, router=False)  # which changes no number
    names, mixing, terms = run.trained, run.plan.mixing, replace(run.plan, router=False)
    lengths = {name: run.prepared.objectives[name].train.lengths for name in names}
    plans = make_plans(lengths, options.batch_tokens, seed, run.plan.classes)
    mix = TaskMixture(plans, mixing.schedule, epoch_by=mixing.epoch_by)
    arms = [] if seed == run.options.seed else [BaselineRun(tuple(names), options, terms, f"together, seed {seed}")]
    for name in names:
        batches = sum(mix.planned(epoch)[name] for epoch in range(options.epochs)) / options.epochs
        accumulate = max(1, round(options.accumulate * batches / mix.steps))
        length = EpochLength("steps", max(1, round(batches / accumulate)), accumulate)
        alone = replace(
            options,
            task=[f"{name}={run.checked.sources[name]}"],
            schedule="round-robin",
            epoch_by=f"steps:{length.steps}",
            accumulate=accumulate,
            balance="sum",
            select="mean",
            batch_tokens=plans[name].budget,
        )
        known = run.plan.known - {other for other in names if other != name}  # to guards, heads of others are none to keep
        plan = replace(terms, mixing=MixtureOptions(epoch_by=length), known=known)
        arms.append(BaselineRun((name,), alone, plan, f"{name} alone, seed {seed}"))
    return arms


def trained_with(
    run: ComparedRun, arms: list[BaselineRun], rows: Mapping[str, ScoredRows]
) -> Generator[Event, None, list[Outputs]]:
    """What the models of a seed say: of all together, where that is among the arms, then of all alone, as one."""
    files = [kept(run.cache, key_of(arm.options, arm.tasks, run.prepared, rows, run.compute)) for arm in arms]
    known = [recall(file, {name: rows[name] for name in arm.tasks}) for file, arm in zip(files, arms, strict=True)]
    if None in known:
        again = replace(run.options, seed=arms[0].options.seed)
        prepared = silently(prepare_objectives(again, run.checked))
    found: list[Outputs] = []
    alone: dict[str, Any] = {}
    for arm, file, outputs in zip(arms, files, known, strict=True):
        where = f", as kept in {file.path}"
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
    """Trains a copy of the start, its random numbers included; tells its steps and what to look at. Tasks that are watched are
    there for guards alone."""
    model = deepcopy(prepared.start.model)
    objectives: dict[str, HeadObjective] = {}
    for name in [*arm.tasks, *(arm.plan.watched if arm.plan.guards else ())]:
        one = prepared.objectives[name]
        assert isinstance(one, HeadObjective)
        objectives[name] = HeadObjective(model, one.task, one.options)
    try:
        for event in fit(model, objectives, arm.plan, arm.options, RuntimeContext(run.compute, log, run.cache)):
            if isinstance(event, Progress) or (isinstance(event, Note) and event.warning):
                yield event
    except DivergedError as error:
        raise DivergedError(f"--baselines, {arm.name}: {error}") from None
    except MtlkitError as error:
        raise type(error)(f"--baselines, {arm.name}: {error}") from None
    return said(model, {name: rows[name] for name in arm.tasks}, run.compute)


def said(model: MultiTaskModel, rows: Mapping[str, ScoredRows], compute: Compute) -> Outputs:
    """What the head of each task says of the rows that it is scored on, (N, outputs)."""
    fast = fastest(model.eval(), compute)
    return {name: outputs_of(model, name, encode_all(fast, one.texts.encoded, compute)) for name, one in rows.items()}


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
