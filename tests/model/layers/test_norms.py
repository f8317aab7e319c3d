from __future__ import annotations

import torch
from torch.nn import functional

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.model.layers.norms import make_norm


def test_rms_norm_is_torchs_with_gradients_and_without() -> None:
    torch.manual_seed(0)
    norm = make_norm(Architecture(40, 1, 32, 4, 64, epsilon=0.1, blocks=BlockOptions(norm_type="rms")))
    weight, states = torch.rand(32), torch.randn(7, 32)
    norm.load_state_dict({"weight": weight})
    wanted = functional.rms_norm(states, (32,), weight, 0.1)
    torch.testing.assert_close(norm(states), wanted)
    with torch.inference_mode():
        torch.testing.assert_close(norm(states), wanted)


def test_layer_norm_may_have_no_bias() -> None:
    norm = make_norm(Architecture(40, 1, 32, 4, 64, blocks=BlockOptions(norm_bias=False)), 16)
    assert list(norm.state_dict()) == ["weight"]
    assert norm(torch.randn(2, 16)).shape == (2, 16)
