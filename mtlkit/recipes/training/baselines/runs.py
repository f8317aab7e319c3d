"""The trainings that `--baselines` compares a run with: how each is planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.registries.balancing import BalanceChoice
from mtlkit.config.registries.schedules import EpochLength, ScheduleChoice
from mtlkit.data.batching import BatchSampler
from mtlkit.recipes.training.baselines.validate import options_of
from mtlkit.recipes.training.prepare import Prepared
from mtlkit.training.plan import TrainPlan
from mtlkit.training.sampling.columns import column_units, lengths_of
from mtlkit.training.sampling.floor import lengthened
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers


@dataclass(frozen=True)
class ComparedRun:
    """The run to compare: its plan, its data and trained model, and the folder for caches beside it."""

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
    """A training to compare with: its tasks and plan, the heads that come from the starting model, and its name in messages."""

    tasks: tuple[str, ...]
    plan: TrainPlan
    known: frozenset[str]
    name: str

    @property
    def options(self) -> TrainMtlOptions:
        return options_of(self.plan)


def baselines_of(run: ComparedRun, seed: int) -> list[BaselineRun]:
    """The trainings for a seed: all tasks together, unless that is the run itself, then each task alone.

    Alone, a task has the same batches in the same order as together; one that is a label column of a table has batches of as many
    of its rows on average. An epoch has as many of them (rounded, if epochs differ), and an optimizer step as many as it has on
    average together.
    """
    options = replace(run.options, seed=seed, out=None, overwrite=False, baselines=False, seeds=1)
    options = replace(options, track_every=0, router=False, keep_best_per_task=False)
    options = replace(options, calibrate="none", prototypes=0)  # like those above, these change no result
    names, plan, data = run.trained, run.plan, run.prepared.data
    examples = {name: data.objectives[name].train for name in names}
    units = column_units(examples, {})
    plans = make_samplers(lengths_of(examples, units), options.batch_tokens, seed, data.classes)
    mix = lengthened(TaskMixture(plans, plan.schedule, epoch_by=plan.epoch_by, units=units), plan)
    together = BaselineRun(tuple(names), replace(plan, options=options), data.known, f"together, seed {seed}")
    arms = [] if seed == run.options.seed else [together]
    for name in names:
        batches = sum(mix.planned(epoch)[name] for epoch in range(options.epochs)) / options.epochs
        accumulate = max(1, round(options.batches_per_step * batches / mix.steps))
        length = EpochLength("steps", max(1, round(batches / accumulate)), accumulate)
        alone = replace(
            options,
            task=[f"{name}={plan.sources[name]}"],
            schedule="round-robin",
            epoch_by=f"steps:{length.steps}",
            accumulate=accumulate,
            balance="sum",
            select="mean",
            batch_tokens=budget_alone(name, mix, plans),
            min_steps=None,  # as long as the epochs above
        )
        known = data.known - {other for other in names if other != name}  # guards do not protect the heads of other tasks
        own = replace(plan, options=alone, epoch_steps=None, schedule=ScheduleChoice(), epoch_by=length, balance=BalanceChoice())
        arms.append(BaselineRun((name,), own, known, f"{name} alone, seed {seed}"))
    return arms


def budget_alone(name: str, mix: TaskMixture, plans: Mapping[str, BatchSampler]) -> int:
    """The tokens of a batch of a task alone: as together, or the share of them that has a label of its column."""
    if name in plans:
        return plans[name].budget
    unit = next(unit for unit in mix.units.values() if name in unit.tasks)
    own = int(unit.shared.lengths[unit.shared.index[name]].sum())
    return max(1, round(plans[unit.name].budget * own / int(unit.lengths.sum())))
