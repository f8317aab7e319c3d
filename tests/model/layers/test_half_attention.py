"""Attention for training in bf16: values and gradients are nearly those of torch's attention in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.model import kernels
from mtlkit.model.layers import half_attention as module
from mtlkit.model.layers.half_attention import half_attention

HEADS, WIDTH = 4, 16
GROUPS = ((3, 40), (1, 70), (2, 7), (1, 1))
TOKENS = sum(texts * length for texts, length in GROUPS)


def reference(qkv: Tensor, causal: bool) -> Tensor:
    mixed = []
    for (texts, length), part in zip(GROUPS, torch.split(qkv, [texts * length for texts, length in GROUPS]), strict=True):
        query, key, value = part.view(texts, length, 3, HEADS, WIDTH).permute(2, 0, 3, 1, 4)
        states = functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
        mixed.append(states.transpose(1, 2).reshape(texts * length, HEADS * WIDTH))
    return torch.cat(mixed)


@pytest.mark.parametrize(("kept", "fast"), [(0, True), (50, True), (256, True), (256, False)])
@pytest.mark.parametrize("causal", [False, True])
def test_values_and_gradients(causal: bool, kept: int, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", kept)
    monkeypatch.setattr(kernels.SOFTMAX, "_works", fast)
    torch.manual_seed(0)
    qkv, grad = torch.randn(TOKENS, 3 * HEADS * WIDTH), torch.randn(TOKENS, HEADS * WIDTH)
    half, exact = qkv.bfloat16().requires_grad_(), qkv.double().requires_grad_()
    before = half.detach().clone()
    mixed, expected = half_attention(half, GROUPS, HEADS, causal), reference(exact, causal)
    assert mixed.dtype == torch.bfloat16
    assert (mixed - expected).norm() < 0.01 * expected.norm()
    (found,), (wanted,) = (torch.autograd.grad(one, of, grad.to(one.dtype)) for one, of in ((mixed, half), (expected, exact)))
    assert (found - wanted).norm() < 0.01 * wanted.norm()
    assert torch.equal(half.detach(), before)


def test_probabilities_of_long_texts_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 50)
    kept: list[torch.Size] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        half_attention(torch.randn(TOKENS, 3 * HEADS * WIDTH, requires_grad=True), GROUPS, HEADS, causal=False)
    assert kept == [(TOKENS, 3 * HEADS * WIDTH), (3 * HEADS, 40, 40), (2 * HEADS, 7, 7), (HEADS, 1, 1)]
