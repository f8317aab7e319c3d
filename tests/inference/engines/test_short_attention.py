"""Attention in bf16 without gradients: nearly torch's attention in float32, and the same for a text alone and in any batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.inference.engines import short_attention
from mtlkit.inference.engines.short_attention import attend
from mtlkit.model.layers.attention import AttentionSettings
from mtlkit.model.layers.rotary import Rotary
from mtlkit.model.layouts import GroupedLayout

HEADS, WIDTH = 4, 16
LENGTHS = [1, 2, 7, 7, 7, 30, 30, 65]
SETTINGS = {
    "all": AttentionSettings(HEADS),
    "causal": AttentionSettings(HEADS, causal=True),
    "rotary": AttentionSettings(HEADS, rotary=Rotary(1e4, WIDTH)),
    "window": AttentionSettings(HEADS, window=8),
    "shared": AttentionSettings(HEADS, kv_heads=2),
}


def layout_of(lengths: list[int]) -> GroupedLayout:
    return GroupedLayout(Batch.flat(np.zeros(sum(lengths), np.int64), lengths, np.arange(len(lengths))))


def states(settings: AttentionSettings, scale: float = 1.0) -> Tensor:
    torch.manual_seed(0)
    width = (HEADS + 2 * settings.keys) * WIDTH
    return (scale * torch.randn(sum(LENGTHS), width)).bfloat16()


@pytest.mark.parametrize("longest", [512, 10])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", SETTINGS)
def test_it_is_nearly_exact(name: str, dtype: torch.dtype, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_attention, "LONGEST", longest)
    qkv, settings, layout = states(SETTINGS[name]), SETTINGS[name], layout_of(LENGTHS)
    before = qkv.clone()
    with torch.inference_mode():
        mixed, exact = attend(qkv, layout, settings, dtype), layout.attend(qkv.float(), settings)
    assert mixed.dtype == dtype
    assert (mixed - exact).norm() < 0.01 * exact.norm()
    assert torch.equal(qkv, before)


@pytest.mark.parametrize("name", ["all", "causal"])
def test_a_text_alone_is_the_same_as_in_a_batch(name: str) -> None:
    settings, qkv = SETTINGS[name], states(SETTINGS[name])
    with torch.inference_mode():
        together = attend(qkv, layout_of(LENGTHS), settings, torch.float32)
        alone = [
            attend(part, layout_of([length]), settings, torch.float32)
            for part, length in zip(torch.split(qkv, LENGTHS), LENGTHS, strict=True)
        ]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("name", ["all", "causal"])
def test_scores_beyond_the_range_of_powers(name: str) -> None:
    settings, layout, qkv = SETTINGS[name], layout_of(LENGTHS), states(SETTINGS[name], 20.0)
    with torch.inference_mode():
        mixed, exact = attend(qkv, layout, settings, torch.float32), layout.attend(qkv.float(), settings)
    assert mixed.isfinite().all()
    near = torch.cosine_similarity(mixed, exact)  # where two scores nearly tie, their rounding decides
    assert near.median() > 0.999


@pytest.mark.parametrize("name", ["all", "causal"])
def test_large_scores_of_one_text_leave_others_as_they_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, layout, qkv = SETTINGS[name], layout_of(LENGTHS), states(SETTINGS[name])
    with torch.inference_mode():
        usual = attend(qkv, layout, settings, torch.float32)
        monkeypatch.setattr(short_attention, "SAFE", 0.0)
        lowered = attend(qkv, layout, settings, torch.float32)
    torch.testing.assert_close(lowered, usual, atol=1e-6, rtol=1e-6)
