"""A block of the transformer: attention and MLP, each with a norm and a residual addition.

Shapes: T tokens of all texts, D width.
"""

from __future__ import annotations

from torch import Tensor, nn

from mtlkit.config.architecture import Architecture
from mtlkit.model.layers.attention import AttentionSettings
from mtlkit.model.layers.norms import make_norm
from mtlkit.model.layers.products import gated_mlp, linear, mlp
from mtlkit.model.layouts import TokenLayout
from mtlkit.model.randomness import Dropout


class SelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) with one projection for queries, keys and values of layer `layer`."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        dim, bias = architecture.dim, architecture.blocks.attention_bias
        self.settings = AttentionSettings.of(architecture, layer)
        self.qkv = nn.Linear(dim, dim + 2 * self.settings.keys * (dim // self.settings.heads), bias)
        self.out = nn.Linear(dim, dim, bias)

    def forward(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        return linear(self.out, layout.attend(linear(self.qkv, states_TD), self.settings))


class Block(nn.Module):
    """Pre: x + attention(norm(x)), then x + mlp(norm(x)). Post: norm(x + attention(x)), then norm(x + mlp(x))."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        dim, options = architecture.dim, architecture.blocks
        self.post = architecture.norm == "post"
        self.activation, self.gated = architecture.activation, options.gated
        self.attention_norm = make_norm(architecture) if layer or options.first_norm else nn.Identity()
        self.attention = SelfAttention(architecture, layer)
        self.mlp_norm = make_norm(architecture)
        self.expand = nn.Linear(dim, architecture.mlp_dim * (2 if self.gated else 1), options.expand_bias)
        self.contract = nn.Linear(architecture.mlp_dim, dim, options.contract_bias)
        self.dropout = Dropout(architecture.dropout)

    def forward(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        if self.post:
            states_TD = self.attention_norm(self.dropout.added(states_TD, self.attention(states_TD, layout)))
            after: Tensor = self.mlp_norm(self.dropout.added(states_TD, self.mlp(states_TD)))
        else:
            states_TD = self.dropout.added(states_TD, self.attention(self.attention_norm(states_TD), layout))
            after = self.dropout.added(states_TD, self.mlp(self.mlp_norm(states_TD)))
        return after

    def mlp(self, states_TD: Tensor) -> Tensor:
        return (gated_mlp if self.gated else mlp)(self.expand, self.contract, self.activation, states_TD)
