"""What the record of a run says about its frozen parts: their digests before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtlkit.errors import counted
from mtlkit.training.events import Part


def proven(parts: Sequence[Part], before: Sequence[Part] | None = None) -> list[Part]:
    """The frozen parts of a training that has ended. After a training in phases, `before` are those of the earlier phase: a part
    is frozen if it was in both."""
    frozen = [part for part in parts if part.before and part.after]
    if before is None:
        return frozen
    ends = {part.name: part.after for part in before}
    return [part for part in frozen if ends.get(part.name) == part.before]


def freezing_record(parts: Sequence[Part]) -> dict[str, Any]:
    """Each frozen part with its SHA-256 before and after training, and a sentence about them."""
    rows = [
        {"part": part.name, "parameters": part.parameters - part.trainable, "before": part.before, "after": part.after}
        for part in parts
    ]
    same = [part.name for part in parts if part.before == part.after]
    weights = counted(sum(part.parameters - part.trainable for part in parts if part.before == part.after), "weight")
    words = [f"{', '.join(same)}: {weights} with the same SHA-256 before and after training"] if same else []
    return {"parts": rows, "words": words}
