from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.errors import IntegrityError
from mtlkit.model.encoder import Encoder
from mtlkit.model.masked import MASKED_HEAD, MaskedHead, MaskedLanguageModel, read_masked_head, write_masked_head

SHAPE = Architecture(40, 1, 16, 2, 8, "bidirectional", 0.0, embedding_dim=8)


@pytest.fixture
def model() -> MaskedLanguageModel:
    torch.manual_seed(0)
    head = MaskedHead(SHAPE)
    torch.nn.init.normal_(head.bias)
    return MaskedLanguageModel(Encoder(SHAPE), head)


def test_the_loss_and_its_gradients_are_those_of_the_plain_formula(model: MaskedLanguageModel) -> None:
    batch = Batch.flat(np.arange(8), [5, 3], np.arange(2))
    places, targets = torch.tensor([1, 6]), torch.tensor([30, 2])
    model.loss(batch, places, targets).backward()  # type: ignore[no-untyped-call]
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad()
    outputs = model.head(model.encoder(batch)[places])
    expected = functional.cross_entropy(outputs @ model.encoder.tokens.weight.T + model.head.bias, targets)
    expected.backward()  # type: ignore[no-untyped-call]
    losses, right = model.scored(batch, places, targets)
    assert losses.mean() == pytest.approx(float(expected.detach()), abs=1e-6)
    assert right.tolist() == (outputs @ model.encoder.tokens.weight.T + model.head.bias).argmax(1).eq(targets).tolist()
    for name, weight in model.named_parameters():
        if gradients[name] is not None:
            torch.testing.assert_close(gradients[name], weight.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("size", [0.02, 3.0])
def test_a_fresh_head_starts_near_the_loss_of_a_guess(size: float) -> None:
    tokens = size * torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))
    shape = Architecture(4000, 1, 32, 2, 8)
    with torch.no_grad():
        logits = MaskedHead(shape).fit_scale(tokens)(torch.randn(50, 32)) @ tokens.T
    assert float(logits.std()) == pytest.approx(1.0, abs=0.2)


def test_a_head_is_read_as_it_was_written(model: MaskedLanguageModel, tmp_path: Path) -> None:
    assert read_masked_head(tmp_path, SHAPE) is None
    write_masked_head(tmp_path, model.head)
    head = read_masked_head(tmp_path, SHAPE)
    assert head is not None
    assert all(torch.equal(weight, head.state_dict()[name]) for name, weight in model.head.state_dict().items())
    save_file({name: weight for name, weight in model.head.state_dict().items() if name != "bias"}, tmp_path / MASKED_HEAD)
    older = read_masked_head(tmp_path, SHAPE)
    assert older is not None
    assert older.bias.count_nonzero() == 0
    with pytest.raises(IntegrityError, match=MASKED_HEAD):
        read_masked_head(tmp_path, Architecture(40, 1, 32, 2, 8))
    (tmp_path / MASKED_HEAD).write_bytes(b"no")
    with pytest.raises(IntegrityError, match="damaged"):
        read_masked_head(tmp_path, SHAPE)
