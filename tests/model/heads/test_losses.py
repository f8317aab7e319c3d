"""The loss of each kind of task with the options of a training, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mtlkit.config.architecture import TaskSpec
from mtlkit.model.heads.base import loss_of
from mtlkit.model.heads.losses import PLAIN, LossOptions

TOPIC = TaskSpec("topic", "classification", ("animal", "tool", "place"))
TAGS = TaskSpec("tags", "multi-label", ("a", "b"))
STARS = TaskSpec("stars", "regression", (), center=3.0, spread=1.5)

LOG = math.log
# probabilities 1/2 1/4 1/4 and 1/8 3/4 1/8; the right ones are 1/2 and 1/8
CLASSES = (torch.tensor([[LOG(2), 0.0, 0.0], [0.0, LOG(6), 0.0]]), torch.tensor([0, 2]))
# one text; probabilities of presence 3/4 and 1/5, of which the first is right and the second wrong
MARKS = (torch.tensor([[LOG(3), -LOG(4)]]), torch.tensor([[1.0, 1.0]]))


def test_a_weighted_text_counts_by_the_weight_of_its_class() -> None:
    found = loss_of(TOPIC, *CLASSES, LossOptions(class_weights=((0.5, 7.0, 3.0),)))
    assert float(found) == pytest.approx((0.5 * LOG(2) + 3 * LOG(8)) / 2)  # a mean over texts, not over weights


def test_focal_loss_down_weights_easy_examples() -> None:
    found = loss_of(TOPIC, *CLASSES, LossOptions(focal=2.0))
    assert float(found) == pytest.approx(((1 / 2) ** 2 * LOG(2) + (7 / 8) ** 2 * LOG(8)) / 2)


def test_smoothing_gives_a_share_of_the_target_to_all_classes() -> None:
    first = 0.7 * LOG(2) + 0.1 * (LOG(2) + LOG(4) + LOG(4))
    second = 0.7 * LOG(8) + 0.1 * (LOG(8) + LOG(4 / 3) + LOG(8))
    assert float(loss_of(TOPIC, *CLASSES, LossOptions(smoothing=0.3))) == pytest.approx((first + second) / 2)
    peer = torch.nn.functional.cross_entropy(*CLASSES, label_smoothing=0.3)
    torch.testing.assert_close(loss_of(TOPIC, *CLASSES, LossOptions(smoothing=0.3)), peer)


def test_all_three_together() -> None:
    first = 0.7 * (1 / 4) * LOG(2) + 0.1 * ((1 / 4) * LOG(2) + 2 * (9 / 16) * LOG(4))
    second = 0.7 * (49 / 64) * LOG(8) + 0.1 * (2 * (49 / 64) * LOG(8) + (1 / 16) * LOG(4 / 3))
    found = loss_of(TOPIC, *CLASSES, LossOptions(((0.5, 7.0, 3.0),), focal=2.0, smoothing=0.3))
    assert float(found) == pytest.approx((0.5 * first + 3 * second) / 2)


def test_each_label_of_several_is_a_question_of_two_classes() -> None:
    def tags_loss(**options: float) -> float:
        return float(loss_of(TAGS, *MARKS, LossOptions(**options)))  # type: ignore[arg-type]

    assert tags_loss(focal=2.0) == pytest.approx(((1 / 4) ** 2 * LOG(4 / 3) + (4 / 5) ** 2 * LOG(5)) / 2)
    smoothed = 0.9 * LOG(4 / 3) + 0.1 * LOG(4), 0.9 * LOG(5) + 0.1 * LOG(5 / 4)
    assert tags_loss(smoothing=0.2) == pytest.approx(sum(smoothed) / 2)
    weights = ((9.0, 2.0), (9.0, 5.0))  # of absence, of presence
    weighted = loss_of(TAGS, *MARKS, LossOptions(weights))
    assert float(weighted) == pytest.approx((2 * LOG(4 / 3) + 5 * LOG(5)) / 2)
    absent = loss_of(TAGS, MARKS[0], torch.tensor([[0.0, 1.0]]), LossOptions(weights))
    assert float(absent) == pytest.approx((9 * LOG(4) + 5 * LOG(5)) / 2)


@pytest.mark.parametrize(
    ("spec", "outputs", "labels", "options"),
    [
        (TOPIC, *CLASSES, LossOptions(((1.0, 1.0, 1.0),))),
        (TAGS, *MARKS, LossOptions(((1.0, 1.0), (1.0, 1.0)))),
        (STARS, torch.tensor([[6.0], [3.0]]), torch.tensor([3.0, 3.75]), LossOptions(focal=2.0, smoothing=0.5)),
    ],
)
def test_weights_of_one_and_regression_give_the_plain_loss(
    spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions
) -> None:
    assert options != PLAIN
    torch.testing.assert_close(loss_of(spec, outputs, labels, options), loss_of(spec, outputs, labels))


@pytest.mark.parametrize("focal", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize(("spec", "labels"), [(TOPIC, [0, 0]), (TAGS, [[1.0, 0.0], [0.0, 1.0]])])
def test_focal_loss_has_a_finite_gradient_where_the_model_is_certain(spec: TaskSpec, labels: list[float], focal: float) -> None:
    outputs = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]])[:, : spec.outputs].requires_grad_()
    loss = loss_of(spec, outputs, torch.tensor(labels), LossOptions(focal=focal, smoothing=0.1))
    loss.backward()
    assert outputs.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(outputs.grad).all()
