"""The encoder as a CPU runs it fastest: weights in oneDNN's own layout, GELU and residual additions inside the products.

The walk through the blocks is written once, here; how a block computes its three products (fp32 here, int8 in `int8.py`) is the
block's own. No gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor, nn

from mtlkit.batch import Batch
from mtlkit.config.architecture import Activation, Architecture
from mtlkit.inference.compute import Compute
from mtlkit.model.block import Block
from mtlkit.model.encoder import Encoder
from mtlkit.model.fallbacks import PublicLinear
from mtlkit.model.kernels import packed_linear
from mtlkit.model.layouts import TokenLayout, layout_of
from mtlkit.model.multitask import MultiTaskModel

LAYOUT_TOKENS = 3072  # the batch that weights are laid out for


class SupportsEncode(Protocol):
    """Anything that turns a batch into vectors: a model, or a faster form of it."""

    @property
    def architecture(self) -> Architecture: ...

    def encode(self, batch: Batch) -> Tensor:
        """One vector a text, (N, V); of a batch with words, what `Encoder.read` gives."""
        ...

    def states(self, batch: Batch, depth: int) -> Tensor:
        """The input of block `depth` for every token, (T, D)."""
        ...


class FastBlock(Protocol):
    """The products of a block, each (T, ...)."""

    def attend(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        """The output of attention before its projection."""
        ...

    def project(self, mixed_TD: Tensor, residual_TD: Tensor) -> Tensor:
        """The projection of attention's output, added to the residual."""
        ...

    def mlp(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        """The MLP of the states, added to the residual."""
        ...


class FastEncoder:
    """An encoder with its blocks replaced; embeddings, norms and pooling stay the encoder's own."""

    def __init__(self, encoder: Encoder, blocks: Sequence[FastBlock]) -> None:
        self.encoder = encoder
        self.blocks = blocks

    @property
    def architecture(self) -> Architecture:
        return self.encoder.architecture

    def encode(self, batch: Batch) -> Tensor:
        """One vector a text, (N, V); of a batch with words, what `Encoder.read` gives."""
        layout = layout_of(batch.rounded())
        return self.encoder.read(batch, layout, self.encoder.norm(self._lower(layout, len(self.blocks))))

    def states(self, batch: Batch, depth: int) -> Tensor:
        """The input of block `depth` for every token, (T, D)."""
        return self._lower(layout_of(batch.rounded()), depth)[: batch.tokens]

    def _lower(self, layout: TokenLayout, depth: int) -> Tensor:
        states_TD = self.encoder.embed(layout)
        for own, fast in islice(zip(self.encoder.blocks, self.blocks, strict=True), depth):
            assert isinstance(own, Block)
            if own.post:
                states_TD = own.attention_norm(fast.project(fast.attend(states_TD, layout), states_TD))
                states_TD = own.mlp_norm(fast.mlp(states_TD, states_TD))
            else:
                states_TD = fast.project(fast.attend(own.attention_norm(states_TD), layout), states_TD)
                states_TD = fast.mlp(own.mlp_norm(states_TD), states_TD)
        return states_TD


class PackedBlock:
    """A block in fp32: equal to the block that it was made from (to 1e-6)."""

    def __init__(self, block: Block, activation: Activation) -> None:
        self.attention, self.activation = block.attention.settings, activation
        self.qkv, self.out = packed(block.attention.qkv), packed(block.attention.out)
        self.expand, self.factor = packed_expand(block)
        self.contract = packed(block.contract)

    def attend(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        return layout.attend(self.qkv(states_TD), self.attention)

    def project(self, mixed_TD: Tensor, residual_TD: Tensor) -> Tensor:
        return self.out.add(mixed_TD, residual_TD)

    def mlp(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        return self.contract.add(self.hidden(states_TD), residual_TD)

    def hidden(self, states_TD: Tensor) -> Tensor:
        """What the MLP contracts."""
        active = self.expand(states_TD, self.activation)
        return active if self.factor is None else self.factor.times(states_TD, active)


def fastest(model: MultiTaskModel, compute: Compute) -> SupportsEncode:
    """The fastest form of a model that is not going to change: packed for a CPU in fp32, else the model itself."""
    return pack(model.backbone) if compute.device.type == "cpu" and compute.precision == "fp32" else model


@torch.inference_mode()
def pack(encoder: Encoder, kind: type[PackedBlock] = PackedBlock) -> FastEncoder:
    """The encoder with its weights laid out for this CPU; they are held a second time."""
    activation = encoder.architecture.activation
    return FastEncoder(encoder, [kind(block, activation) for block in encoder.blocks if isinstance(block, Block)])


def packed(layer: nn.Linear) -> PublicLinear:
    return packed_linear(layer.weight, layer.bias, LAYOUT_TOKENS)


def packed_expand(block: Block) -> tuple[PublicLinear, PublicLinear | None]:
    """The product that a block's activation follows, and of a gated MLP, that which multiplies it."""
    layer = block.expand
    if not block.gated:
        return packed(layer), None
    biases = (None, None) if layer.bias is None else layer.bias.chunk(2)
    gate, factor = (packed_linear(*half, LAYOUT_TOKENS) for half in zip(layer.weight.chunk(2), biases, strict=True))
    return gate, factor
