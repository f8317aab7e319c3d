"""Products of bytes: activations as unsigned bytes, weights as signed bytes with one scale a channel.

Shapes: T tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlkit.inference.engines.fast import LAYOUT_TOKENS
from mtlkit.model.fallbacks import PublicByteLinear
from mtlkit.model.kernels import byte_linear, has_vnni

ZERO = 128  # the byte that means 0 in a smoothed input
SHARE = 0.7  # of the spread between channels that goes into the weights

# of a float32 number in [2^23, 2^24), the last byte is the last byte of its integer value, as neighbours differ by 1
WHOLE = 1.5 * 2**23
LEAST, LARGEST = WHOLE, WHOLE + 255
OFFSET = torch.tensor(WHOLE + ZERO)


def weight_units() -> int:
    """The largest weight as a signed byte. Without VNNI a processor adds two products of a byte and a signed byte in 16 bits,
    which overflow unless weights keep to seven bits."""
    return 127 if has_vnni() else 63


def rounded_linear(weight: Tensor, bias: Tensor | None, steps: Tensor, zero: int) -> PublicByteLinear:
    """A matrix product of bytes. `steps` is the value of one unit of each input channel, `zero` the byte that means 0."""
    weight = weight * steps
    scale = weight.abs().amax(1).clamp(min=1e-12) / weight_units()
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    return byte_linear((weight / scale[:, None]).round().to(torch.int8), scale, bias, zero, LAYOUT_TOKENS)


def to_bytes(states: Tensor, inverse: Tensor) -> Tensor:
    """round(states * inverse) + ZERO as bytes, for one factor per channel."""
    return _last_bytes(torch.addcmul(OFFSET, states, inverse))


def _last_bytes(shifted: Tensor) -> Tensor:
    """The bytes of numbers to which OFFSET was added, which rounds them; may overwrite them. What remains is the last byte of
    each, as torch has no vector code from float to bytes."""
    return shifted.clamp_(LEAST, LARGEST).view(torch.int32).to(torch.uint8)


def steps_of(peak: Tensor, weight: Tensor) -> Tensor:
    """The value of one unit of each channel, chosen so that the smoothed channels all fit into 127 units."""
    peak = peak.clamp(min=1e-4)
    factor = peak**SHARE / weight.abs().amax(0).clamp(min=1e-4) ** (1 - SHARE)
    return factor * (peak / factor).max() / 127


class ByTokenLinear:
    """A product of bytes whose input has one scale a token, for inputs that other texts can outgrow, added to a residual."""

    def __init__(self, weight: Tensor, bias: Tensor | None, steps: Tensor) -> None:
        self.product = rounded_linear(weight, None, steps, ZERO)
        self.bias = None if bias is None else bias.detach()

    def add(self, states_TD: Tensor, residual_TD: Tensor) -> Tensor:
        """The product of smoothed states plus the residual."""
        scale_T1 = torch.maximum(states_TD.amax(1, keepdim=True), states_TD.amin(1, keepdim=True).neg_())
        scale_T1.clamp_(min=1e-6).div_(127)
        result = self.product(_last_bytes((states_TD / scale_T1).add_(OFFSET)))
        result.mul_(scale_T1).add_(residual_TD)
        return result if self.bias is None else result.add_(self.bias)
