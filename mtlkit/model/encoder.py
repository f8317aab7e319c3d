"""The transformer: token and position embeddings, Pre-LayerNorm blocks, a final LayerNorm.

Shapes: T tokens of all texts, N texts, L length of a text, D width, H attention heads, E = D / H.
Everything but attention works on the flat (T, D); attention sees one text at a time.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.model.pooling import mean_pool


class SelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) with one projection for queries, keys and values."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.heads = architecture.heads
        self.causal = architecture.attention == "causal"
        self.qkv = nn.Linear(architecture.dim, 3 * architecture.dim)
        self.out = nn.Linear(architecture.dim, architecture.dim)

    def forward(self, states_TD: Tensor, batch: Batch) -> Tensor:
        parts = torch.split(self.qkv(states_TD), batch.sizes)
        mixed = [self._attend(part, texts, length) for part, (texts, length) in zip(parts, batch.groups, strict=True)]
        joined: Tensor = self.out(mixed[0] if len(mixed) == 1 else torch.cat(mixed))
        return joined

    def _attend(self, qkv: Tensor, texts: int, length: int) -> Tensor:
        """(texts * L, 3D) -> (texts * L, D): texts of one length form a dense group."""
        query, key, value = qkv.view(texts, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (texts, H, L, E)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        flat: Tensor = mixed.transpose(1, 2).flatten(2).flatten(0, 1)
        return flat


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        dim = architecture.dim
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(architecture)
        self.mlp_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)
        self.dropout = nn.Dropout(architecture.dropout)

    def forward(self, states_TD: Tensor, batch: Batch) -> Tensor:
        states_TD = states_TD + self.dropout(self.attention(self.attention_norm(states_TD), batch))
        hidden = functional.gelu(self.expand(self.mlp_norm(states_TD)))
        after: Tensor = states_TD + self.dropout(self.contract(hidden))
        return after


class Encoder(nn.Module):
    """A stack of blocks over embeddings; `encode` adds mean pooling and makes it a sentence encoder."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.tokens = nn.Embedding(architecture.vocab_size, architecture.dim)
        self.positions = nn.Embedding(architecture.max_length, architecture.dim)
        self.dropout = nn.Dropout(architecture.dropout)
        self.blocks = nn.ModuleList(Block(architecture) for _ in range(architecture.layers))
        self.norm = nn.LayerNorm(architecture.dim)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """GPT-2's scheme (Radford et al. 2019): weights N(0, 0.02), biases 0, norms 1.

        The two projections that write into the residual stream are scaled by 1 / sqrt(2 * layers), so that the stream's
        variance does not grow with depth.
        """
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        for block in self.blocks:
            assert isinstance(block, Block)
            for projection in (block.attention.out, block.contract):
                projection.weight.mul_(1 / math.sqrt(2 * len(self.blocks)))

    def forward(self, batch: Batch) -> Tensor:
        """States of every token, (T, D)."""
        states_TD: Tensor = self.dropout(self.tokens(batch.ids) + self.positions(batch.positions))
        for block in self.blocks:
            states_TD = block(states_TD, batch)
        normed: Tensor = self.norm(states_TD)
        return normed

    def encode(self, batch: Batch) -> Tensor:
        """One vector a text, (N, D): the mean of the states of its own tokens."""
        return mean_pool(self(batch), batch)

    def attend(self, attention: str) -> None:
        """Let every block see the whole text (`bidirectional`) or only what came before (`causal`)."""
        self.architecture = replace(self.architecture, attention=attention)  # type: ignore[arg-type]
        for block in self.blocks:
            assert isinstance(block, Block)
            block.attention.causal = attention == "causal"
