"""Blocks in int8: activations as unsigned bytes, weights as signed bytes with one scale a channel.

Activations have one fixed scale a tensor, but attention's output, which other texts can outgrow, one a token. No scale depends
on the batch, so a text has the same vector in any. Three things make one scale precise enough:

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
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Activation, Architecture
from mtlkit.errors import UsageError
from mtlkit.inference.fast import LAYOUT_TOKENS, FastEncoder, PackedBlock, pack
from mtlkit.model.block import Block
from mtlkit.model.encoder import Encoder
from mtlkit.model.fallbacks import PublicByteLinear
from mtlkit.model.kernels import byte_linear, has_vnni
from mtlkit.model.layouts import TokenLayout

ZERO = 128  # the byte that means 0 in a smoothed input
SHARE = 0.7  # of the spread between channels that goes into the weights
CUT, FLOOR = 5.0, -0.17  # the range of GELU that one byte covers; -0.17 is its minimum
STEP = (CUT - FLOOR) / 255
HIDDEN_ZERO = round(-FLOOR / STEP)
HEADROOM = 1.5  # above what calibration saw of GELU, for it alone grows without bound; room costs a few columns
ALIGNED = 64  # columns of the widened MLP
WIDEST = 4.0  # times its width that an MLP may grow by splitting

APPROXIMATE = {"gelu": "none", "gelu_tanh": "tanh"}  # by activation, as functional.gelu names it

Peaks = dict[str, Tensor]  # by product: the largest magnitude of each channel of its input


class RecordingBlock(PackedBlock):
    """A block in fp32 that notes how large its inputs grow."""

    def __init__(self, block: Block, activation: Activation) -> None:
        super().__init__(block, activation)
        self.peaks: Peaks = {}

    def note(self, name: str, states: Tensor) -> None:
        peak = (states if name == "contract" else states.abs()).amax(0)
        self.peaks[name] = torch.maximum(self.peaks[name], peak) if name in self.peaks else peak

    def attend(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        self.note("qkv", states_TD)
        return super().attend(states_TD, layout)

    def project(self, mixed_TD: Tensor, residual_TD: Tensor) -> Tensor:
        self.note("out", mixed_TD)
        return super().project(mixed_TD, residual_TD)

    def mlp(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        self.note("expand", states_TD)
        hidden = self.expand(states_TD, self.activation)
        self.note("contract", hidden)
        return self.contract.add(hidden, residual_TD)


def weight_units() -> int:
    """The largest weight as a signed byte. Without VNNI a processor adds two products of a byte and a signed byte in 16 bits,
    which overflow unless weights keep to seven bits."""
    return 127 if has_vnni() else 63


def rounded_linear(weight: Tensor, bias: Tensor, steps: Tensor, zero: int) -> PublicByteLinear:
    """A matrix product of bytes. `steps` is the value of one unit of each input channel, `zero` the byte that means 0."""
    weight = weight * steps
    scale = weight.abs().amax(1).clamp(min=1e-12) / weight_units()
    return byte_linear((weight / scale[:, None]).round().to(torch.int8), scale, bias, zero, LAYOUT_TOKENS)


class ByteBlock:
    """A block whose four products are in int8."""

    def __init__(self, block: Block, approximate: str, peaks: Peaks) -> None:
        attention = block.attention
        self.attention, self.approximate = attention.settings, approximate
        width = attention.out.in_features
        mixed_steps = steps_of(peaks["out"], attention.out.weight)
        fold = torch.cat([torch.ones(2 * width), 1 / mixed_steps])  # the values come smoothed, so their mixture does too
        qkv_steps = steps_of(peaks["qkv"], attention.qkv.weight)
        self.qkv = rounded_linear(attention.qkv.weight * fold[:, None], attention.qkv.bias * fold, qkv_steps, ZERO)
        self.qkv_inverse = 1 / qkv_steps
        self.out = rounded_linear(attention.out.weight, torch.zeros(width), mixed_steps, ZERO)
        self.out_bias = attention.out.bias.detach()
        expand, lowered, contract = split(block, HEADROOM * peaks["contract"])
        expand_steps = steps_of(peaks["expand"], block.expand.weight)
        self.expand = rounded_linear(expand, lowered, expand_steps, ZERO)
        self.expand_inverse = 1 / expand_steps
        self.contract = rounded_linear(contract, block.contract.bias, torch.full((len(expand),), STEP), HIDDEN_ZERO)

    def attend(self, states_TD: Tensor, layout: TokenLayout) -> Tensor:
        return layout.attend(self.qkv(to_bytes(states_TD, self.qkv_inverse)), self.attention)

    def project(self, mixed_TD: Tensor, residual_TD: Tensor) -> Tensor:
        scale_T1 = mixed_TD.abs().amax(1, keepdim=True).clamp_(min=1e-6) / 127
        projected = self.out(to_bytes(mixed_TD / scale_T1))
        return torch.addcmul(residual_TD + self.out_bias, projected, scale_T1)

    def mlp(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        hidden = self.expand.gelu(to_bytes(states_TD, self.expand_inverse), self.approximate, STEP, HIDDEN_ZERO)
        return self.contract.add_to(hidden, residual_TD)


HALF = torch.tensor(ZERO + 0.5)


def to_bytes(states: Tensor, inverse: Tensor | None = None) -> Tensor:
    """round(states * inverse) + ZERO as bytes; by way of int32, as torch has no vector code from float to bytes."""
    shifted = states + HALF if inverse is None else torch.addcmul(HALF, states, inverse)
    return shifted.clamp_(0, 255.5).to(torch.int32).to(torch.uint8)


def steps_of(peak: Tensor, weight: Tensor) -> Tensor:
    """The value of one unit of each channel, chosen so that the smoothed channels all fit into 127 units."""
    peak = peak.clamp(min=1e-4)
    factor = peak**SHARE / weight.abs().amax(0).clamp(min=1e-4) ** (1 - SHARE)
    return factor * (peak / factor).max() / 127


def split(block: Block, peak: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The MLP's weights, widened by columns for what lies above CUT, 2 CUT, ...; and by idle ones to a multiple of ALIGNED.

    Raises UsageError where that takes too many columns, as with values that are not finite.
    """
    cut = (255 - HIDDEN_ZERO) * STEP
    if not float((peak.double() / cut).clamp(min=1).sum()) <= WIDEST * len(peak):
        reached = float(peak.max()) / HEADROOM
        raise UsageError(
            f"--precision int8: values inside the MLP of this model reach {reached:.3g}, too far for bytes; take --precision fp32"
        )
    rows: list[Tensor] = [block.expand.weight]
    biases: list[Tensor] = [block.expand.bias]
    columns: list[Tensor] = [block.contract.weight]
    level = 1
    while (over := (peak > level * cut).nonzero()[:, 0]).numel():
        rows.append(block.expand.weight[over])
        biases.append(block.expand.bias[over] - level * cut)
        columns.append(block.contract.weight[:, over])
        level += 1
    idle = -sum(map(len, rows)) % ALIGNED
    expand = functional.pad(torch.cat(rows), (0, 0, 0, idle))
    return expand, functional.pad(torch.cat(biases), (0, idle)), functional.pad(torch.cat(columns, 1), (0, idle))


@torch.inference_mode()
def calibrate(encoder: Encoder, batches: Iterable[Batch]) -> list[Peaks]:
    """How large the inputs of each block grow on some texts."""
    recording = pack(encoder, RecordingBlock)
    for batch in batches:
        recording.encode(batch)
    return [block.peaks for block in recording.blocks if isinstance(block, RecordingBlock)]


def check_int8(architecture: Architecture) -> None:
    """Raises UsageError for a model that cannot be had in int8."""
    if architecture.activation not in APPROXIMATE:
        raise UsageError(f"--precision int8 knows GELU, and this model has '{architecture.activation}'; take --precision fp32")


@torch.inference_mode()
def quantise(encoder: Encoder, peaks: Sequence[Peaks]) -> FastEncoder:
    """The encoder with its products in int8."""
    approximate = APPROXIMATE[encoder.architecture.activation]
    blocks = [block for block in encoder.blocks if isinstance(block, Block)]
    return FastEncoder(encoder, [ByteBlock(block, approximate, seen) for block, seen in zip(blocks, peaks, strict=True)])
