"""Memory layouts of a batch, which determine how attention and pooling find the tokens of each text.

Shapes: T tokens of all texts, N texts, L length of a text (padded: of the longest), D width, H attention heads, E = D / H.
All other layers of the encoder work on the flat (T, D), whatever the layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.model.layers.attention import AttentionSettings, attended
from mtlkit.model.layers.half_attention import LONGEST, half_attention
from mtlkit.model.layers.rotary import Rotary, turned, turned_in_graph
from mtlkit.model.training_dtype import training_dtype


class TokenLayout(Protocol):
    """Token ids and positions, each (T,), and the operations that combine tokens of a text: attention and pooling."""

    @property
    def ids(self) -> Tensor: ...

    @property
    def positions(self) -> Tensor: ...

    @property
    def types(self) -> Tensor | None:
        """Type of each token, 0 or 1, (T,); None if all are 0."""
        ...

    @property
    def skip(self) -> int | Tensor:
        """Number of first tokens of each text that pooling excludes."""
        ...

    @property
    def longest(self) -> int:
        """The number of tokens of the longest text, L."""
        ...

    def with_bias(self, bias_HLL: Tensor) -> TokenLayout:
        """The same layout with a bias of attention's scores: by head, place of a token, and place that it attends to."""
        ...

    def attend(self, qkv: Tensor, settings: AttentionSettings) -> Tensor:
        """Multi-head attention within each text: (T, 3D), less with fewer heads of keys, to (T, D). May overwrite `qkv`."""
        ...

    def mean(self, states_TD: Tensor) -> Tensor:
        """Mean over each text's own tokens, (N, D)."""
        ...

    def first(self, states_TD: Tensor) -> Tensor:
        """The hidden state of each text's first token, (N, D)."""
        ...

    def last(self, states_TD: Tensor) -> Tensor:
        """The hidden state of each text's last token, (N, D)."""
        ...

    def largest(self, states_TD: Tensor) -> Tensor:
        """The maximum over each text's own tokens, (N, D)."""
        ...

    def counts(self, states_TD: Tensor) -> Tensor:
        """The number of each text's tokens, (N, 1), as floating point on the device of the states."""
        ...


