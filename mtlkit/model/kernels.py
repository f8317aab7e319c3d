"""Private torch operators, the fastest on a CPU. No other module calls such operators.

Operators that are used together form a fast path. It is tested once per process, at first use, on small inputs against public
operators. If an operator is missing, has another signature, raises or returns wrong numbers, public operators replace it: the
results are the same up to rounding, and one warning says what is slower.

Shapes: T tokens, I inputs and O outputs of a linear layer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.model.fallbacks import ACTIVATIONS, PublicByteLinear, PublicLinear, public_backward, public_softmax_backward
from mtlkit.model.fast_path import FastPath, check_close, numbers

# by activation: its name and its algorithm in oneDNN
FUSED = {
    "none": ("none", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
    "silu": ("swish", ""),
}
ROWS = 64  # batch size for which self-tests optimise the weight layout


def product(states_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    """A linear layer, (T, O), in float32 or bfloat16. Not differentiable."""
    fast = states_TI.dtype == torch.float32 and PRODUCT.works()  # in bfloat16, the public operator is as fast
    return _product(states_TI, weight_OI, bias_O) if fast else functional.linear(states_TI, weight_OI, bias_O)


def _product(states_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise(states_TI, weight_OI, bias_O, "none", [], "")
    return result


def _test_product() -> None:
    states, weight, bias = numbers(5, 16), numbers(24, 16), numbers(1, 24)[0]
    check_close(_product(states, weight, bias), functional.linear(states, weight, bias))
    check_close(_product(states @ weight.T, weight.T, None), states @ weight.T @ weight)


def activation_backward(grad: Tensor, states: Tensor, activation: str) -> Tensor:
    """The gradient with respect to the input of GELU, its approximation or SiLU, given the gradient of its output."""
    return (_activation_backward if BACKWARD.works() else public_backward)(grad, states, activation)


def _activation_backward(grad: Tensor, states: Tensor, activation: str) -> Tensor:
    result: Tensor
    if activation == "silu":
        result = torch.ops.aten.silu_backward(grad, states)
    else:
        result = torch.ops.aten.gelu_backward(grad, states, approximate="tanh" if activation == "gelu_tanh" else "none")
    return result


def _test_backward() -> None:
    grad, states, step = numbers(4, 16), numbers(4, 16) / 2, 1e-4
    for name in ("gelu", "gelu_tanh", "silu"):
        activation = ACTIVATIONS[name]
        slope = (activation(states.double() + step) - activation(states.double() - step)) / (2 * step)
        check_close(_activation_backward(grad, states, name), grad * slope.float())


def softmax_backward(grad: Tensor, result: Tensor) -> Tensor:
    """The gradient of the input of softmax over the last dimension, given that of its result. May overwrite `grad`."""
    return (_softmax_backward if SOFTMAX.works() else public_softmax_backward)(grad, result)


def _softmax_backward(grad: Tensor, result: Tensor) -> Tensor:
    grad_input: Tensor = torch.ops.aten._softmax_backward_data(grad, result, -1, grad.dtype)
    return grad_input


def _test_softmax() -> None:
    grad = numbers(4, 16) * numbers(16, 4).T
    result = grad.softmax(-1)
    check_close(_softmax_backward(grad, result), public_softmax_backward(grad.clone(), result))


class PackedLinear(PublicLinear):
    """A oneDNN linear layer without gradients that fuses the product with an activation, an addition or a multiplication."""

    def _laid_out(self, weight_OI: Tensor, rows: int) -> Tensor:
        weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight_OI, rows)
        return weight

    def __call__(self, states_TI: Tensor, activation: str = "none") -> Tensor:
        name, algorithm = FUSED[activation]
        result: Tensor = torch.ops.mkldnn._linear_pointwise(states_TI, self.weight, self.bias, name, [], algorithm)
        return result

    def add(self, states_TI: Tensor, residual_TO: Tensor) -> Tensor:
        return self._combined(states_TI, residual_TO, "add")

    def times(self, states_TI: Tensor, factor_TO: Tensor) -> Tensor:
        return self._combined(states_TI, factor_TO, "mul")

    def _combined(self, states_TI: Tensor, other_TO: Tensor, operation: str) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(states_TI, other_TO, self.weight, self.bias, operation)
        return result


def packed_linear(weight_OI: Tensor, bias_O: Tensor | None, rows: int) -> PublicLinear:
    """A linear layer in float32 or bfloat16 on the CPU for many batches of about `rows` rows. Later changes of the weight may
    have no effect."""
    kind = PackedLinear if (HALF if weight_OI.dtype == torch.bfloat16 else PACKED).works() else PublicLinear
    return kind(weight_OI.detach().contiguous(), None if bias_O is None else bias_O.detach(), rows)


def _test_packed(dtype: torch.dtype = torch.float32, tolerance: float = 1e-4) -> None:
    weight, *others = numbers(24, 16) / 8, numbers(5, 16), numbers(1, 24)[0], numbers(5, 24)
    weight, states, bias, residual = (each.to(dtype) for each in (weight, *others))
    packed, public = PackedLinear(weight, bias, ROWS), PublicLinear(weight, bias, ROWS)
    for activation in FUSED:
        check_close(packed(states, activation), public(states, activation), tolerance)
    check_close(packed.add(states, residual), public.add(states, residual), tolerance)
    check_close(packed.times(states, residual), public.times(states, residual), tolerance)
    check_close(residual, numbers(5, 24).to(dtype))
    check_close(PackedLinear(weight, None, ROWS)(states), PublicLinear(weight, None, ROWS)(states), tolerance)


def _test_half() -> None:
    _test_packed(torch.bfloat16, 0.25)  # rounding of products up to 60


class PackedByteLinear(PublicByteLinear):
    """A linear layer on uint8 inputs that uses oneDNN's int8 products."""

    def _laid_out(self, weight_OI: Tensor, rows: int) -> Tensor:
        self.zeros = torch.zeros(len(weight_OI), dtype=torch.int64)
        weight: Tensor = torch.ops.onednn.qlinear_prepack(weight_OI, [rows, weight_OI.shape[1]])
        return weight

    def __call__(self, states_TI: Tensor) -> Tensor:
        return self._product(states_TI, 1.0, 0, torch.float32, "none", "")

    def gelu(self, states_TI: Tensor, approximate: str, step: float, zero: int) -> Tensor:
        return self._product(states_TI, step, zero, torch.uint8, "gelu", approximate)

    def _product(self, states_TI: Tensor, step: float, zero: int, dtype: torch.dtype, activation: str, algorithm: str) -> Tensor:
        result: Tensor = torch.ops.onednn.qlinear_pointwise(
            states_TI,
            1.0,
            self.zero,
            self.weight,
            self.scale,
            self.zeros,
            self.bias,
            step,
            zero,
            dtype,
            activation,
            [],
            algorithm,
        )
        return result

    def add_to(self, states_TI: Tensor, residual_TO: Tensor) -> Tensor:
        result: Tensor = torch.ops.onednn.qlinear_pointwise.binary(
            states_TI, 1.0, self.zero, self.weight, self.scale, self.zeros, residual_TO, self.bias, 1.0, 0, torch.float32,
            1.0, 0, "sum", 1.0, "none", [], "",
        )  # fmt: skip
        return result


