"""MLPs in int8.

Shapes: T tokens, D width.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.errors import UsageError
from mtlkit.inference.engines.int8_linear import ZERO, ByTokenLinear, rounded_linear, steps_of, to_bytes
from mtlkit.model.fallbacks import ACTIVATIONS
from mtlkit.model.layers.block import Block
from mtlkit.model.layers.products import APPROXIMATE

CUT, FLOOR = 5.0, -0.17  # the range of GELU that one byte covers; -0.17 is its minimum
STEP = (CUT - FLOOR) / 255
HIDDEN_ZERO = round(-FLOOR / STEP)
HEADROOM = 1.5  # above what calibration saw of GELU, for it alone grows without bound; room costs a few columns
ALIGNED = 64  # columns of the widened MLP
WIDEST = 4.0  # times its width that an MLP may grow by splitting

Peaks = dict[str, Tensor]  # by product: the largest magnitude of each channel of its input


class ByteMlp(Protocol):
    """An MLP in int8."""

    def add(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        """The MLP of the states, added to the residual."""
        ...


class GeluMlp:
    """Two products with GELU between them, whose output has a fixed scale; what exceeds it is split off."""

    def __init__(self, block: Block, peaks: Peaks) -> None:
        self.approximate = APPROXIMATE[block.activation]
        expand, lowered, contract = split(block, HEADROOM * peaks["contract"])
        steps = steps_of(peaks["expand"], block.expand.weight)
        self.expand = rounded_linear(expand, lowered, steps, ZERO)
        self.inverse = 1 / steps
        self.contract = rounded_linear(contract, block.contract.bias, torch.full((len(expand),), STEP), HIDDEN_ZERO)

    def add(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        hidden = self.expand.gelu(to_bytes(states_TD, self.inverse), self.approximate, STEP, HIDDEN_ZERO)
        return self.contract.add_to(hidden, residual_TD)


class GatedByteMlp:
    """A gated MLP. The product of its halves has one scale a token; it is smoothed in the weights of the factor."""

    def __init__(self, block: Block, peaks: Peaks) -> None:
        gate, factor = block.expand.weight.chunk(2)
        gate_bias, factor_bias = (None, None) if block.expand.bias is None else block.expand.bias.chunk(2)
        steps = steps_of(peaks["expand"], block.expand.weight)
        hidden_steps = steps_of(peaks["contract"], block.contract.weight)
        self.activation = ACTIVATIONS[block.activation]
        self.gate = rounded_linear(gate, gate_bias, steps, ZERO)
        smoothed = None if factor_bias is None else factor_bias / hidden_steps
        self.factor = rounded_linear(factor / hidden_steps[:, None], smoothed, steps, ZERO)
        self.inverse = 1 / steps
        self.contract = ByTokenLinear(block.contract.weight, block.contract.bias, hidden_steps)

    def add(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        bytes_TD = to_bytes(states_TD, self.inverse)
        hidden = self.activation(self.gate(bytes_TD)).mul_(self.factor(bytes_TD))
        return self.contract.add(hidden, residual_TD)


def byte_mlp(block: Block, peaks: Peaks) -> ByteMlp:
    """The MLP of a block in int8, from how large its inputs grow."""
    return GatedByteMlp(block, peaks) if block.gated else GeluMlp(block, peaks)


def split(block: Block, peak: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The MLP's weights, widened by columns for what lies above CUT, 2 CUT, ...; and by idle ones to a multiple of ALIGNED.

    Raises UsageError where that takes too many columns, as with values that are not finite.
    """
    cut = (255 - HIDDEN_ZERO) * STEP
    if not float((peak.double() / cut).clamp(min=1).sum()) <= WIDEST * len(peak):
        reached = float(peak.max()) / HEADROOM
        raise UsageError(
            f"--precision int8: values inside the MLP of this model reach {reached:.3g}, too far for bytes; use --precision fp32"
        )
    weight = block.expand.weight
    bias = weight.new_zeros(len(weight)) if block.expand.bias is None else block.expand.bias
    rows: list[Tensor] = [weight]
    biases: list[Tensor] = [bias]
    columns: list[Tensor] = [block.contract.weight]
    level = 1
    while (over := (peak > level * cut).nonzero()[:, 0]).numel():
        rows.append(weight[over])
        biases.append(bias[over] - level * cut)
        columns.append(block.contract.weight[:, over])
        level += 1
    idle = -sum(map(len, rows)) % ALIGNED
    expand = functional.pad(torch.cat(rows), (0, 0, 0, idle))
    return expand, functional.pad(torch.cat(biases), (0, idle)), functional.pad(torch.cat(columns, 1), (0, idle))
