"""Buckets of tensors."""

from __future__ import annotations

import torch

from mtlkit.training.distributed.gradients import buckets


def test_buckets_keep_the_order_and_stay_within_their_limit() -> None:
    tensors = [torch.zeros(size) for size in (2, 3, 10, 1, 1)] + [torch.zeros(1, dtype=torch.bfloat16)]
    groups = list(buckets(tensors, limit=20))
    assert [[tensor.numel() for tensor in group] for group in groups] == [[2, 3], [10], [1, 1], [1]]
    assert [id(tensor) for group in groups for tensor in group] == list(map(id, tensors))
    assert list(buckets([])) == []
