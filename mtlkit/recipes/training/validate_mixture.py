"""Checks schedule, balancing and selection before data is read."""

from __future__ import annotations

from collections.abc import Sequence

from mtlkit.config.registries.schedules import check_epoch_length
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.training.balancing.registry import check_balance
from mtlkit.training.plan import TrainPlan


def check_mixture(plan: TrainPlan, trained: Sequence[str]) -> None:
    """Raises UsageError if schedule, balancing or `--select` do not fit the tasks; `trained` are the tasks that train."""
    check_epoch_length(plan.schedule, plan.epoch_by, len(trained) + len(plan.rehearsed))
    frozen = plan.freezing.keeps("backbone")
    check_balance(plan.balance, plan.schedule, trained, frozen, plan.options.balance_on)
    known, select = ["mean", "min", *trained], plan.options.select
    if select not in known:
        raise UsageError(f"--select {select}: not one of {listed(known)}{suggest(select, known)}")
