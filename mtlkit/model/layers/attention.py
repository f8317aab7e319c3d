"""Attention within texts of equal length, and what it needs to know besides queries, keys and values.

Shapes: N texts, H heads of queries, K heads of keys and of values, L tokens of a text, E width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.config.architecture import Architecture
from mtlkit.model.layers.rotary import Rotary

LEAST = 32  # queries of a block of local attention, at least
MASKS = 64  # masks that are kept


@dataclass(frozen=True)
class AttentionSettings:
    """How the tokens of a text attend to each other in a layer, whatever the layout of the batch.

    heads     number of attention heads
    causal    each token attends only to itself and earlier ones
    kv_heads  heads of keys and values, if fewer
    window    each token attends only to so many tokens on either side; None for all
    rotary    rotary positions; None if positions are part of the embeddings
    """

    heads: int
    causal: bool = False
    kv_heads: int | None = None
    window: int | None = None
    rotary: Rotary | None = None

    @classmethod
    def of(cls, architecture: Architecture, layer: int) -> AttentionSettings:
        """The settings of a layer, counted from 0."""
        options, causal = architecture.blocks, architecture.attention == "causal"
        base, width = options.base_of(layer), architecture.dim // architecture.heads
        rotary = None if base is None else Rotary(base, width, options.rotary_scale)
        return cls(architecture.heads, causal, options.kv_heads, options.window_of(layer), rotary)

    @property
    def keys(self) -> int:
        """The number of heads of keys, and of values."""
        return self.kv_heads or self.heads

    @property
    def turning(self) -> int:
        """The number of heads that rotary positions turn: those of queries and keys."""
        return self.heads + self.keys

    def whole(self, length: int) -> bool:
        """Whether no window limits what is seen in texts of this length, and each head has keys and values of its own."""
        return self.keys == self.heads and (self.window is None or length <= self.window + 1)

    def split(self, qkv: Tensor, texts: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """The queries, (N, H, L, E), keys and values, each (N, K, L, E), of texts of equal length."""
        split = qkv.view(texts, length, self.heads + 2 * self.keys, -1).transpose(1, 2)
        query, key, value = torch.split(split, [self.heads, self.keys, self.keys], 1)
        return query, key, value

    def seen(self, length: int, device: torch.device) -> Tensor | None:
        """Whether each token, in rows, attends to each other, (L, L); None if all attend to all."""
        if not self.causal and self.window is None:
            return None
        places = torch.arange(length, device=device)
        return _seen(places[:, None], places, self.window, self.causal)


def _seen(rows: Tensor, columns: Tensor, window: int | None, causal: bool) -> Tensor:
    """Which columns, as places in the text, each row attends to."""
    seen = (rows - columns).abs() <= window if window is not None else torch.ones_like(rows - columns, dtype=torch.bool)
    return seen & (columns <= rows) if causal else seen


def attended(query: Tensor, key: Tensor, value: Tensor, settings: AttentionSettings, bias_HLL: Tensor | None = None) -> Tensor:
    """Attention in texts of equal length, (N, H, L, E), whose scores may have a bias."""
    window, shared = settings.window, settings.keys < settings.heads
    if bias_HLL is not None:
        mask, seen = bias_HLL[None].to(query.dtype), settings.seen(query.shape[2], query.device)
        mask = mask if seen is None else mask.masked_fill(~seen, -torch.inf)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=shared)
    if window is None or query.shape[2] <= window + 1:
        return functional.scaled_dot_product_attention(query, key, value, is_causal=settings.causal, enable_gqa=shared)
    return _local(query, key, value, window, settings.causal)


def _local(query: Tensor, key: Tensor, value: Tensor, window: int, causal: bool) -> Tensor:
    """Attention in a window: blocks of queries with the keys that they reach, so that its cost grows as the length does."""
    length, size = query.shape[2], max(window, LEAST)
    size = length if length <= 3 * size else size
    mixed = []
    for start in range(0, length, size):
        stop = min(length, start + size)
        low, high = max(0, start - window), stop if causal else min(length, stop + window)
        mask = _band(stop - start, high - low, start - low, window, causal, query.dtype, query.device)
        reached = key[:, :, low:high], value[:, :, low:high]
        shared = key.shape[1] < query.shape[1]
        block = query[:, :, start:stop]
        mixed.append(functional.scaled_dot_product_attention(block, *reached, attn_mask=mask, enable_gqa=shared))
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed, 2)


@lru_cache(MASKS)
def _band(rows: int, columns: int, first: int, window: int, causal: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What is added to the scores of a block of queries, (rows, columns); the first query is at column `first`."""
    with torch.inference_mode(False):  # inference tensors cannot be used in training
        places = torch.arange(max(columns, first + rows), device=device)
        seen = _seen(places[first : first + rows, None], places[:columns], window, causal)
        return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, -torch.inf)
