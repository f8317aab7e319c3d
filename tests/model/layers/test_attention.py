"""Attention in a window gives what a mask over the whole text gives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.model.layers.attention import AttentionSettings, attended


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("length", "window"), [(4, 3), (5, 3), (70, 0), (97, 1), (200, 40), (200, 300)])
def test_attention_in_a_window_is_that_of_a_mask(length: int, window: int, causal: bool) -> None:
    torch.manual_seed(0)
    settings = AttentionSettings(4, causal, kv_heads=2, window=window)
    query, key, value = settings.split(torch.randn(2 * length, 8 * 4), 2, length)
    places = torch.arange(length)
    seen = (places[:, None] - places).abs() <= window
    if causal:
        seen = seen.tril()
    whole = [states.repeat_interleave(2, 1) for states in (key, value)]
    wanted = functional.scaled_dot_product_attention(query, *whole, attn_mask=seen)
    torch.testing.assert_close(attended(query, key, value, settings, None), wanted, atol=1e-6, rtol=0)
    limits = settings.seen(length, query.device)
    assert limits is not None
    assert torch.equal(limits, seen)


def test_every_layer_has_its_own_window_and_positions() -> None:
    blocks = BlockOptions(rotary_base=1e5, local_rotary_base=1e4, window=7, local_layers=(1,))
    layers = [AttentionSettings.of(Architecture(40, 2, 32, 4, 64, blocks=blocks), layer) for layer in range(2)]
    assert [layer.window for layer in layers] == [None, 7]
    assert [layer.rotary.base for layer in layers if layer.rotary] == [1e5, 1e4]
    assert AttentionSettings.of(Architecture(40, 2, 32, 4, 64), 0).rotary is None