class GroupedLayout:
    """Texts concatenated; adjacent texts of equal length form dense groups. Best on a CPU: nothing is computed on padding."""

    def __init__(self, batch: Batch) -> None:
        self.ids, self.positions, self.types = batch.ids, batch.positions, batch.types
        self.groups, self.sizes, self.skip = batch.groups, batch.sizes, batch.skip
        self.turns: dict[Rotary, Tensor] = {}  # shared by all layers
        self.bias: Tensor | None = None

    @property
    def longest(self) -> int:
        return max(length for _, length in self.groups)

    def with_bias(self, bias_HLL: Tensor) -> GroupedLayout:
        layout = copy(self)
        layout.bias = bias_HLL
        return layout

    def attend(self, qkv: Tensor, settings: AttentionSettings) -> Tensor:
        if training_dtype(qkv) != torch.bfloat16:
            return self._attended(qkv, settings)
        if self.bias is None and settings.whole(self.longest) and self.longest <= LONGEST:
            return half_attention(self._turned(qkv, settings), self.groups, settings.heads, settings.causal)
        with torch.autocast("cpu", enabled=False):  # the gradient of torch's attention takes several times as long in bf16
            return self._attended(qkv.float(), settings)

    def _attended(self, qkv: Tensor, settings: AttentionSettings) -> Tensor:
        mixed = []
        for part, (texts, length) in zip(torch.split(self._turned(qkv, settings), self.sizes), self.groups, strict=True):
            bias = None if self.bias is None else self.bias[:, :length, :length]
            states = attended(*settings.split(part, texts, length), settings, bias)
            mixed.append(states.transpose(1, 2).flatten(2).flatten(0, 1))
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)

    def _turned(self, qkv: Tensor, settings: AttentionSettings) -> Tensor:
        """The same with rotary positions, if the layer has them."""
        rotary = settings.rotary
        if rotary is None:
            return qkv
        if rotary not in self.turns:
            self.turns[rotary] = rotary.turns(self.positions)
        return turned(qkv, self.turns[rotary], settings.turning)

    def mean(self, states_TD: Tensor) -> Tensor:
        return self._by_group(states_TD, lambda states_NLD: states_NLD.mean(1))

    def first(self, states_TD: Tensor) -> Tensor:
        return self._by_group(states_TD, lambda states_NLD: states_NLD[:, 0])

    def last(self, states_TD: Tensor) -> Tensor:
        return self._by_group(states_TD, lambda states_NLD: states_NLD[:, -1])

    def largest(self, states_TD: Tensor) -> Tensor:
        return self._by_group(states_TD, lambda states_NLD: states_NLD.amax(1))

    def counts(self, states_TD: Tensor) -> Tensor:
        lengths = [length for texts, length in self.groups for _ in range(texts)]
        return torch.tensor(lengths, dtype=torch.float32, device=states_TD.device)[:, None]

    def _by_group(self, states_TD: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
        parts = torch.split(states_TD, self.sizes)
        pooled = [pool(part.view(texts, length, -1)) for part, (texts, length) in zip(parts, self.groups, strict=True)]
        return pooled[0] if len(pooled) == 1 else torch.cat(pooled)


class VarlenLayout(GroupedLayout):
    """The same concatenation for a GPU: one call of variable-length flash attention for all texts (half precision only)."""

    @cached_property
    def lengths(self) -> list[int]:
        return [length for texts, length in self.groups for _ in range(texts)]

    @cached_property
    def offsets(self) -> Tensor:
        """Start of each text, (N + 1,) int32 on the device."""
        return torch.from_numpy(np.cumsum([0, *self.lengths]).astype(np.int32)).to(self.ids.device, non_blocking=True)

    def attend(self, qkv: Tensor, settings: AttentionSettings) -> Tensor:
        if qkv.dtype not in (torch.bfloat16, torch.float16) or self.bias is not None:
            return super().attend(qkv, settings)
        from torch.nn.attention.varlen import varlen_attn

        heads = self._turned(qkv, settings).view(len(qkv), settings.heads + 2 * settings.keys, -1)
        query, key, value = torch.split(heads, [settings.heads, settings.keys, settings.keys], 1)  # each (T, H, E)
        longest, before = max(self.lengths), -1 if settings.window is None else settings.window
        window, shared = (before, 0 if settings.causal else before), settings.keys < settings.heads
        mixed = varlen_attn(
            query, key, value, self.offsets, self.offsets, longest, longest, window_size=window, enable_gqa=shared
        )
        assert isinstance(mixed, Tensor)
        return mixed.flatten(1)

    def mean(self, states_TD: Tensor) -> Tensor:
        return torch.segment_reduce(states_TD.float(), "mean", offsets=self.offsets.long(), axis=0)

    def first(self, states_TD: Tensor) -> Tensor:
        return states_TD[self.offsets[:-1].long()]

    def last(self, states_TD: Tensor) -> Tensor:
        return states_TD[self.offsets[1:].long() - 1]

    def largest(self, states_TD: Tensor) -> Tensor:
        return torch.segment_reduce(states_TD.float(), "max", offsets=self.offsets.long(), axis=0)

    def counts(self, states_TD: Tensor) -> Tensor:
        return self.offsets.diff()[:, None].float()


@dataclass(frozen=True)
class PaddedLayout:
    """Texts padded to a rectangle, with a mask (N, L) of the real tokens: the format other tools expect of an exported model."""

    token_ids: Tensor
    mask: Tensor
    skip: int | Tensor = 0
    token_types: Tensor | None = None
    bias: Tensor | None = None

    @property
    def longest(self) -> int:
        return self.token_ids.shape[1]

    def with_bias(self, bias_HLL: Tensor) -> PaddedLayout:
        return replace(self, bias=bias_HLL)

    @property
    def ids(self) -> Tensor:
        return self.token_ids.flatten()

    @property
    def types(self) -> Tensor | None:
        return None if self.token_types is None else self.token_types.flatten()

    @property
    def positions(self) -> Tensor:
        places = torch.arange(self.token_ids.shape[1], device=self.token_ids.device)
        return places.expand_as(self.token_ids).flatten()

    def attend(self, qkv: Tensor, settings: AttentionSettings) -> Tensor:
        texts, length = self.token_ids.shape
        if settings.rotary is not None:
            qkv = turned_in_graph(qkv, settings.rotary.angles(self.positions), settings.turning)
        query, key, value = settings.split(qkv, texts, length)
        shared, limits = settings.heads // settings.keys, settings.seen(length, qkv.device)
        if shared > 1:
            key, value = (states.repeat_interleave(shared, 1) for states in (key, value))
        seen = self.mask.bool()[:, None, None, :]
        seen = seen if limits is None else seen & limits
        if self.bias is not None:
            least = torch.finfo(qkv.dtype).min  # exported graphs must not hold infinite numbers
            seen = self.bias[None].to(qkv.dtype).masked_fill(~seen, least)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return mixed.transpose(1, 2).flatten(2).flatten(0, 1)

    def mean(self, states_TD: Tensor) -> Tensor:
        weights = self.mask.to(states_TD.dtype)[:, :, None]
        return (states_TD.view(*self.token_ids.shape, -1) * weights).sum(1) / weights.sum(1)

    def first(self, states_TD: Tensor) -> Tensor:
        return states_TD.view(*self.token_ids.shape, -1)[:, 0]

    def last(self, states_TD: Tensor) -> Tensor:
        states_NLD = states_TD.view(*self.token_ids.shape, -1)
        places_N11 = self.mask.long().sum(1)[:, None, None] - 1  # padding is on the right
        return states_NLD.gather(1, places_N11.expand(-1, 1, states_NLD.shape[2]))[:, 0]

    def largest(self, states_TD: Tensor) -> Tensor:
        states_NLD = states_TD.view(*self.token_ids.shape, -1)
        return states_NLD.masked_fill(self.mask[:, :, None] == 0, -math.inf).amax(1)

    def counts(self, states_TD: Tensor) -> Tensor:
        return self.mask.to(states_TD.dtype).sum(1, keepdim=True)


def layout_of(batch: Batch) -> TokenLayout:
    """The fastest layout for the batch's device."""
    return VarlenLayout(batch) if batch.ids.is_cuda and _has_varlen() else GroupedLayout(batch)


def _has_varlen() -> bool:
    """Whether this torch supports variable-length attention with a window (2.12 and newer)."""
    try:
        from torch.nn.attention import varlen
    except ImportError:
        return False
    return "window_size" in (varlen.varlen_attn.__kwdefaults__ or {})
