from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.model import language
from mtlkit.model.encoder import Encoder
from mtlkit.model.language import next_token_loss, tied_cross_entropy

TOKENS, WIDTH, VOCABULARY = 37, 16, 50


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(3)
    states = torch.randn(TOKENS, WIDTH, generator=random, requires_grad=True)
    weight = torch.randn(VOCABULARY, WIDTH, generator=random, requires_grad=True)
    return states, weight, torch.randint(VOCABULARY, (TOKENS,), generator=random)


@pytest.mark.parametrize("chunk", [1, 5, 36, 37, 38, 1000])  # with a rest, without one, and larger than all
def test_tied_cross_entropy_is_cross_entropy_of_the_full_logits_in_value_and_gradients(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "CHUNK", chunk)
    states, weight, targets = inputs()
    expected = functional.cross_entropy(states @ weight.T, targets)
    expected_grads = torch.autograd.grad(3.0 * expected, (states, weight))
    loss: Tensor = tied_cross_entropy(states, weight, targets)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    grads = torch.autograd.grad(3.0 * loss, (states, weight))
    for found, wanted in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_it_stays_finite_where_the_exponential_would_not() -> None:
    states, weight, targets = inputs()
    loss: Tensor = tied_cross_entropy(states * 100, weight, targets)
    torch.testing.assert_close(loss, functional.cross_entropy(100 * states @ weight.T, targets), atol=1e-3, rtol=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert states.grad is not None
    assert torch.isfinite(states.grad).all()


@pytest.mark.parametrize("scale", [1.0, 100.0])  # with the latter, some probabilities are zero in float32
@pytest.mark.parametrize("biased", [False, True])
def test_in_half_precision_loss_and_gradients_are_nearly_those_in_float32(scale: float, biased: bool) -> None:
    states, weight, targets = inputs()
    bias = torch.linspace(-1, 1, VOCABULARY).requires_grad_() if biased else None
    leaves = [states, weight, *([] if bias is None else [bias])]
    results = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = tied_cross_entropy(states * scale, weight, targets, bias)
        assert loss.dtype == torch.float32
        results.append([loss, *torch.autograd.grad(loss, leaves)])
    for near, exact in zip(results[1], results[0], strict=True):
        assert near.dtype == torch.float32
        assert not torch.equal(near, exact)
        assert (near - exact).norm() < (0.02 if scale == 1 else 0.1) * exact.norm()


def small_base() -> tuple[Encoder, Batch, Tensor]:
    torch.manual_seed(0)
    encoder = Encoder(Architecture(VOCABULARY, 2, 16, 2, 32, dropout=0.0))
    ids = np.random.default_rng(0).integers(VOCABULARY, size=33)
    return encoder, Batch.flat(ids[:-1], [16, 16], np.arange(2)), torch.from_numpy(ids[1:])


def test_the_output_layer_is_the_token_embedding_and_gets_the_gradient_of_both_uses() -> None:
    encoder, batch, targets = small_base()
    expected = functional.cross_entropy(encoder(batch) @ encoder.tokens.weight.T, targets)
    wanted = torch.autograd.grad(expected, list(encoder.parameters()))
    loss = next_token_loss(encoder, batch, targets)
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-5)
    for found, want in zip(torch.autograd.grad(loss, list(encoder.parameters())), wanted, strict=True):
        torch.testing.assert_close(found, want, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("chunk", [7, 256])
def test_the_loss_is_the_same_without_gradients(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "CHUNK", chunk)
    encoder, batch, targets = small_base()
    with torch.no_grad():
        quiet = next_token_loss(encoder, batch, targets)
    assert float(quiet) == pytest.approx(float(next_token_loss(encoder, batch, targets).detach()), abs=1e-6)


def test_fresh_weights_predict_nothing() -> None:
    encoder, batch, targets = small_base()
    assert float(next_token_loss(encoder, batch, targets).detach()) == pytest.approx(math.log(VOCABULARY), abs=0.1)


def test_bfloat16_arithmetic_stays_near_the_exact_loss_and_its_gradients_are_finite() -> None:
    encoder, batch, targets = small_base()
    exact = float(next_token_loss(encoder, batch, targets).detach())
    with torch.autocast("cpu", torch.bfloat16):
        loss = next_token_loss(encoder, batch, targets)
    assert float(loss.detach()) == pytest.approx(exact, abs=0.02)
    assert all(bool(torch.isfinite(grad).all()) for grad in torch.autograd.grad(loss, list(encoder.parameters())))
