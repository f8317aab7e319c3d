from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mtlkit.config.architecture import TaskSpec
from mtlkit.errors import UsageError
from mtlkit.model.heads.base import Head, build_head

TOPIC = TaskSpec("topic", "classification", ("animal", "tool"))
TAGS = TaskSpec("tags", "multi-label", ("a", "b", "c"))
STARS = TaskSpec("stars", "regression", (), center=3.0, spread=1.5)


@pytest.mark.parametrize(("spec", "outputs"), [(TOPIC, 2), (TAGS, 3), (STARS, 1)])
@pytest.mark.parametrize(("head", "widths"), [("linear", []), ("mlp:16", [16]), ("mlp:16,8", [16, 8])])
def test_a_head_has_the_layers_asked_for_and_an_output_a_label(
    spec: TaskSpec, outputs: int, head: str, widths: list[int]
) -> None:
    made = Head(32, TaskSpec(spec.name, spec.kind, spec.labels, head), dropout=0.1)
    linear = [module for module in made.modules() if isinstance(module, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == list(
        zip([32, *widths], [*widths, outputs], strict=True)
    )
    assert sum(isinstance(module, nn.GELU) for module in made.modules()) == len(widths)
    assert made(torch.randn(5, 32)).shape == (5, outputs)


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(UsageError, match=r"invalid --head 'mlp:'; use 'linear' or 'mlp:256,128'"):
        Head(32, TaskSpec("topic", "classification", ("a", "b"), "mlp:"), 0.0)


def test_fresh_weights_are_small_and_biases_zero() -> None:
    torch.manual_seed(0)
    head = Head(256, TaskSpec("topic", "classification", ("a", "b"), "mlp:128"), 0.0)
    for name, weight in head.named_parameters():
        if name.endswith("bias"):
            assert (weight == 0).all()
    hidden = next(module for module in head.modules() if isinstance(module, nn.Linear))
    assert float(hidden.weight.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_classification_loss_is_the_mean_cross_entropy() -> None:
    outputs = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])  # probabilities 1/4 3/4, 1/2 1/2
    expected = (math.log(4) + math.log(2)) / 2
    assert float(Head(4, TOPIC, 0.0).loss(outputs, torch.tensor([0, 1]))) == pytest.approx(expected)


def test_multi_label_loss_is_the_mean_binary_cross_entropy_over_texts_and_labels() -> None:
    outputs = torch.tensor([[0.0, math.log(3), -math.log(3)]])  # probabilities 1/2, 3/4, 1/4
    labels = torch.tensor([[1.0, 1.0, 1.0]])
    expected = (math.log(2) + math.log(4 / 3) + math.log(4)) / 3
    assert float(Head(4, TAGS, 0.0).loss(outputs, labels)) == pytest.approx(expected)


def test_regression_loss_is_the_squared_error_in_units_of_the_spread() -> None:
    outputs = torch.tensor([[6.0], [3.0]])
    labels = torch.tensor([3.0, 3.75])  # off by 2 spreads and by half a spread
    assert float(Head(4, STARS, 0.0).loss(outputs, labels)) == pytest.approx((4 + 0.25) / 2)


def test_the_loss_of_one_regression_text_does_not_lose_its_only_row() -> None:
    assert float(Head(4, STARS, 0.0).loss(torch.tensor([[4.5]]), torch.tensor([3.0]))) == pytest.approx(1.0)


def test_regression_predicts_around_the_center_of_the_training_labels() -> None:
    head = Head(4, STARS, 0.0)
    assert head(torch.zeros(2, 4)).tolist() == [[3.0], [3.0]]
    nn.init.ones_(head.layers[-1].weight)  # type: ignore[arg-type]
    assert head(torch.full((1, 4), 0.5)).tolist() == [[3.0 + 1.5 * 2.0]]


def test_a_new_class_is_predicted_for_no_text_at_first() -> None:
    torch.manual_seed(0)
    old = build_head(TaskSpec("topic", "classification", ("a", "b"), "mlp:6"), 8, 0.0)
    new = build_head(TaskSpec("topic", "classification", ("a", "c", "b"), "mlp:6"), 8, 0.0)
    new.grow_from(old)
    vectors = torch.randn(50, 8)
    torch.testing.assert_close(new(vectors)[:, [0, 2]], old(vectors))
    assert (new(vectors).argmax(1) != 1).all()
