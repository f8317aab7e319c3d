"""Fallbacks for `kernels.py`: linear layers and gradients with torch's public operators.

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


def public_backward(grad: Tensor, states: Tensor, activation: str) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        leaf = states.detach().clone().requires_grad_()
        (result,) = torch.autograd.grad(ACTIVATIONS[activation](leaf), leaf, grad)
    return result


def public_softmax_backward(grad: Tensor, result: Tensor) -> Tensor:
    product = grad.mul_(result)
    return product.sub_(result * product.sum(-1, keepdim=True))


class PublicLinear:
    """A linear layer without gradients. Subclasses optimise the weight layout for about `rows` rows per batch."""

    def __init__(self, weight_OI: Tensor, bias_O: Tensor | None, rows: int) -> None:
        self.weight, self.bias = self._laid_out(weight_OI, rows), bias_O

    def _laid_out(self, weight_OI: Tensor, rows: int) -> Tensor:
        return weight_OI

    def __call__(self, states_TI: Tensor, activation: str = "none") -> Tensor:
        """The product with the activation applied, (T, O)."""
        return ACTIVATIONS[activation](functional.linear(states_TI, self.weight, self.bias))

    def add(self, states_TI: Tensor, residual_TO: Tensor) -> Tensor:
        """The product plus a residual, (T, O)."""
        return residual_TO + functional.linear(states_TI, self.weight, self.bias)

    def times(self, states_TI: Tensor, factor_TO: Tensor) -> Tensor:
        """The product multiplied by a factor, (T, O)."""
        return factor_TO * functional.linear(states_TI, self.weight, self.bias)


class PublicByteLinear:
    """A linear layer on uint8 inputs with zero point `zero`. Weights are int8 with scales `scale_O`."""

    def __init__(self, weight_OI: Tensor, scale_O: Tensor, bias_O: Tensor, zero: int, rows: int) -> None:
        self.scale, self.bias, self.zero = scale_O.contiguous(), bias_O.contiguous(), zero
        self.weight = self._laid_out(weight_OI, rows)

    def _laid_out(self, weight_OI: Tensor, rows: int) -> Tensor:
        return weight_OI.float() * self.scale[:, None]

    def __call__(self, states_TI: Tensor) -> Tensor:
        """The product in float32, (T, O)."""
        return functional.linear(states_TI.float() - self.zero, self.weight, self.bias)

    def gelu(self, states_TI: Tensor, approximate: str, step: float, zero: int) -> Tensor:
        """GELU of the product as uint8, (T, O), with scale `step` and zero point `zero`."""
        hidden = functional.gelu(self(states_TI), approximate=approximate)
        return (hidden / step).round_().add_(zero).clamp_(0, 255).to(torch.uint8)

    def add_to(self, states_TI: Tensor, residual_TO: Tensor) -> Tensor:
        """The product plus a float32 residual, (T, O); may overwrite the residual."""
        return residual_TO + self(states_TI)