def byte_linear(weight_OI: Tensor, scale_O: Tensor, bias_O: Tensor, zero: int, rows: int) -> PublicByteLinear:
    """A linear layer on uint8 inputs for many batches of about `rows` rows; `weight_OI` is int8."""
    return (PackedByteLinear if BYTES.works() else PublicByteLinear)(weight_OI, scale_O, bias_O, zero, rows)


def _test_bytes() -> None:
    states = (numbers(5, 64, 100) + 128).to(torch.uint8)
    weight = numbers(24, 64, 60).to(torch.int8)
    scale, bias, residual = (numbers(1, 24)[0] + 4) / 2**14, numbers(1, 24)[0], numbers(5, 24)
    packed, public = (kind(weight, scale, bias, 128, ROWS) for kind in (PackedByteLinear, PublicByteLinear))
    check_close(packed(states), public(states), 1e-3)
    for approximate in ("none", "tanh"):
        near = packed.gelu(states, approximate, 0.02, 8), public.gelu(states, approximate, 0.02, 8)
        check_close(*near, tolerance=1)  # a tie may be rounded up or down
    check_close(packed.add_to(states, residual.clone()), public.add_to(states, residual), 1e-3)


def has_vnni() -> bool:
    """Whether the processor accumulates int8 products in 32 bits (VNNI); False if torch does not report it."""
    if hasattr(torch.cpu, "get_capabilities"):  # public in newer versions
        return bool(torch.cpu.get_capabilities().get("avx512_vnni", False))
    has: Callable[[], bool] = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return has()


def lacks_bf16() -> bool:
    """Whether the processor has no products of bf16 numbers; False if torch does not report it."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    features = [bool(known[name]) for name in ("avx512_bf16", "amx_bf16", "avx10_2", "bf16") if name in known]
    return bool(features) and not any(features)


PRODUCT = FastPath("oneDNN's matrix product", "training on the CPU takes longer", _test_product)
BACKWARD = FastPath("the gradient of activations", "training on the CPU takes longer", _test_backward)
SOFTMAX = FastPath("the gradient of softmax", "training in bf16 on the CPU takes longer", _test_softmax)
PACKED = FastPath("oneDNN's product of packed weights", "encoding texts on the CPU takes longer", _test_packed)
HALF = FastPath("oneDNN's bf16 product of packed weights", "encoding texts in bf16 takes longer", _test_half, optional=True)
BYTES = FastPath("oneDNN's int8 product", "int8 takes longer than fp32 would", _test_bytes, optional=True)
