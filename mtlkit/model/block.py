"""A block of the transformer: attention and MLP, each with a norm and a residual addition.

Shapes: T tokens of all texts, D width.
"""

from __future__ import annotations

from torch import Tensor, nn

from mtlkit.config.architecture import Architecture
from mtlkit.model.attention import AttentionSettings
from mtlkit.model.fallbacks import ACTIVATIONS
from mtlkit.model.layouts import TokenLayout
from mtlkit.model.products import linear, mlp
from mtlkit.model.randomness import Dropout


class SelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) with one projection for queries, keys and values."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.settings = AttentionSettings(architecture.heads, architecture.attention == "causal")
        self.qkv = nn.Linear(architecture.dim, 3 * architecture.dim)
        self.out = nn.Linear(architecture.dim, architecture.dim)

    def forward(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        return linear(self.out, layout.attend(linear(self.qkv, states_TD), self.settings))


class Block(nn.Module):
    """Pre: x + attention(norm(x)), then x + mlp(norm(x)). Post: norm(x + attention(x)), then norm(x + mlp(x))."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        dim, epsilon = architecture.dim, architecture.epsilon
        self.post = architecture.norm == "post"
        self.activation = architecture.activation
        self.attention_norm = nn.LayerNorm(dim, epsilon)
        self.attention = SelfAttention(architecture)
        self.mlp_norm = nn.LayerNorm(dim, epsilon)
        self.expand = nn.Linear(dim, architecture.mlp_dim)
        self.contract = nn.Linear(architecture.mlp_dim, dim)
        self.dropout = Dropout(architecture.dropout)

    def forward(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        if self.post:
            states_TD = self.attention_norm(states_TD + self.dropout(self.attention(states_TD, layout)))
            after: Tensor = self.mlp_norm(states_TD + self.dropout(self.mlp(states_TD)))
        else:
            states_TD = states_TD + self.dropout(self.attention(self.attention_norm(states_TD), layout))
            after = states_TD + self.dropout(self.mlp(self.mlp_norm(states_TD)))
        return after

    def mlp(self, states_TD: Tensor) -> Tensor:
        return mlp(self.expand, self.contract, ACTIVATIONS[self.activation], self.activation, states_TD)
