"""Products by oneDNN have the values and the gradients of torch's own."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from mtlkit.model.fallbacks import ACTIVATIONS
from mtlkit.model.layers.products import gated_mlp, linear, mlp


def layers() -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    return nn.Linear(24, 40), nn.Linear(40, 16)


def gradients(output: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    wanted = [one for one in tensors if one.requires_grad]
    return list(torch.autograd.grad((output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum(), wanted))


@pytest.mark.parametrize("frozen", list(product([False, True], repeat=3))[:-1])
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "relu"])
def test_an_mlp_has_torchs_values_and_gradients(name: str, frozen: tuple[bool, bool, bool]) -> None:
    expand, contract = layers()
    states = torch.randn(7, 24, requires_grad=not frozen[0])
    expand.requires_grad_(not frozen[1])
    contract.requires_grad_(not frozen[2])
    tensors = [states, *expand.parameters(), *contract.parameters()]
    ours = mlp(expand, contract, name, states)
    theirs = contract(ACTIVATIONS[name](expand(states)))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for mine, other in zip(gradients(ours, tensors), gradients(theirs, tensors), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frozen", [(False, False, False), (True, False, True), (True, True, False)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu", "relu"])
def test_a_gated_mlp_has_torchs_values_and_gradients(name: str, bias: bool, frozen: tuple[bool, bool, bool]) -> None:
    torch.manual_seed(0)
    expand, contract = nn.Linear(24, 80, bias), nn.Linear(40, 16, bias)
    states = torch.randn(7, 24, requires_grad=not frozen[0])
    expand.requires_grad_(not frozen[1])
    contract.requires_grad_(not frozen[2])
    tensors = [states, *expand.parameters(), *contract.parameters()]
    ours = gated_mlp(expand, contract, name, states)
    gate, factor = expand(states).chunk(2, 1)
    theirs = contract(ACTIVATIONS[name](gate) * factor)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for mine, other in zip(gradients(ours, tensors), gradients(theirs, tensors), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


def test_a_linear_layer_has_torchs_values_and_gradients() -> None:
    layer, _ = layers()
    states = torch.randn(7, 24, requires_grad=True)
    tensors = [states, *layer.parameters()]
    ours, theirs = linear(layer, states), layer(states)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for mine, other in zip(gradients(ours, tensors), gradients(theirs, tensors), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


def test_gelu_is_not_kept_for_the_gradient() -> None:
    expand, contract = layers()
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        mlp(expand, contract, "gelu", torch.randn(100, 24, requires_grad=True))
    assert kept.count(100 * 40) == 1


@pytest.mark.parametrize("frozen", [(False, False, False), (True, False, True), (True, True, False)])
@pytest.mark.parametrize("gated", [False, True])
def test_in_half_precision_values_and_gradients_are_nearly_those_in_float32(gated: bool, frozen: tuple[bool, bool, bool]) -> None:
    torch.manual_seed(0)
    expand, contract, narrow = nn.Linear(24, 80 if gated else 40), nn.Linear(40, 16), nn.Linear(16, 8)
    states = torch.randn(70, 24, requires_grad=not frozen[0])
    expand.requires_grad_(not frozen[1])
    contract.requires_grad_(not frozen[2])
    tensors = [states, *expand.parameters(), *contract.parameters(), *narrow.parameters()]
    results = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = linear(narrow, (gated_mlp if gated else mlp)(expand, contract, "gelu", states))
        assert output.dtype == (torch.bfloat16 if half else torch.float32)
        results.append([output, *gradients(output.float(), tensors)])
    for near, exact in zip(results[1][1:], results[0][1:], strict=True):
        assert near.dtype == torch.float32
        assert (near - exact).norm() < 0.05 * exact.norm()


def test_in_half_precision_what_is_kept_for_the_gradient_is_bf16() -> None:
    expand, contract = layers()
    kept: list[torch.dtype] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.dtype)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        mlp(expand, contract, "gelu", torch.randn(100, 24, requires_grad=True))
    assert set(kept) == {torch.bfloat16}
    assert len(kept) == 4


def test_half_precision_without_gradients_is_torchs_own() -> None:
    expand, contract = layers()
    states = torch.randn(3, 24)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mlp(expand, contract, "gelu", states), contract(nn.functional.gelu(expand(states))))
