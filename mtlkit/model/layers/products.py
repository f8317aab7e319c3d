"""Fast linear layers and MLP for training on a CPU: oneDNN products, and only the tensors needed for the gradient are saved.

In bf16, products and what is saved for the gradient are bf16; sums within a product, weights, their accumulated gradients and
the residual stream stay float32. In all other cases (GPU, export without gradients) torch's own layers are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mtlkit.model.fallbacks import ACTIVATIONS
from mtlkit.model.kernels import activation_backward, packed_linear, product
from mtlkit.model.layers.low_rank import AdaptedLinear
from mtlkit.model.training_dtype import training_dtype

APPROXIMATE = {"gelu": "none", "gelu_tanh": "tanh"}  # by activation, as functional.gelu names it


class _Linear(torch.autograd.Function):
    """x @ weight.T + bias; oneDNN computes the gradient of x, torch that of the weight, which is faster."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        states, weight, bias = states.to(dtype), *_cast(dtype, weight, bias)
        ctx.save_for_backward(states, weight)
        return product(states, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states, weight = ctx.saved_tensors
        return *_gradients(grads[0], states, weight, ctx.needs_input_grad), None


class _Mlp(torch.autograd.Function):
    """contract(activation(expand(x))); backward recomputes the activation's output, the largest tensor of a block, instead of
    saving it."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        wide: Tensor,
        wide_bias: Tensor | None,
        narrow: Tensor,
        narrow_bias: Tensor | None,
        name: str,
        dtype: torch.dtype,
    ) -> Tensor:
        before, narrow, narrow_bias = _expanded(ctx, (states, wide, wide_bias), (narrow, narrow_bias), name, dtype)
        return product(ACTIVATIONS[name](before), narrow, narrow_bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states, before, wide, narrow = ctx.saved_tensors
        needs = ctx.needs_input_grad
        hidden = ACTIVATIONS[ctx.name](before)
        grad_hidden, grad_narrow, grad_narrow_bias = _gradients(grads[0], hidden, narrow, (any(needs[:3]), *needs[3:5]))
        if grad_hidden is None:
            return None, None, None, grad_narrow, grad_narrow_bias, None, None
        grad_before = activation_backward(grad_hidden, before, ctx.name)
        return *_gradients(grad_before, states, wide, needs[:3]), grad_narrow, grad_narrow_bias, None, None


class _GatedMlp(torch.autograd.Function):
    """contract(activation(a) * b), a and b the halves of expand(x); backward recomputes what follows from them."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        wide: Tensor,
        wide_bias: Tensor | None,
        narrow: Tensor,
        narrow_bias: Tensor | None,
        name: str,
        dtype: torch.dtype,
    ) -> Tensor:
        before, narrow, narrow_bias = _expanded(ctx, (states, wide, wide_bias), (narrow, narrow_bias), name, dtype)
        gate, factor = before.chunk(2, 1)
        return product(ACTIVATIONS[name](gate).mul_(factor), narrow, narrow_bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states, before, wide, narrow = ctx.saved_tensors
        needs, (gate, factor) = ctx.needs_input_grad, before.chunk(2, 1)
        active = ACTIVATIONS[ctx.name](gate)
        grad_hidden, grad_narrow, grad_narrow_bias = _gradients(grads[0], active * factor, narrow, (any(needs[:3]), *needs[3:5]))
        if grad_hidden is None:
            return None, None, None, grad_narrow, grad_narrow_bias, None, None
        grad_gate = activation_backward(grad_hidden * factor, gate, ctx.name)
        grad_before = torch.cat([grad_gate, grad_hidden.mul_(active)], 1)
        return *_gradients(grad_before, states, wide, needs[:3]), grad_narrow, grad_narrow_bias, None, None


def _expanded(
    ctx: Any, wide: tuple[Tensor, Tensor, Tensor | None], narrow: tuple[Tensor, Tensor | None], name: str, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor | None]:
    """What the first layer of an MLP makes of states, from `wide`, with the layer that follows; keeps what backward needs."""
    states, layer = wide[0].to(dtype), _cast(dtype, *wide[1:])
    following = _cast(dtype, *narrow)
    before = product(states, *layer)
    ctx.save_for_backward(states, before, layer[0], following[0])
    ctx.name = name
    return before, *following


def _cast(dtype: torch.dtype, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    return weight.to(dtype), None if bias is None else bias.to(dtype)


def _gradients(
    grad: Tensor, states: Tensor, weight: Tensor, needs: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of a linear layer's input, weight and bias, as far as they are needed."""
    grad = grad.to(weight.dtype).contiguous()
    return (
        product(grad, weight.T, None) if needs[0] else None,
        grad.T @ states if needs[1] else None,
        grad.sum(0) if needs[2] else None,
    )


def repeated_product(weight: Tensor, rows: int, bias: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """states @ weight.T + bias for many batches of about `rows` rows; the weight is packed once. Without gradients."""
    if weight.device.type == "cpu" and weight.dtype == torch.float32:
        return packed_linear(weight, bias, rows)
    return lambda states: states @ weight.T if bias is None else states @ weight.T + bias


def linear(layer: nn.Linear, states_TD: Tensor) -> Tensor:
    """Applies a linear layer to states (T, in)."""
    if (dtype := training_dtype(states_TD)) is not None:
        result: Tensor = _Linear.apply(states_TD, layer.weight, layer.bias, dtype)  # type: ignore[no-untyped-call]
        return layer.term.added_to(result, states_TD) if isinstance(layer, AdaptedLinear) else result
    plain: Tensor = layer(states_TD)
    return plain


def mlp(expand: nn.Linear, contract: nn.Linear, activation: str, states_TD: Tensor) -> Tensor:
    """Two linear layers with an activation between them."""
    if activation in APPROXIMATE and _fuses(expand, contract, states_TD):
        return _apply(_Mlp, expand, contract, activation, states_TD)
    return linear(contract, ACTIVATIONS[activation](linear(expand, states_TD)))


def gated_mlp(expand: nn.Linear, contract: nn.Linear, activation: str, states_TD: Tensor) -> Tensor:
    """Like `mlp`, but the second half of what `expand` gives multiplies the activation of the first."""
    if activation in (*APPROXIMATE, "silu") and _fuses(expand, contract, states_TD):
        return _apply(_GatedMlp, expand, contract, activation, states_TD)
    gate, factor = linear(expand, states_TD).chunk(2, 1)
    return linear(contract, ACTIVATIONS[activation](gate) * factor)


def _fuses(expand: nn.Linear, contract: nn.Linear, states: Tensor) -> bool:
    """Whether both layers can be one function, which knows no adapters."""
    adapted = isinstance(expand, AdaptedLinear) or isinstance(contract, AdaptedLinear)
    return not adapted and training_dtype(states) is not None


def _apply(
    function: type[torch.autograd.Function], expand: nn.Linear, contract: nn.Linear, activation: str, states_TD: Tensor
) -> Tensor:
    layers, dtype = (expand.weight, expand.bias, contract.weight, contract.bias), training_dtype(states_TD)
    result: Tensor = function.apply(states_TD, *layers, activation, dtype)  # type: ignore[no-untyped-call]
    return result
