"""How several tasks share a training, checked before data is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mtlkit.config.schedules import check_epoch_length, parse_epoch_length, parse_schedule
from mtlkit.config.training import TrainMtlOptions, TrainSentenceOptions
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.training.balancing.registry import check_balance, parse_balance
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.plan import MixtureOptions


def check_mixing(
    options: TrainMtlOptions | TrainSentenceOptions, trained: Sequence[str], mixed: Sequence[str], freezing: FreezeRules
) -> MixtureOptions:
    """`trained` are the tasks that learn, `mixed` those and the rehearsed ones. Raises UsageError."""
    schedule = parse_schedule(options.schedule)
    length = replace(parse_epoch_length(options.epoch_by), accumulate=options.accumulate)
    check_epoch_length(schedule, length, len(mixed))
    balance = parse_balance(options.balance, mixed)
    frozen = freezing.keeps("backbone")
    check_balance(balance, schedule.name, trained, frozen, options.balance_on)
    known = ["mean", "min", *trained]
    if options.select not in known:
        raise UsageError(f"--select {options.select}: it is none of {listed(known)}{suggest(options.select, known)}")
    kept = (options.select, options.task_patience, options.keep_best_per_task)
    return MixtureOptions(schedule, length, balance, options.balance_on, *kept)
