"""Blocks that are computed again in the backward pass: the same bits from less memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.config.registries.adapters import AdapterSpec
from mtlkit.model.encoder import Encoder, recompute_blocks
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import draw_from

USUAL = Architecture(30, 3, 16, 2, 16, dropout=0.3)
LENGTHS = [5, 5, 9]


def batch() -> Batch:
    return Batch.flat(np.arange(sum(LENGTHS)) % 30, LENGTHS, np.arange(len(LENGTHS)))


def encoder_of(architecture: Architecture) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder(architecture).train()


def pass_through(encoder: Encoder, recompute: bool, half: bool = False) -> tuple[Tensor, list[Tensor | None], Tensor, int]:
    """Vectors, gradients, the state of the generator afterwards, and how many numbers were kept for the gradient."""
    generator = torch.Generator().manual_seed(1)
    draw_from(generator, encoder)
    recompute_blocks(encoder, recompute)
    encoder.zero_grad()
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), torch.autocast("cpu", enabled=half):
        vectors = encoder.encode(batch())
    vectors.float().square().sum().backward()  # type: ignore[no-untyped-call]
    return vectors, [weight.grad for weight in encoder.parameters()], generator.get_state(), sum(kept)


def check_same(first: list[Tensor | None], second: list[Tensor | None]) -> None:
    for one, other in zip(first, second, strict=True):
        assert (one is None) == (other is None)
        assert one is None or (other is not None and torch.equal(one, other))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    "changed", [{}, {"norm": "post", "embedding_norm": True}, {"attention": "causal"}, {"activation": "gelu_tanh"}]
)
def test_gradients_and_random_numbers_are_the_same_to_the_bit(changed: dict[str, Any], half: bool) -> None:
    encoder = encoder_of(replace(USUAL, **changed))
    vectors, grads, state, kept = pass_through(encoder, recompute=False, half=half)
    again, same, after, fewer = pass_through(encoder, recompute=True, half=half)
    assert torch.equal(again, vectors)
    assert torch.equal(after, state)
    check_same(grads, same)
    assert fewer < kept / 2


def test_only_what_trains_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of(USUAL)
    encoder.embeddings().requires_grad_(False)
    encoder.blocks[0].requires_grad_(False)
    calls = [0, 0, 0]

    def counted(place: int) -> Any:
        def count(*_: Any) -> None:
            calls[place] += 1

        return count

    for place, block in enumerate(encoder.blocks):
        block.register_forward_pre_hook(counted(place))
    pass_through(encoder, recompute=True)
    assert calls == [1, 2, 1]
    with torch.no_grad():
        encoder.encode(batch())
    assert calls == [2, 3, 2]


def test_gradients_can_be_asked_for_one_after_another() -> None:
    encoder = encoder_of(USUAL)
    found = []
    for recompute in (False, True):
        draw_from(torch.Generator().manual_seed(1), encoder)
        recompute_blocks(encoder, recompute)
        vectors = encoder.encode(batch())
        weights = list(encoder.parameters())
        found.append([grad for row in vectors for grad in torch.autograd.grad(row.sum(), weights, retain_graph=True)])
    check_same(*found)


def test_adapters_train_through_blocks_that_are_computed_again() -> None:
    model = MultiTaskModel(encoder_of(USUAL)).train()
    model.backbone.requires_grad_(False)
    model.add_adapter("topic", AdapterSpec("lora", 4, 8.0, 0, 2))
    for weight in model.adapters.parameters():
        nn.init.normal_(weight)
    found = []
    for recompute in (False, True):
        draw_from(torch.Generator().manual_seed(1), model)
        recompute_blocks(model, recompute)
        model.zero_grad()
        model.encode(batch(), "topic").square().sum().backward()  # type: ignore[no-untyped-call]
        found.append([weight.grad for weight in model.adapters.parameters()])
    assert all(grad is not None and grad.any() for grad in found[0])
    check_same(*found)
