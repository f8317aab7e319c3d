"""Blocks in int8: activations as unsigned bytes, weights as signed bytes with one scale a channel.

Activations have one fixed scale a tensor, but attention's output and what a gated MLP multiplies, which other texts can outgrow,
have one a token. No scale depends on the batch, so a text has the same vector in any. Three things make one scale precise enough:

- Smoothing (SmoothQuant, Xiao et al. 2023): each channel of an input is divided by a factor that its weights are multiplied
  with, so that a few large channels don't set the scale of all. Attention's output is smoothed in the values' own weights.
- Splitting (outlier channel splitting, Zhao et al. 2019): what GELU gives above CUT goes to columns of their own, since
  gelu(x) is nearly min(gelu(x), CUT) + gelu(x - CUT).
- The residual stream, the norms, and attention itself stay in floating point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.config.architecture import Activation, Architecture
from mtlkit.errors import UsageError
from mtlkit.inference.engines.fast import FastEncoder, PackedBlock, pack
from mtlkit.inference.engines.int8_linear import ZERO, ByTokenLinear, rounded_linear, steps_of, to_bytes
from mtlkit.inference.engines.int8_mlp import Peaks, byte_mlp
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.auto.models import check_supported
from mtlkit.model.layers.attention import AttentionSettings
from mtlkit.model.layers.block import Block
from mtlkit.model.layers.products import APPROXIMATE
from mtlkit.model.layouts import TokenLayout


class RecordingBlock(PackedBlock):
    """A block in fp32 that notes how large its inputs grow."""

    def __init__(self, block: Block, activation: Activation, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(block, activation, dtype)
        self.peaks: Peaks = {}

    def note(self, name: str, states: Tensor) -> None:
        peak = (states if name == "contract" and self.factor is None else states.abs()).amax(0)
        self.peaks[name] = torch.maximum(self.peaks[name], peak) if name in self.peaks else peak

    def attend(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        self.note("qkv", states_TD)
        return super().attend(states_TD, layout)

    def project(self, mixed_TD: Tensor, residual_TD: Tensor) -> Tensor:
        self.note("out", mixed_TD)
        return super().project(mixed_TD, residual_TD)

    def mlp(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        self.note("expand", states_TD)
        hidden = self.hidden(states_TD)
        self.note("contract", hidden)
        return self.contract.add(hidden, residual_TD)


class ByteBlock:
    """A block whose products are in int8."""

    def __init__(self, block: Block, peaks: Peaks) -> None:
        attention = block.attention
        self.attention = attention.settings
        mixed_steps, value_steps = _value_steps(steps_of(peaks["out"], attention.out.weight), attention.settings)
        weight, bias = attention.qkv.weight, attention.qkv.bias
        fold = torch.cat([torch.ones(len(weight) - len(value_steps)), 1 / value_steps])  # the values come smoothed, so their
        qkv_steps = steps_of(peaks["qkv"], weight)  # mixture does too
        self.qkv = rounded_linear(weight * fold[:, None], None if bias is None else bias * fold, qkv_steps, ZERO)
        self.qkv_inverse = 1 / qkv_steps
        self.out = ByTokenLinear(attention.out.weight, attention.out.bias, mixed_steps)
        self.byte_mlp = byte_mlp(block, peaks)

    def attend(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        return layout.attend(self.qkv(to_bytes(states_TD, self.qkv_inverse)), self.attention)

    def project(self, mixed_TD: Tensor, residual_TD: Tensor) -> Tensor:
        return self.out.add(mixed_TD, residual_TD)

    def mlp(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        return self.byte_mlp.add(states_TD, residual_TD)


def _value_steps(mixed_steps: Tensor, settings: AttentionSettings) -> tuple[Tensor, Tensor]:
    """The steps of attention's output, and those of the values that it mixes: heads that share values share their steps."""
    shared = settings.heads // settings.keys
    if shared == 1:
        return mixed_steps, mixed_steps
    steps = mixed_steps.view(settings.keys, shared, -1).amax(1)
    return steps.repeat_interleave(shared, 0).flatten(), steps.flatten()


@torch.inference_mode()
def calibrate(encoder: Encoder, batches: Iterable[Batch]) -> list[Peaks]:
    """How large the inputs of each block grow on some texts."""
    recording = pack(encoder, RecordingBlock)
    for batch in batches:
        recording.encode(batch)
    return [block.peaks for block in recording.blocks if isinstance(block, RecordingBlock)]


def check_int8(architecture: Architecture) -> None:
    """Raises UsageError for a model that cannot be had in int8."""
    check_supported(architecture, "--precision int8", "use --precision fp32")
    if architecture.activation not in APPROXIMATE and not architecture.blocks.gated:
        raise UsageError(f"--precision int8 knows GELU, and this model has '{architecture.activation}'; use --precision fp32")


@torch.inference_mode()
def quantise(encoder: Encoder, peaks: Sequence[Peaks]) -> FastEncoder:
    """The encoder with its products in int8."""
    blocks = [block for block in encoder.blocks if isinstance(block, Block)]
    return FastEncoder(encoder, [ByteBlock(block, seen) for block, seen in zip(blocks, peaks, strict=True)])
