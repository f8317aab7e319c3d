"""Attention in bf16 without gradients on a CPU, for texts that are not long: batched products instead of one operator, which
takes twice as long as it works on a few tokens at a time.

Softmax is split. Powers of 2 of the scores are mixed with the values, and only the result, which is smaller than the scores, is
divided by their sum. Powers and sums are float32.

Shapes: T tokens, L tokens of a text, E width of a head, D width, M texts * heads.
"""

from __future__ import annotations

import math
from itertools import accumulate

import torch
from torch import Tensor

from mtlkit.model.kernels import has_bf16
from mtlkit.model.layers.attention import AttentionSettings
from mtlkit.model.layers.half_attention import split_heads
from mtlkit.model.layouts import GroupedLayout, TokenLayout

LONGEST = 512  # tokens of a text up to which the scores of a group, (M, L, L), fit into caches
SAFE = 100.0  # scores up to this have powers of 2, and sums of them, that float32 can hold


def can_shorten() -> bool:
    """Whether this processor multiplies bf16 matrices, without which `attend` is slow."""
    return has_bf16()


def attend(qkv_T3D: Tensor, layout: TokenLayout, settings: AttentionSettings, dtype: torch.dtype) -> Tensor:
    """Attention within each text from bf16 queries, keys and values to (T, D) in `dtype`."""
    if not isinstance(layout, GroupedLayout) or layout.longest > LONGEST or not layout.is_whole(settings):
        return layout.attend(qkv_T3D.to(dtype), settings)
    qkv_T3D = layout.turned(qkv_T3D, settings)
    mixed_TD = qkv_T3D.new_empty(len(qkv_T3D), qkv_T3D.shape[1] // 3, dtype=dtype)
    ends = accumulate(layout.sizes)
    for (texts, length), size, end in zip(layout.groups, layout.sizes, ends, strict=True):
        rows = slice(end - size, end)
        values, sums = _attended(qkv_T3D[rows], texts, settings)
        shape = (texts, settings.heads, length, -1)
        out = mixed_TD[rows].view(texts, length, settings.heads, -1).transpose(1, 2)
        torch.div(values.view(shape), sums.view(shape), out=out)
    return mixed_TD


def _attended(qkv: Tensor, texts: int, settings: AttentionSettings) -> tuple[Tensor, Tensor]:
    """The sum of values times powers of 2, (M, L, E), and the sum of the powers, (M, L, 1)."""
    query, key, value = split_heads(qkv, texts, settings.heads, 3)
    query.mul_(query.shape[2] ** -0.5 * math.log2(math.e))
    scores = torch.bmm(query, key.transpose(1, 2))
    exact = scores.float()
    low, high = map(float, exact.aminmax())
    if not (low > -SAFE and high < SAFE):
        exact = _lowered(exact, settings.causal)
    powers = torch.exp2(exact, out=exact)
    if settings.causal:
        powers.tril_()
    return torch.bmm(scores.copy_(powers), value), powers.sum(2, keepdim=True)


def _lowered(scores: Tensor, causal: bool) -> Tensor:
    """The scores less a whole number for each row, which changes the powers, their rounding aside, by one power of 2."""
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores[0], dtype=torch.bool).triu_(1), -torch.inf)
    return scores - scores.amax(2, keepdim=True).floor_()
