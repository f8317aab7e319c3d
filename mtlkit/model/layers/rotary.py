"""Rotary positions (RoFormer, Su et al. 2021): pairs of channels of queries and keys are turned by an angle that grows with the
position.

Pairs are adjacent channels, so that they can be read as complex numbers and turned by one product. Families that pair a channel
of the first half of a head with one of the second are converted when they are read (`interop/names.py`).

Shapes: T tokens, H heads that turn (of queries and keys), P pairs of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rotary:
    """Angles by position: pair p of a head of width `width` turns by position * base ** (-2 p / width) / scale."""

    base: float
    width: int
    scale: float = 1.0

    def angles(self, positions_T: Tensor) -> Tensor:
        """The angle of each token and pair, (T, P); computed in the order of transformers, so that they round as there."""
        pairs = torch.arange(0, self.width, 2, device=positions_T.device).float()
        return positions_T.float()[:, None] * (1.0 / (self.base ** (pairs / self.width)) / self.scale)

    def turns(self, positions_T: Tensor) -> Tensor:
        """The complex numbers that turn each token and pair, (T, P)."""
        angles = self.angles(positions_T)
        return torch.complex(angles.cos(), angles.sin())


def turned(qkv: Tensor, turns_TP: Tensor, heads: int) -> Tensor:
    """The queries, keys and values of all tokens, (T, ...), with the first `heads` heads turned. May overwrite its input."""
    if qkv.dtype == torch.float32:
        result: Tensor = _Turn.apply(qkv, turns_TP, heads)  # type: ignore[no-untyped-call]
        return result
    width = 2 * heads * turns_TP.shape[1]
    pairs = torch.view_as_complex(qkv[:, :width].float().view(-1, heads, turns_TP.shape[1], 2)) * turns_TP[:, None]
    return torch.cat([torch.view_as_real(pairs).flatten(1).to(qkv.dtype), qkv[:, width:]], 1)


def turned_in_graph(qkv: Tensor, angles_TP: Tensor, heads: int) -> Tensor:
    """Like `turned`, without complex numbers and without overwriting, for graphs of other runtimes."""
    width = 2 * heads * angles_TP.shape[1]
    left, right = qkv[:, :width].view(-1, heads, angles_TP.shape[1], 2).unbind(3)
    cos, sin = angles_TP.cos()[:, None], angles_TP.sin()[:, None]
    pairs = torch.stack([left * cos - right * sin, left * sin + right * cos], 3)
    return torch.cat([pairs.flatten(1), qkv[:, width:]], 1)


class _Turn(torch.autograd.Function):
    """`turned` in place, in float32."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, turns_TP: Tensor, heads: int) -> Tensor:
        ctx.mark_dirty(qkv)
        ctx.save_for_backward(turns_TP)
        ctx.heads = heads
        return _turn(qkv, turns_TP, heads)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (turns_TP,) = ctx.saved_tensors
        return _turn(grads[0].clone(memory_format=torch.contiguous_format), turns_TP.conj(), ctx.heads), None, None


def _turn(qkv: Tensor, turns_TP: Tensor, heads: int) -> Tensor:
    pairs = turns_TP.shape[1]
    grid = qkv[:, : 2 * heads * pairs].view(-1, heads, pairs, 2)
    torch.view_as_complex(grid).mul_(turns_TP[:, None])
    return qkv
