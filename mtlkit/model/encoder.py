"""The transformer: embeddings, blocks, a final norm. Ours is Pre-LayerNorm; options support BERT and related models.

Shapes: T tokens of all texts, N texts, W words, D width, V width of a vector: D unless pooling or dense layers change it. All
layers work on the flat (T, D); only the layout knows text boundaries.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.model.backbone import Backbone
from mtlkit.model.layers.block import Block
from mtlkit.model.layers.norms import make_norm
from mtlkit.model.layers.position_bias import PositionBias
from mtlkit.model.layouts import TokenLayout, layout_of
from mtlkit.model.randomness import Dropout
from mtlkit.model.recompute import recomputed, trains


class Encoder(Backbone):
    """A stack of blocks over embeddings; `encode` adds pooling and makes it a sentence encoder.

    Of the token types of other families, the first is part of the positions, or of the tokens where positions are rotary.
    `second_type` is what the second one, which only pairs of texts in one sequence have, differs by; it trains if a head reads
    such pairs (`train_types`).
    """

    second_type: Tensor
    recomputes = False  # whether the backward pass computes the inner states of blocks again

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        dim, narrow = architecture.dim, architecture.token_dim
        self.tokens = nn.Embedding(architecture.vocab_size, narrow)
        if not architecture.blocks.rotary:
            own = architecture.padding_id is not None  # a last row for padding tokens
            self.positions = nn.Embedding(architecture.max_length + own, narrow)
        if architecture.position_buckets:
            self.position_bias = PositionBias(architecture.position_buckets, architecture.heads)
        if architecture.token_types > 1:
            self.register_buffer("second_type", torch.zeros(narrow))
        self.embedding_norm = make_norm(architecture, narrow) if architecture.embedding_norm else nn.Identity()
        self.widen = nn.Linear(narrow, dim) if architecture.widens else nn.Identity()
        self.dropout = Dropout(architecture.dropout)
        self.blocks = nn.ModuleList(Block(architecture, block) for block in range(len(architecture.repeats)))
        self.norm = make_norm(architecture) if architecture.norm == "pre" else nn.Identity()
        self.add_pooling()
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
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for block in self.blocks:
            assert isinstance(block, Block)
            for projection in (block.attention.out, block.contract):
                projection.weight.mul_(1 / math.sqrt(2 * self.architecture.layers))

    def train_types(self) -> None:
        """Makes the second token type a weight like others; without pairs in one sequence, it would get no gradient."""
        if "second_type" in self._buffers:
            value = self.second_type
            del self.second_type
            self.second_type = nn.Parameter(value)

    def forward(self, batch: Batch | TokenLayout) -> Tensor:
        """The last hidden states of all tokens, (T, D), for any layout."""
        layout = layout_of(batch) if isinstance(batch, Batch) else batch
        return self.upper(layout, self.embed(layout), 0)

    def lower(self, layout: TokenLayout, depth: int) -> Tensor:
        """The input of block `depth`, (T, D): the hidden states after the embeddings and the blocks below it."""
        return self._through(range(depth), layout, self.embed(layout))

    def upper(self, layout: TokenLayout, states_TD: Tensor, depth: int) -> Tensor:
        """The last hidden states of all tokens, (T, D), computed from the input of block `depth`."""
        normed: Tensor = self.norm(self._through(range(depth, len(self.blocks)), layout, states_TD))
        return normed

    def _through(self, blocks: range, layout: TokenLayout, states_TD: Tensor) -> Tensor:
        layout = self.biased(layout)
        applied = [self.blocks[block] for block in blocks for _ in range(self.architecture.repeats[block])]
        for place, block in enumerate(applied, 1):
            # the last block is the first in the backward pass: computing it again would not lower the peak
            again = self.recomputes and place < len(applied) and trains(block, states_TD)
            states_TD = recomputed(block, states_TD, layout) if again else block(states_TD, layout)
        return states_TD

    def biased(self, layout: TokenLayout) -> TokenLayout:
        """The layout with what its positions add to the scores of attention, computed once for all blocks."""
        if not self.architecture.position_buckets:
            return layout
        return layout.with_bias(self.position_bias.table(layout.longest))

    def embed(self, layout: TokenLayout) -> Tensor:
        """The input of the first block, (T, D)."""
        embedded = self.tokens(layout.ids)
        if not self.architecture.blocks.rotary:
            embedded = embedded + self.positions(self._counted(layout))
        if layout.types is not None and self.architecture.token_types > 1:
            embedded = embedded + layout.types[:, None] * self.second_type
        widened: Tensor = self.widen(self.dropout(self.embedding_norm(embedded)))
        return widened

    def _counted(self, layout: TokenLayout) -> Tensor:
        """The row of `positions` for each token, (T,). Texts can spell the padding token, which RoBERTa does not count."""
        padding, ids = self.architecture.padding_id, layout.ids
        if padding is None:
            return layout.positions
        spelled, places = ids == padding, layout.positions
        if not (ids.is_cuda or torch.compiler.is_compiling() or spelled.any()):  # a GPU would wait for the answer
            return places
        before = spelled.long().cumsum(0) - spelled.long()  # in earlier texts, too
        starts = torch.arange(ids.shape[0], device=ids.device) - places
        return torch.where(spelled, self.architecture.max_length, places - (before - before[starts]))

    def encode(self, batch: Batch | TokenLayout) -> Tensor:
        """One vector per text, (N, V); of a batch with words, what `read` gives."""
        if not isinstance(batch, Batch):
            return self.pool(batch, self(batch))
        layout = _whole(batch)
        return self.read(batch, layout, self(layout))

    def pool(self, layout: TokenLayout, states_TD: Tensor) -> Tensor:
        """The vector of each text, (N, V), from the last hidden states of its tokens and the share that its embeddings have."""
        if share := self.architecture.embedding_share:
            states_TD = (1 - share) * states_TD + share * self.embed(layout)
        return super().pool(layout, states_TD)

    def states(self, batch: Batch, depth: int) -> Tensor:
        """The input of block `depth` for all tokens, (T, D)."""
        return self.lower(_whole(batch), depth)[: batch.tokens]

    def encode_from(self, batch: Batch, states_TD: Tensor, depth: int) -> Tensor:
        """Like `encode`, but starts from the result of `states` for the same batch and depth."""
        layout = _whole(batch)
        idle = len(layout.ids) - batch.tokens
        states_TD = self.upper(layout, functional.pad(states_TD, (0, 0, 0, idle)), depth)
        return self.read(batch, layout, states_TD)

    def embeddings(self) -> nn.Module:
        """Everything below the blocks."""
        positions: list[nn.Module] = [] if self.architecture.blocks.rotary else [self.positions]
        positions += [self.position_bias] if self.architecture.position_buckets else []
        return nn.ModuleList([self.tokens, *positions, self.embedding_norm, self.widen, self.dropout])

    def attend(self, attention: str) -> None:
        """Sets the attention of all blocks: `bidirectional`, or `causal` (each token attends only to earlier ones)."""
        self.architecture = replace(self.architecture, attention=attention)  # type: ignore[arg-type]
        for block in self.blocks:
            assert isinstance(block, Block)
            block.attention.settings = replace(block.attention.settings, causal=attention == "causal")

    def mix(self, share: float) -> None:
        """Sets the share of the token embeddings in what is pooled."""
        self.architecture = replace(self.architecture, embedding_share=share)


def recompute_blocks(model: nn.Module, recompute: bool) -> None:
    """Sets whether the encoders of a model compute the inner states of blocks again in the backward pass."""
    for module in model.modules():
        if isinstance(module, Encoder):
            module.recomputes = recompute


def own_encoder(backbone: Backbone) -> Encoder:
    """A backbone that is mtlkit's own encoder, for what models of transformers are refused for (`check_supported`)."""
    assert isinstance(backbone, Encoder)
    return backbone


def _whole(batch: Batch) -> TokenLayout:
    """The layout of a batch; on a CPU, padded with unused tokens to a round number."""
    return layout_of(batch if batch.ids.is_cuda else batch.rounded())
