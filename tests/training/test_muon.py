from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from mtlkit.training.muon import Muon, _by_gram, _by_steps, is_block_matrix, orthogonalize

if TYPE_CHECKING:
    from mtlkit.model.multitask import MultiTaskModel


@pytest.mark.parametrize("shape", [(3, 24, 60), (2, 60, 24), (1, 32, 32)])
def test_singular_values_come_near_one_and_vectors_stay(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonalize(matrices)
    values = left.mT @ found @ right.mT
    assert torch.diagonal(values, dim1=1, dim2=2).sub(1).abs().max() < 0.4
    assert (values - torch.diag_embed(torch.diagonal(values, dim1=1, dim2=2))).abs().max() < 1e-4


@pytest.mark.parametrize("smallest", [1.0, 1e-2, 1e-4])
def test_steps_on_gram_matrices_are_those_on_matrices(smallest: float) -> None:
    random = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(2, 24, 24, generator=random))[0]
    right = torch.linalg.qr(torch.randn(2, 96, 24, generator=random))[0]
    matrices = (left * torch.logspace(0, math.log10(smallest), 24)) @ right.mT
    torch.testing.assert_close(_by_gram(matrices), _by_steps(matrices.double()).float(), rtol=0, atol=2e-4)


def test_a_batch_of_matrices_is_updated_as_each_alone() -> None:
    gradients = torch.randn(4, 3, 16, 40, generator=torch.Generator().manual_seed(0))
    together = [nn.Parameter(torch.zeros(16, 40)) for _ in range(3)]
    alone = [nn.Parameter(torch.zeros(16, 40)) for _ in range(3)]
    trained = [*(together,), *([weight] for weight in alone)]
    for weights in trained:
        optimizer = Muon([{"params": weights, "lr": 0.1, "weight_decay": 0.1}])
        for step in gradients:
            for weight, gradient in zip(weights, step[:1] if weights is not together else step, strict=False):
                weight.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(together[0], alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_steps_are_those_of_torch_up_to_its_bfloat16() -> None:
    start = torch.randn(32, 80, generator=torch.Generator().manual_seed(1))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizers = (
        Muon([{"params": [ours], "lr": 0.01, "weight_decay": 0.1}]),
        torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
    )
    for step in range(5):
        gradient = torch.randn(32, 80, generator=torch.Generator().manual_seed(step + 2))
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    moved = (ours - start).square().mean().sqrt()
    assert (ours - theirs).square().mean().sqrt() < 0.02 * moved


def test_only_matrices_of_blocks_are_orthogonalized(tiny_model: MultiTaskModel) -> None:
    weights = dict(tiny_model.named_parameters())
    matrices = {name for name, weight in weights.items() if is_block_matrix(name, weight)}
    assert matrices
    assert all(".blocks." in name and name.endswith("weight") and "norm" not in name for name in matrices)
    assert not any("embed" in name or name.startswith("heads.") for name in matrices)
