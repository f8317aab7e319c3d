"""What stays as it is: reading `--freeze`, checking it before any data is read, applying and proving it.

A target is a part of the model by name; what a target may be stands in `targets_of`. Nothing here imports torch at run
time, so that the command line can check a wrong option at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mtlkit.errors import UsageError, listed, suggest

if TYPE_CHECKING:
    from torch import nn

    from mtlkit.model.multitask import MultiTaskModel


LAYERS = re.compile(r"layers:(\d+)(?:-(\d+))?")


def targets_of(heads: Iterable[str], layers: int = 0) -> list[str]:
    """Everything that `--freeze` can name in a model with these heads and this many layers."""
    inside = ["embeddings", f"layers:0-{layers - 1}" if layers > 1 else "layers:0"] if layers else []
    return ["backbone", *inside, *(f"head:{name}" for name in heads)]


def parse_freeze(items: Iterable[str], heads: Iterable[str], layers: int = 0) -> frozenset[str]:
    """`["backbone", "head:topic,head:sentiment"]` -> parts as `MultiTaskModel.part` names them; `layers:A-B` are several.

    Raises UsageError for a name that does not exist.
    """
    names = [part.strip() for item in items for part in item.split(",") if part.strip()]
    chosen = [name for name in names if name != "none"]
    if chosen and "none" in names:
        raise UsageError(f"--freeze none and --freeze {chosen[0]} contradict each other; leave one out")
    known = targets_of(heads, layers)
    parts: set[str] = set()
    for name in chosen:
        if (span := LAYERS.fullmatch(name)) and layers:
            parts |= _layers(name, span, layers)
        elif name in known:
            parts.add(name)
        else:
            raise UsageError(f"--freeze {name}: no such part; known are none, {listed(known)}{suggest(name, ['none', *known])}")
    return frozenset(parts)


def _layers(name: str, span: re.Match[str], layers: int) -> set[str]:
    first, last = int(span[1]), int(span[2] or span[1])
    if first > last or last >= layers:
        raise UsageError(f"--freeze {name}: no such layers; the model has 0 to {layers - 1}, counted from the embeddings up")
    return {f"layers:{place}" for place in range(first, last + 1)}


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
        if (name if name.startswith("head:") else "backbone") not in trained:
            raise UsageError(
                f"--freeze {name} would keep random weights: the starting model has no trained {name}; "
                "start from a model that has it with --init, or say --init scratch if that is meant"
            )


def apply_freeze(model: MultiTaskModel, frozen: frozenset[str]) -> None:
    """Takes the frozen parts out of training: no gradient, so no optimizer and no weight decay touches them."""
    model.requires_grad_(True)
    for name in frozen:
        model.part(name).requires_grad_(False)


def training_mode(model: MultiTaskModel, frozen: frozenset[str]) -> None:
    """Dropout on, but not inside what is frozen."""
    model.train()
    for name in frozen:
        model.part(name).eval()


def digest(part: nn.Module) -> str:
    """SHA-256 over the names and bytes of a part's weights."""
    total = hashlib.sha256()
    for name, weight in sorted(part.state_dict().items()):
        total.update(name.encode())
        total.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
