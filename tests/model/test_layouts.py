from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlkit.batch import Batch
from mtlkit.model.layers.attention import AttentionSettings
from mtlkit.model.layers.rotary import Rotary
from mtlkit.model.layouts import GroupedLayout, PaddedLayout, VarlenLayout, layout_of


def test_every_token_of_a_text_counts_once_and_no_other() -> None:
    states = torch.tensor([[1.0, 0.0], [3.0, 2.0], [10.0, 10.0], [20.0, 10.0], [0.0, 3.0], [3.0, 3.0], [6.0, 0.0]])
    batch = Batch.flat(np.arange(7), [2, 2, 3], np.arange(3))
    assert GroupedLayout(batch).mean(states).tolist() == [[2.0, 1.0], [15.0, 10.0], [3.0, 2.0]]


def test_lengths_that_return_later_are_not_mixed_up() -> None:
    states = torch.tensor([[2.0], [1.0], [3.0], [4.0]])
    assert GroupedLayout(Batch.flat(np.arange(4), [1, 2, 1], np.arange(3))).mean(states).tolist() == [[2.0], [2.0], [4.0]]


@pytest.fixture
def batch() -> Batch:
    return Batch.flat(np.arange(12), [2, 2, 3, 5], np.arange(4))


@pytest.fixture
def qkv() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(12, 3 * 8)


def padded(batch: Batch, states: torch.Tensor) -> tuple[PaddedLayout, torch.Tensor]:
    """The same texts as a rectangle, with states that mean nothing where nothing is."""
    lengths = [length for texts, length in batch.groups for _ in range(texts)]
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    room = torch.full((*mask.shape, states.shape[1]), 7.0)
    room[mask] = states
    return PaddedLayout(torch.zeros(mask.shape, dtype=torch.long), mask.long()), room.flatten(0, 1)


ROTARY = Rotary(100.0, 4)
SETTINGS = [
    AttentionSettings(2),
    AttentionSettings(2, causal=True),
    AttentionSettings(2, window=1),
    AttentionSettings(2, rotary=ROTARY),
    AttentionSettings(4, kv_heads=1, causal=True, window=2, rotary=ROTARY),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_rectangle_gives_what_groups_give(batch: Batch, qkv: torch.Tensor, settings: AttentionSettings) -> None:
    layout, room = padded(batch, qkv)
    real = layout.mask.bool().flatten()
    torch.testing.assert_close(
        layout.attend(room, settings)[real], GroupedLayout(batch).attend(qkv.clone(), settings), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(layout.mean(room), GroupedLayout(batch).mean(qkv))
    torch.testing.assert_close(layout.first(room), GroupedLayout(batch).first(qkv))
    assert layout.positions[real].tolist() == batch.positions.tolist()


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("settings", SETTINGS)
def test_training_in_half_precision_attends_as_in_float32(
    batch: Batch, qkv: torch.Tensor, settings: AttentionSettings, biased: bool
) -> None:
    layout = GroupedLayout(batch)
    if biased:
        layout = layout.with_bias(torch.randn(settings.heads, 5, 5, generator=torch.Generator().manual_seed(1)))
    results = []
    for half in (False, True):
        states = qkv.to(torch.bfloat16 if half else torch.float32).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            mixed = layout.attend(states * 1, settings)
        results.append([mixed.float(), torch.autograd.grad(mixed.float().square().sum(), states)[0].float()])
    for near, exact in zip(results[1], results[0], strict=True):
        assert (near - exact).norm() < 0.03 * exact.norm()


def test_offsets_pool_as_groups_do(batch: Batch, qkv: torch.Tensor) -> None:
    torch.testing.assert_close(VarlenLayout(batch).mean(qkv), GroupedLayout(batch).mean(qkv))
    torch.testing.assert_close(VarlenLayout(batch).first(qkv), GroupedLayout(batch).first(qkv))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    "settings",
    [
        AttentionSettings(2),
        AttentionSettings(2, causal=True),
        AttentionSettings(2, window=1),
        AttentionSettings(4, kv_heads=1, window=2, rotary=Rotary(100.0, 32)),
    ],
)
def test_flash_attention_gives_what_groups_give(batch: Batch, settings: AttentionSettings) -> None:
    torch.manual_seed(0)
    states = torch.randn(12, 3 * 64, device="cuda", dtype=torch.bfloat16)
    there = batch.to(torch.device("cuda"))
    assert isinstance(layout_of(there), VarlenLayout)
    flash, groups = layout_of(there).attend(states, settings), GroupedLayout(there).attend(states, settings)
    torch.testing.assert_close(flash, groups, atol=2e-2, rtol=0)
