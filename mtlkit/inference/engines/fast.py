"""The encoder as a CPU runs it fastest: weights in oneDNN's own layout, GELU and residual additions inside the products.

The walk through the blocks is written once, here; how a block computes its three products (fp32 and bf16 here, int8 in `int8.py`)
is the block's own. In bf16, hidden states are bf16 from block to block; sums within products, norms and softmax are float32. No
gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Activation, Architecture
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.fallbacks import PublicLinear
from mtlkit.model.kernels import packed_linear
from mtlkit.model.layers.block import Block
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

    def encode_from(self, batch: Batch, states_TD: Tensor, depth: int) -> Tensor:
        """Like `encode`, but starts from the result of `states` for the same batch and depth."""
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
    """An encoder with its blocks replaced; embeddings, norms and pooling stay the encoder's own. `dtype` is that of the hidden
    states between the first block and the last."""

    def __init__(self, encoder: Encoder, blocks: Sequence[FastBlock], dtype: torch.dtype = torch.float32) -> None:
        self.encoder = encoder
        self.blocks = blocks
        self.dtype = dtype

    @property
    def architecture(self) -> Architecture:
        return self.encoder.architecture

    def encode(self, batch: Batch) -> Tensor:
        """One vector a text, (N, V); of a batch with words, what `Encoder.read` gives."""
        layout = layout_of(batch.rounded())
        return self._upper(batch, layout, self.encoder.embed(layout), 0)

    def states(self, batch: Batch, depth: int) -> Tensor:
        """The input of block `depth` for every token, (T, D)."""
        layout = layout_of(batch.rounded())
        return self._through(range(depth), layout, self.encoder.embed(layout))[: batch.tokens]

    def encode_from(self, batch: Batch, states_TD: Tensor, depth: int) -> Tensor:
        """Like `encode`, but starts from the result of `states` for the same batch and depth."""
        layout = layout_of(batch.rounded())
        return self._upper(batch, layout, functional.pad(states_TD, (0, 0, 0, len(layout.ids) - batch.tokens)), depth)

    def _upper(self, batch: Batch, layout: TokenLayout, states_TD: Tensor, depth: int) -> Tensor:
        states_TD = self._through(range(depth, len(self.blocks)), layout, states_TD)
        return self.encoder.read(batch, layout, self.encoder.norm(states_TD))

    def _through(self, blocks: range, layout: TokenLayout, states_TD: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):  # what runs here chooses its own dtype
            return self._applied(blocks, self.encoder.biased(layout), states_TD.to(self.dtype)).float()

    def _applied(self, blocks: range, layout: TokenLayout, states_TD: Tensor) -> Tensor:
        for number in chain.from_iterable(repeat(block, self.architecture.repeats[block]) for block in blocks):
            own, fast = self.encoder.blocks[number], self.blocks[number]
            assert isinstance(own, Block)
            if own.post:
                states_TD = own.attention_norm(fast.project(fast.attend(states_TD, layout), states_TD))
                states_TD = own.mlp_norm(fast.mlp(states_TD, states_TD))
            else:
                states_TD = fast.project(fast.attend(own.attention_norm(states_TD), layout), states_TD)
                states_TD = fast.mlp(own.mlp_norm(states_TD), states_TD)
        return states_TD


class PackedBlock:
    """A block in fp32, equal to the block that it was made from (to 1e-6), or in bf16."""

    def __init__(self, block: Block, activation: Activation, dtype: torch.dtype = torch.float32) -> None:
        self.attention, self.activation, self.dtype = block.attention.settings, activation, dtype
        self.qkv, self.out = packed(block.attention.qkv, dtype), packed(block.attention.out, dtype)
        self.expand, self.factor = packed_expand(block, dtype)
        self.contract = packed(block.contract, dtype)

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


def fastest(
    model: MultiTaskModel, compute: Compute, task: str | None = None, like: SupportsEncode | None = None
) -> SupportsEncode:
    """The fastest form of a model that is not going to change, for texts of a task: packed for a CPU, else the model itself or,
    with an adapter, one with merged weights. It shares blocks with `like`, the form for another task."""
    encoder = model.merged_encoder(task)
    if compute.device.type == "cpu" and isinstance(encoder, Encoder):
        dtype = torch.bfloat16 if compute.precision == "bf16" else torch.float32
        return pack(encoder, like=like if isinstance(like, FastEncoder) else None, dtype=dtype)
    return model if encoder is model.backbone else MultiTaskModel(encoder).eval()


@torch.inference_mode()
def pack(
    encoder: Encoder,
    kind: type[PackedBlock] = PackedBlock,
    like: FastEncoder | None = None,
    dtype: torch.dtype = torch.float32,
) -> FastEncoder:
    """The encoder with its weights laid out for this CPU; they are held a second time, but for blocks that it shares with the one
    of which `like` was made, in the same dtype."""
    known = {} if like is None else dict(zip(like.encoder.blocks, like.blocks, strict=True))
    activation = encoder.architecture.activation
    blocks = [block for block in encoder.blocks if isinstance(block, Block)]
    fast = [known[block] if block in known else kind(block, activation, dtype) for block in blocks]
    return FastEncoder(encoder, fast, dtype)


def packed(layer: nn.Linear, dtype: torch.dtype) -> PublicLinear:
    return packed_linear(layer.weight.to(dtype), None if layer.bias is None else layer.bias.to(dtype), LAYOUT_TOKENS)


def packed_expand(block: Block, dtype: torch.dtype) -> tuple[PublicLinear, PublicLinear | None]:
    """The product that a block's activation follows, and of a gated MLP, that which multiplies it."""
    layer = block.expand
    if not block.gated:
        return packed(layer, dtype), None
    biases = (None, None) if layer.bias is None else layer.bias.to(dtype).chunk(2)
    halves = zip(layer.weight.to(dtype).chunk(2), biases, strict=True)
    gate, factor = (packed_linear(*half, LAYOUT_TOKENS) for half in halves)
    return gate, factor
