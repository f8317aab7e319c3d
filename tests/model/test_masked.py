from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.model.encoder import Encoder
from mtlkit.model.masked import MaskedLanguageModel
from mtlkit.model.prediction_head import PredictionHead

SHAPE = Architecture(40, 1, 16, 2, 8, "bidirectional", 0.0, embedding_dim=8)


@pytest.fixture
def model() -> MaskedLanguageModel:
    torch.manual_seed(0)
    head = PredictionHead(SHAPE)
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
