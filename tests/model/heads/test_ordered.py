"""The head of ordered classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlkit.config.architecture import TaskSpec
from mtlkit.evaluation.ordinal import log_probabilities
from mtlkit.model.heads.base import Affine, build_head
from mtlkit.model.heads.losses import LossOptions, cross_entropy
from mtlkit.model.heads.ordered import OrderedLayer, cumulative_loss, log_likelihoods

SPEC = TaskSpec("grade", "ordinal", ("1", "2", "3", "4"))


def test_all_classes_are_equally_likely_at_first() -> None:
    head = build_head(SPEC, 8, 0.0)
    shares = log_likelihoods(head(torch.zeros(1, 8))).exp()
    torch.testing.assert_close(shares, torch.full((1, 4), 0.25))


def test_no_step_mixes_the_thresholds_up() -> None:
    torch.manual_seed(0)
    layer = OrderedLayer(8, 6)
    for _ in range(20):
        with torch.no_grad():
            layer.bias.add_(4 * torch.randn(5))
        assert (layer.thresholds.diff() >= 0).all()


def test_it_is_a_linear_layer_to_other_libraries() -> None:
    torch.manual_seed(0)
    head, vectors = build_head(SPEC, 8, 0.0), torch.randn(5, 8)
    (layer,) = head.linear_layers()
    weight, bias = layer.affine
    torch.testing.assert_close(torch.nn.functional.linear(vectors, weight, bias), head(vectors))
    other = OrderedLayer(8, 4)
    other.set_affine(Affine(weight / 1.5, bias / 1.5))
    torch.testing.assert_close(other(vectors), head(vectors) / 1.5)
    with pytest.raises(ValueError, match="shape"):
        other.set_affine(Affine(weight[:2], bias[:2]))


def test_its_loss_is_that_of_the_probabilities() -> None:
    cumulative = torch.tensor([[-2.0, 0.5, 0.6], [3.0, 4.0, 9.0], [-40.0, -30.0, -20.0]])
    logs = log_likelihoods(cumulative)
    np.testing.assert_allclose(logs.numpy(), log_probabilities(cumulative.numpy()), atol=1e-5)
    classes, options = torch.tensor([1, 3, 0]), LossOptions(((1.0, 2.0, 1.0, 0.5),), focal=2.0, smoothing=0.1)
    for chosen in (LossOptions(), options):
        torch.testing.assert_close(cumulative_loss(cumulative, classes, chosen), cross_entropy(logs, classes, chosen))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("1", "2", "3", "4", "5", "6"), [0, 1, 2, 5, 8]),
        (("-1", "0", "1", "2", "3", "4"), [-6, -3, 0, 1, 2]),
        (("1", "1.5", "2", "3", "4"), [-0.05, 0.05, 1, 2]),
    ],
)
def test_new_classes_leave_old_thresholds_in_place(labels: tuple[str, ...], expected: list[float]) -> None:
    old = build_head(SPEC, 8, 0.0)
    (layer,) = old.linear_layers()
    layer.set_affine(Affine(layer.affine.weight, torch.tensor([0.0, 1.0, 2.0])))
    new = build_head(TaskSpec("grade", "ordinal", labels), 8, 0.0)
    new.grow_from(old)
    weight, bias = new.linear_layers()[0].affine
    torch.testing.assert_close(bias, torch.tensor(expected, dtype=torch.float32), atol=1e-4, rtol=0)
    torch.testing.assert_close(weight[0], layer.affine.weight[0])
