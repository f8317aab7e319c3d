"""What stays as it is: reading `--freeze`, checking it before any data is read, applying and proving it.

A target is a part of the model by name; what a target may be stands in `targets_of`. Nothing here imports torch at run
time, so that the command line can check a wrong option at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mtlkit.errors import UsageError, listed, suggest

if TYPE_CHECKING:
    from torch import nn

    from mtlkit.model.multitask import MultiTaskModel


def targets_of(heads: Iterable[str]) -> list[str]:
    """Everything that `--freeze` can name in a model with these heads."""
    return ["backbone", *(f"head:{name}" for name in heads)]


def parse_freeze(items: Iterable[str], heads: Iterable[str]) -> frozenset[str]:
    """`["backbone", "head:topic,head:sentiment"]` -> the targets. Raises UsageError for a name that does not exist."""
    names = [part.strip() for item in items for part in item.split(",") if part.strip()]
    chosen = [name for name in names if name != "none"]
    if chosen and "none" in names:
        raise UsageError(f"--freeze none and --freeze {chosen[0]} contradict each other; leave one out")
    known = targets_of(heads)
    for name in chosen:
        if name not in known:
            raise UsageError(f"--freeze {name}: no such part; known are none, {listed(known)}{suggest(name, ['none', *known])}")
    return frozenset(chosen)


def check_freeze(frozen: frozenset[str], tasks: Iterable[str], trained: Iterable[str], fresh: bool) -> None:
    """Refuses what cannot train or would make no sense.

    `tasks` have data; `trained` are the parts of the starting model that hold learned weights; `fresh` says that the user
    asked for random weights. Raises UsageError.
    """
    tasks = list(tasks)
    free = [name for name in tasks if f"head:{name}" not in frozen]
    if not free:
        heads = listed(f"head:{name}" for name in tasks)
        which = "everything is frozen" if "backbone" in frozen else f"every task's head is frozen ({heads})"
        raise UsageError(f"{which}, so nothing is left to train; take one of {heads} out of --freeze, or add a task")
    if fresh:
        return
    trained = set(trained)
    for name in sorted(frozen):
        if name not in trained:
            raise UsageError(
                f"--freeze {name} would keep random weights: the starting model has no trained {name}; "
                "start from a model that has it with --init, or say --init scratch if that is meant"
            )


def apply_freeze(model: MultiTaskModel, frozen: frozenset[str]) -> None:
    """Takes the frozen parts out of training: no gradient, so no optimizer and no weight decay touches them."""
    for name, part in model.parts():
        part.requires_grad_(name not in frozen)


def training_mode(model: MultiTaskModel, frozen: frozenset[str]) -> None:
    """Dropout on, but not inside what is frozen."""
    model.train()
    for name, part in model.parts():
        part.train(name not in frozen)


def digest(part: nn.Module) -> str:
    """SHA-256 over the names and bytes of a part's weights."""
    total = hashlib.sha256()
    for name, weight in sorted(part.state_dict().items()):
        total.update(name.encode())
        total.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
