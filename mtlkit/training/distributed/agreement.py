"""Compares what all processes of a training must have in common."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtlkit.errors import IntegrityError, counted, listed
from mtlkit.training.distributed.ranks import Ranks
from mtlkit.training.freezing.apply import digest


def others_than_main(ranks: Ranks, value: str) -> list[int]:
    """The ranks whose value differs from that of rank 0."""
    first, *others = ranks.agreed(value)
    return [rank for rank, other in enumerate(others, 1) if other != first]


def check_equal(ranks: Ranks, when: str, tensors: Mapping[str, Tensor]) -> None:
    """Raises IntegrityError, on all ranks, unless the SHA-256 of these tensors is the same on all."""
    if ranks.size == 1:
        return
    if different := others_than_main(ranks, digest(tensors)):
        some = f"{counted(len(different), 'rank')} ({listed(map(str, different))})"
        raise IntegrityError(
            f"{some} had other weights or optimizer states than rank 0 {when}, so nothing was saved; resume from the last "
            "checkpoint, on machines of one kind and with one version of torch"
        )
