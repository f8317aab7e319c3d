from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import MODERN
from mtlkit.errors import IntegrityError
from mtlkit.model.prediction_head import (
    OLDER,
    PREDICTION_HEAD,
    PredictionHead,
    read_prediction_head,
    write_prediction_head,
)

SHAPE = Architecture(40, 1, 16, 2, 8, "bidirectional", 0.0, embedding_dim=8)


@pytest.mark.parametrize("size", [0.02, 3.0])
def test_a_fresh_head_starts_near_the_loss_of_a_guess(size: float) -> None:
    tokens = size * torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))
    shape = Architecture(4000, 1, 32, 2, 8)
    with torch.no_grad():
        logits = PredictionHead(shape).fit_scale(tokens)(torch.randn(50, 32)) @ tokens.T
    assert float(logits.std()) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("shape", [SHAPE, Architecture(40, 1, 16, 2, 8, blocks=MODERN)])
def test_a_head_is_read_as_it_was_written(shape: Architecture, tmp_path: Path) -> None:
    assert read_prediction_head(tmp_path, shape) is None
    written = PredictionHead(shape)
    torch.nn.init.normal_(written.bias)
    write_prediction_head(tmp_path, written)
    head = read_prediction_head(tmp_path, shape)
    assert head is not None
    assert ("dense.bias" in head.state_dict()) is shape.blocks.norm_bias
    assert head.state_dict().keys() == written.state_dict().keys()
    assert all(torch.equal(weight, head.state_dict()[name]) for name, weight in written.state_dict().items())


def test_heads_of_older_runs_are_read(tmp_path: Path) -> None:
    written = PredictionHead(SHAPE).state_dict()
    save_file({name: weight for name, weight in written.items() if name != "bias"}, tmp_path / OLDER)
    older = read_prediction_head(tmp_path, SHAPE)
    assert older is not None
    assert older.bias.count_nonzero() == 0
    assert torch.equal(older.dense.weight, written["dense.weight"])
    of_modern = read_prediction_head(tmp_path, Architecture(40, 1, 16, 2, 8, embedding_dim=8, blocks=MODERN))
    assert of_modern is not None
    assert of_modern.norm.bias is not None  # heads used to have biases even if the blocks had none


def test_damaged_heads_are_errors(tmp_path: Path) -> None:
    write_prediction_head(tmp_path, PredictionHead(SHAPE))
    with pytest.raises(IntegrityError, match=PREDICTION_HEAD):
        read_prediction_head(tmp_path, Architecture(40, 1, 32, 2, 8))
    (tmp_path / PREDICTION_HEAD).write_bytes(b"no")
    with pytest.raises(IntegrityError, match="damaged"):
        read_prediction_head(tmp_path, SHAPE)
