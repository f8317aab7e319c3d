"""Relative position bias (Raffel et al. 2020): what the distance of two tokens adds to the scores of attention, per head.

Distances share buckets: each short distance has its own, and longer ones share wider and wider ones. All layers share one bias.
Shapes: H attention heads, L tokens of the longest text.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

FARTHEST = 128  # from this distance on, all share a bucket


class PositionBias(nn.Embedding):
    """A number for each bucket and head, (buckets, H)."""

    def table(self, length: int) -> Tensor:
        """The bias for texts of up to so many tokens, (H, L, L): rows are the tokens that attend, columns those attended to. Its
        upper left corner is that of shorter texts."""
        places = torch.arange(length, device=self.weight.device)
        buckets_LL = bucket_of(places[None, :] - places[:, None], self.num_embeddings)
        return functional.embedding(buckets_LL, self.weight).permute(2, 0, 1).contiguous()


def bucket_of(distance: Tensor, buckets: int) -> Tensor:
    """The bucket of each distance to a token, negative for earlier ones; half of the buckets are for each direction."""
    half, exact, far = buckets // 2, buckets // 4, distance.abs()
    steps = torch.log(far.clamp(min=1).float() / exact) / math.log(FARTHEST / exact) * (half - exact)
    wide = (exact + steps.to(torch.long)).clamp(max=half - 1)
    return (distance > 0).to(torch.long) * half + torch.where(far < exact, far, wide)
