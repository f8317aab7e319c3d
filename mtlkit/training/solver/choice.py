"""Which solver trains: L-BFGS, which solves heads on a frozen backbone to their optimum, or gradient steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import UsageError
from mtlkit.tasks.base import kind_of
from mtlkit.training.objectives.base import HeadObjective
from mtlkit.training.plan import TrainData, TrainPlan

# options of gradient steps that L-BFGS has no use for; others ask for steps
UNUSED = (
    *("epochs", "min_steps", "learning_rate", "head_rate", "warmup", "weight_decay", "clip", "batch_tokens", "accumulate"),
    *("micro_batch_tokens", "schedule"),
)


@dataclass(frozen=True)
class SolverChoice:
    """The solver, and why."""

    name: Literal["lbfgs", "sgd"]
    reason: str


def check_solver(plan: TrainPlan) -> None:
    """Raises UsageError where `--solver lbfgs` cannot be, as far as options tell."""
    if plan.options.solver == "lbfgs" and (reason := next(needs_steps(plan), None)):
        raise UsageError(f"--solver lbfgs solves linear heads on a frozen backbone, and {reason}; omit it, or change that")


def choose_solver(plan: TrainPlan, data: TrainData) -> SolverChoice:
    """The solver of a training whose data is read. Raises UsageError where `--solver lbfgs` cannot be."""
    asked = plan.options.solver
    if asked == "sgd":
        return SolverChoice("sgd", "--solver sgd")
    reason = next(needs_steps(plan), None) or next(without_optimum(plan, data), None)
    if reason is None:
        return SolverChoice("lbfgs", "the backbone is frozen and heads are linear" if asked == "auto" else "--solver lbfgs")
    if asked == "lbfgs":
        raise UsageError(f"--solver lbfgs: {reason}; omit it")
    return SolverChoice("sgd", reason)


def unused_options(plan: TrainPlan) -> list[str]:
    """The options that were given and that L-BFGS does not use."""
    usual = type(plan.options)()
    unset = {**usual.derived_defaults, "accumulate": plan.ranks.size}
    changed = [name for name in UNUSED if getattr(plan.options, name) not in (getattr(usual, name), unset.get(name))]
    return [f"--{name.replace('_', '-')}" for name in changed]


def needs_steps(plan: TrainPlan) -> Iterator[str]:
    """Why a plan needs gradient steps."""
    options = plan.options
    if not plan.freezing.keeps("backbone"):
        yield "the backbone trains"
    elif plan.adapter is not None:
        yield "an adapter trains"
    if len(plan.freezing.states) > 1 or options.unfreeze:
        yield "--freeze ends on the way"
    if options.objective != "classify":
        yield f"--objective {options.objective} trains no head"
    for given, name in (
        (plan.guards, "--guard"),
        (plan.rehearsed, "--rehearse"),
        (options.max_forgetting is not None, "--max-forgetting"),
        (options.patience, "--patience"),
        (options.task_patience, "--task-patience"),
        (options.eval_every, "--eval-every"),
        (options.keep_state, "--keep-state"),
        (options.keep_best_per_task, "--keep-best-per-task"),
        (options.balance != "sum", f"--balance {options.balance}"),
    ):
        if given:
            yield f"{name} needs gradient steps"
    if options.focal:
        yield "--focal has no single optimum"
    if isinstance(options, TrainMtlOptions) and options.baselines:
        yield "--baselines compares trainings"


def without_optimum(plan: TrainPlan, data: TrainData) -> Iterator[str]:
    """Heads whose loss is not convex, or that would lose classes."""
    for name, objective in plan.trained(data.objectives).items():
        assert isinstance(objective, HeadObjective)
        spec, labels = objective.task.spec, objective.task.train.labels
        yield from not_convex(objective)
        if name in data.known and not kind_of(spec.kind).covers(spec, labels):
            yield f"the data lacks classes of head '{name}', which a new solution would forget"


def not_convex(objective: HeadObjective) -> Iterator[str]:
    """Why the loss of a head is not convex in its weights."""
    spec, labels = objective.task.spec, objective.task.train.labels
    if spec.head != "linear":
        yield f"head '{spec.name}' has hidden layers ({spec.head})"
    elif spec.sigmoid:
        yield f"head '{spec.name}' ends in a sigmoid"
    elif kind_of(spec.kind).convex_loss(spec, labels[:1], objective.options, np.ones(1)) is None:
        yield f"the loss of {spec.kind} is not convex"
