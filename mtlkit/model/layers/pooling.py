"""Pooling: the hidden states of each text's tokens become one vector, as sentence-transformers computes it.

Shapes: T tokens of all texts, N texts, D width. BOS and EOS count, padding does not; an empty text has only BOS and EOS, so that
its vector is finite. The first `skip` tokens of each text (the prompt) are excluded. If nothing remains, a mean or the last token
is zero, and the first token is that of the prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.config.pooling import DenseShape
from mtlkit.model.layouts import TokenLayout

LEAST = 1e-9  # of what is divided by
DENSE_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda states: states,
    "tanh": torch.tanh,
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "sigmoid": torch.sigmoid,
}


class Dense(nn.Linear):
    """A linear layer on vectors with an activation after it, (N, inputs) -> (N, width)."""

    def __init__(self, inputs: int, shape: DenseShape) -> None:
        super().__init__(inputs, shape.width, bias=shape.bias)
        self.activation = DENSE_ACTIVATIONS[shape.activation]

    def forward(self, vectors: Tensor) -> Tensor:
        return self.activation(super().forward(vectors))


def make_layer(inputs: int, shape: DenseShape) -> nn.Module:
    """A layer on vectors, (N, inputs) -> (N, width): dense, or a LayerNorm."""
    return nn.LayerNorm(inputs) if shape.norm else Dense(inputs, shape)


def pool(layout: TokenLayout, states_TD: Tensor, modes: Sequence[str]) -> Tensor:
    """The vectors of the modes one after another, (N, modes * D)."""
    skips = isinstance(layout.skip, Tensor) or bool(layout.skip)
    parts = [(AFTER_PROMPT if skips else WHOLE)[mode](layout, states_TD) for mode in modes]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def weighted_mean(layout: TokenLayout, states_TD: Tensor, weights_T1: Tensor) -> Tensor:
    """A mean with a weight for each token, (N, D). As with sentence-transformers' WordWeights, a sum that excludes the prompt is
    divided by the weights of all tokens."""
    kept_TD = states_TD * weights_T1
    if isinstance(layout.skip, Tensor) or layout.skip:
        kept_TD = kept_TD * _kept(layout, states_TD)
    return layout.mean(kept_TD) / layout.mean(weights_T1)


def _kept(layout: TokenLayout, states_TD: Tensor) -> Tensor:
    """Whether each token comes after the prompt, (T, 1), as numbers."""
    return (layout.positions[:, None] >= layout.skip).to(states_TD.dtype)


def _numbers(layout: TokenLayout) -> Tensor:
    """The number of each token in its text, from 1, (T, 1)."""
    return layout.positions[:, None].float() + 1


def _by_position(layout: TokenLayout, states_TD: Tensor) -> Tensor:
    numbers_T1 = _numbers(layout)
    return layout.mean(states_TD.float() * numbers_T1) / layout.mean(numbers_T1)


def _mean_after(layout: TokenLayout, states_TD: Tensor) -> Tensor:
    kept_T1 = _kept(layout, states_TD)
    return layout.mean(states_TD * kept_T1) / layout.mean(kept_T1).clamp(min=LEAST)


def _sqrt_after(layout: TokenLayout, states_TD: Tensor) -> Tensor:
    kept_T1, counts_N1 = _kept(layout, states_TD), layout.counts(states_TD)
    return layout.mean(states_TD * kept_T1) * counts_N1 / (layout.mean(kept_T1) * counts_N1).clamp(min=LEAST).sqrt()


def _by_position_after(layout: TokenLayout, states_TD: Tensor) -> Tensor:
    numbers_T1 = _numbers(layout) * _kept(layout, states_TD)
    return layout.mean(states_TD.float() * numbers_T1) / layout.mean(numbers_T1).clamp(min=LEAST)


def _first_after(layout: TokenLayout, states_TD: Tensor) -> Tensor:
    chosen_T1 = (layout.positions[:, None] == layout.skip).to(states_TD.dtype)
    share_N1 = layout.mean(chosen_T1)
    chosen_ND = layout.mean(states_TD * chosen_T1) / share_N1.clamp(min=LEAST)
    return torch.where(share_N1 > 0, chosen_ND, layout.first(states_TD))


def _last_after(layout: TokenLayout, states_TD: Tensor) -> Tensor:
    last_ND = layout.last(states_TD)
    return torch.where(layout.counts(states_TD) > layout.skip, last_ND, torch.zeros_like(last_ND))


def _max_after(layout: TokenLayout, states_TD: Tensor) -> Tensor:
    return layout.largest(states_TD.masked_fill(layout.positions[:, None] < layout.skip, -math.inf))


Mode = Callable[[TokenLayout, Tensor], Tensor]
WHOLE: dict[str, Mode] = {
    "mean": lambda layout, states: layout.mean(states),
    "first": lambda layout, states: layout.first(states),
    "last": lambda layout, states: layout.last(states),
    "max": lambda layout, states: layout.largest(states),
    "mean_sqrt_len": lambda layout, states: layout.mean(states) * layout.counts(states).sqrt(),
    "mean_by_position": _by_position,
}
AFTER_PROMPT: dict[str, Mode] = {
    "mean": _mean_after,
    "first": _first_after,
    "last": _last_after,
    "max": _max_after,
    "mean_sqrt_len": _sqrt_after,
    "mean_by_position": _by_position_after,
}
