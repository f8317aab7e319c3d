"""Adds up tensors of all processes in buckets: a few large transfers instead of one per weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

BUCKET_BYTES = 2**22


def buckets(tensors: Sequence[Tensor], limit: int = BUCKET_BYTES) -> Iterator[list[Tensor]]:
    """Groups of consecutive tensors of one type, each of at most `limit` bytes or of a single tensor."""
    group: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if group and (size + tensor.nbytes > limit or tensor.dtype != group[0].dtype):
            yield group
            group, size = [], 0
        group.append(tensor)
        size += tensor.nbytes
    if group:
        yield group


@torch.no_grad()
def sum_buckets(tensors: Sequence[Tensor]) -> None:
    """Replaces each tensor by its sum over all ranks, in place: a new tensor may be aligned otherwise, which could change the
    last bit of what is computed from it. Buckets are sent while others are filled and emptied."""
    sent = []
    for group in buckets(tensors):
        flat = torch.cat([tensor.flatten() for tensor in group])
        sent.append((group, flat, dist.all_reduce(flat, async_op=True)))
    for group, flat, work in sent:
        assert work is not None
        work.wait()
        parts = torch.split(flat, [tensor.numel() for tensor in group])
        for tensor, part in zip(group, parts, strict=True):
            tensor.copy_(part.view_as(tensor))
