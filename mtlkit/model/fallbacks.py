"""What `kernels.py` falls back on: its linear layers and gradients in public operators of torch.

Shapes: T tokens, I inputs and O outputs of a linear layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda states: states,
    "gelu": functional.gelu,
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
}


def public_gelu_backward(grad: Tensor, states: Tensor, approximate: str) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        leaf = states.detach().clone().requires_grad_()
        (result,) = torch.autograd.grad(functional.gelu(leaf, approximate=approximate), leaf, grad)
    return result


class PublicLinear:
    """A linear layer without gradients. Subclasses lay the weight out for about `rows` rows of a batch."""

    def __init__(self, weight_OI: Tensor, bias_O: Tensor | None, rows: int) -> None:
        self.weight, self.bias = self._laid_out(weight_OI, rows), bias_O

    def _laid_out(self, weight_OI: Tensor, rows: int) -> Tensor:
        return weight_OI

    def __call__(self, states_TI: Tensor, activation: str = "none") -> Tensor:
        """The activation of the product, (T, O)."""
        return ACTIVATIONS[activation](functional.linear(states_TI, self.weight, self.bias))

    def add(self, states_TI: Tensor, residual_TO: Tensor) -> Tensor:
        """The product added to a residual, (T, O)."""
        return residual_TO + functional.linear(states_TI, self.weight, self.bias)


class PublicByteLinear:
    """A linear layer on unsigned bytes, of which `zero` means 0. Weights are signed bytes, one unit of them worth `scale_O`."""

    def __init__(self, weight_OI: Tensor, scale_O: Tensor, bias_O: Tensor, zero: int, rows: int) -> None:
        self.scale, self.bias, self.zero = scale_O.contiguous(), bias_O.contiguous(), zero
        self.weight = self._laid_out(weight_OI, rows)

    def _laid_out(self, weight_OI: Tensor, rows: int) -> Tensor:
        return weight_OI.float() * self.scale[:, None]

    def __call__(self, states_TI: Tensor) -> Tensor:
        """The product in float32, (T, O)."""
        return functional.linear(states_TI.float() - self.zero, self.weight, self.bias)

    def gelu(self, states_TI: Tensor, approximate: str, step: float, zero: int) -> Tensor:
        """GELU of the product as bytes, (T, O), each worth `step`, with `zero` for 0."""
        hidden = functional.gelu(self(states_TI), approximate=approximate)
        return (hidden / step).round_().add_(zero).clamp_(0, 255).to(torch.uint8)

    def add_to(self, states_TI: Tensor, residual_TO: Tensor) -> Tensor:
        """The product added to a residual in float32, which may be overwritten."""
        return residual_TO + self(states_TI)
