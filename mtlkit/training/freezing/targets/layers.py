"""Layers by their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from mtlkit.config.option import whole
from mtlkit.config.registries.freeze_targets import FREEZE_TARGETS
from mtlkit.errors import UsageError
from mtlkit.training.freezing.targets.base import FreezeTarget, ModelParts


def blocks(numbers: Sequence[int]) -> re.Pattern[str]:
    """Matches the weights of the blocks with these numbers."""
    return re.compile(rf"backbone\.blocks\.({'|'.join(map(str, numbers))})\.")


def pattern(where: str, text: str | None, parts: ModelParts) -> re.Pattern[str] | None:
    """Reads `A` or `A-B`. Raises UsageError for layers that the model does not have, or that share their weights with others."""
    begin, dash, end = (text or "").partition("-")
    first, last = whole(begin), whole(end if dash else begin)
    if first is None or last is None:
        return None
    if first > last or last >= parts.layers:
        raise UsageError(f"{where}: no such layers; the model has 0 to {parts.layers - 1}, counted from the embeddings up")
    chosen = []
    for block, (stop, times) in enumerate(zip(accumulate(parts.repeats), parts.repeats, strict=True)):
        own = range(stop - times, stop)  # the layers that the block is
        if first <= own[0] and own[-1] <= last:
            chosen.append(block)
        elif own[0] <= last and first <= own[-1]:
            raise UsageError(
                f"{where}: layers {own[0]} to {own[-1]} of this model share their weights; write layers:{own[0]}-{own[-1]}"
            )
    return blocks(chosen)


def examples(parts: ModelParts) -> list[str]:
    return [f"layers:0-{parts.layers - 1}" if parts.layers > 1 else "layers:0"] if parts.layers else []


FREEZE_TARGETS.add(
    FreezeTarget(
        name="layers",
        help="layers A to B, counted from the embeddings up.",
        form="layers:A[-B]",
        rank=2,
        pattern=pattern,
        examples=examples,
    )
)
