from __future__ import annotations

import pytest
import torch

from mtlkit.config.architecture import SIZES
from mtlkit.config.block_options import MODERN
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.model.layers.block import Block


@pytest.mark.parametrize("size", SIZES)
def test_blocks_of_a_size_have_about_as_many_weights(size: str) -> None:
    sizes = []
    for block in ("gpt2", "modern"):
        architecture = PretrainOptions(size=size, block=block).fresh_architecture(300, 64, "causal", 0.0)  # type: ignore[arg-type]
        with torch.device("meta"):
            sizes.append(sum(weight.numel() for weight in Block(architecture, 1).parameters()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.015)
    assert architecture.blocks == MODERN
    assert architecture.mlp_dim % 8 == 0
