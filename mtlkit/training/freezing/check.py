"""Refuses freezing that leaves nothing to train, or that would keep random weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mtlkit.errors import UsageError, listed
from mtlkit.training.freezing.rules import FreezeRules, prefix_of


def check_freeze(freezing: FreezeRules, tasks: Sequence[str], trained: Iterable[str], fresh: bool) -> None:
    """Rejects rules that leave nothing to train or make no sense.

    `tasks` have data; `trained` are the parts of the starting model with trained weights; `fresh` means that the user requested
    random weights. Raises UsageError.
    """
    heads = [f"head:{name}" for name in tasks]
    if all(map(freezing.keeps, heads)):
        whole = freezing.keeps("backbone")
        which = "everything is frozen" if whole else f"every task's head is frozen ({listed(heads)})"
        raise UsageError(f"{which}, so nothing is left to train; take one of {listed(heads)} out of --freeze, or add a task")
    if any(all(freezing.wholly(part, state) for part in ("backbone", *heads)) for state in freezing.states):
        raise UsageError(f"everything is frozen for some time, when nothing could train; let {listed(heads)} train all along")
    if not fresh:
        _check_learned(freezing, set(trained))


def _check_learned(freezing: FreezeRules, trained: set[str]) -> None:
    for rule in freezing.rules:
        parts = {"backbone" if name.startswith("backbone.") else f"head:{name.split('.')[1]}" for name in freezing.always}
        wrong = [part for part in sorted(parts - trained) if any(map(rule.pattern.match, _of(part, freezing.always)))]
        if rule.frozen and wrong:
            raise UsageError(
                f"--freeze {rule.item} would keep random weights: the starting model has no trained {wrong[0]}; "
                "start from a model that has it with --init, or say --init scratch if that is meant"
            )


def _of(part: str, weights: Iterable[str]) -> list[str]:
    return [name for name in weights if name.startswith(prefix_of(part))]
