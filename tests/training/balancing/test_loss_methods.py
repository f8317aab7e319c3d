from __future__ import annotations

import pytest
import torch

from mtlkit.training.balancing.loss_methods import AdamScalar, softmax
from mtlkit.training.balancing.loss_weighting import RunningMeans


def test_a_learned_number_moves_as_by_torchs_adam() -> None:
    ours, theirs = AdamScalar(), torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    adam = torch.optim.Adam([theirs], lr=0.025)
    for gradient in (0.3, -2.0, 1e-4, 0.7):
        ours.move(gradient, 0.025)
        theirs.grad = torch.tensor([gradient], dtype=torch.float64)
        adam.step()
        assert ours.value == pytest.approx(theirs.item(), rel=1e-9)


def test_means_are_over_what_has_the_name() -> None:
    means = RunningMeans()
    means.add({"a": 1.0, "b": 5.0})
    means.add({"a": 2.0})
    assert means.of_each() == {"a": 1.5, "b": 5.0}


def test_softmax_of_far_away_values() -> None:
    assert softmax({"a": 1000.0, "b": 1000.0, "c": -1000.0}) == {"a": 0.5, "b": 0.5, "c": 0.0}
