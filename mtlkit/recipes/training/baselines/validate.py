"""Checks `--baselines` before data is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import UsageError
from mtlkit.training.plan import TrainPlan


def check_baselines(plan: TrainPlan, out: Path, trained: Sequence[str]) -> None:
    """Raises UsageError if `--baselines` or `--seeds` do not fit the other options. `trained` are the tasks of `--task` whose
    heads train.
    """
    options = options_of(plan)
    if not options.baselines:
        if options.seeds > 1:
            raise UsageError(f"--seeds {options.seeds} repeats what --baselines trains; add --baselines, or remove it")
        return
    if len(trained) < 2:
        raise UsageError("--baselines trains each of several tasks alone, and only one trains here; give two tasks, or remove it")
    if plan.fixed_backbone:
        frozen = (
            "tasks with adapters of their own share nothing that trains" if plan.own_adapters else "a frozen one is not shared"
        )
        raise UsageError(f"--baselines measures what sharing the backbone brings, and {frozen}; remove one of them")
    for option, reason in (
        (options.rehearse and f"--rehearse {options.rehearse[0]}", "gives it company"),
        (options.max_forgetting is not None and "--max-forgetting", "may stop one training before the other"),
        (options.task_patience and "--task-patience", "may stop one task before the other"),
    ):
        if option:
            raise UsageError(
                f"--baselines trains each task alone for as long as together, and {option} {reason}; remove one of them"
            )
    if plan.start and plan.start.path.resolve() == out.resolve():
        raise UsageError(f"--baselines starts from {plan.start} again, and --out would replace it; name another folder")


def options_of(plan: TrainPlan) -> TrainMtlOptions:
    """The options of a plan of `train-mtl`."""
    assert isinstance(plan.options, TrainMtlOptions)
    return plan.options
