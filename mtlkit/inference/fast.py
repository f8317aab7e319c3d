"""The encoder as a CPU runs it fastest: weights in oneDNN's own layout, GELU and residual additions inside the products.

The walk through the blocks stands here once; how a block computes its three products (fp32 here, int8 in `int8.py`) is the
block's own. No gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor, nn

from mtlkit.batch import Batch
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Block, Encoder
from mtlkit.model.layouts import TokenLayout, layout_of
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.products import has_onednn

LAYOUT_TOKENS = 3072  # the batch that weights are laid out for
FUSED = {"gelu": ("gelu", "none"), "gelu_tanh": ("gelu", "tanh"), "relu": ("relu", ""), "silu": ("swish", "")}


class SupportsEncode(Protocol):
    """Whatever turns a batch into vectors: a model, or a faster form of it."""

    @property
    def dim(self) -> int: ...

    def encode(self, batch: Batch) -> Tensor:
        """One vector a text, (N, D)."""
        ...

    def states(self, batch: Batch, depth: int) -> Tensor:
        """What block `depth` reads of every token, (T, D)."""
        ...


class FastBlock(Protocol):
    """The products of a block, each (T, ...)."""

    def attend(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        """What attention mixes of the states, before it is projected."""
        ...

    def project(self, mixed_TD: Tensor, residual_TD: Tensor) -> Tensor:
        """The projection of what attention mixed, added to the residual."""
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
    def dim(self) -> int:
        """Length of a vector."""
        return self.encoder.architecture.dim

    def encode(self, batch: Batch) -> Tensor:
        """One vector a text, (N, D)."""
        layout = layout_of(batch.rounded())
        return self.encoder.pool(layout, self.encoder.norm(self._lower(layout, len(self.blocks))))[: len(batch)]

    def states(self, batch: Batch, depth: int) -> Tensor:
        """What block `depth` reads of every token, (T, D)."""
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


class PackedLinear:
    """A linear layer whose weight lies in oneDNN's blocked layout, with what can be computed along with the product."""

    def __init__(self, linear: nn.Linear) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().contiguous(), LAYOUT_TOKENS)
        self.bias = linear.bias.detach()

    def __call__(self, states: Tensor, activation: tuple[str, str] = ("none", "")) -> Tensor:
        name, algorithm = activation
        product: Tensor = torch.ops.mkldnn._linear_pointwise(states, self.weight, self.bias, name, [], algorithm)
        return product

    def add(self, states: Tensor, residual: Tensor) -> Tensor:
        total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(states, residual, self.weight, self.bias, "add")
        return total


class PackedBlock:
    """A block in fp32: equal to the block that it was made from (to 1e-6)."""

    def __init__(self, block: Block, activation: tuple[str, str]) -> None:
        self.heads, self.causal, self.activation = block.attention.heads, block.attention.causal, activation
        self.qkv, self.out = PackedLinear(block.attention.qkv), PackedLinear(block.attention.out)
        self.expand, self.contract = PackedLinear(block.expand), PackedLinear(block.contract)

    def attend(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        return layout.attend(self.qkv(states_TD), self.heads, self.causal)

    def project(self, mixed_TD: Tensor, residual_TD: Tensor) -> Tensor:
        return self.out.add(mixed_TD, residual_TD)

    def mlp(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        return self.contract.add(self.expand(states_TD, self.activation), residual_TD)


def fastest(model: MultiTaskModel, compute: Compute) -> SupportsEncode:
    """The fastest form of a model that is not going to change: packed for a CPU in fp32, else the model itself."""
    packed = compute.device.type == "cpu" and compute.precision == "fp32" and has_onednn()
    return pack(model.backbone) if packed else model


@torch.inference_mode()
def pack(encoder: Encoder, kind: type[PackedBlock] = PackedBlock) -> FastEncoder:
    """The encoder with its weights laid out for this CPU; they are held a second time."""
    activation = FUSED[encoder.architecture.activation]
    return FastEncoder(encoder, [kind(block, activation) for block in encoder.blocks if isinstance(block, Block)])
