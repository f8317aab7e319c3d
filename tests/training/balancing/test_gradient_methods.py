from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import losses_of, train_steps
from torch import Tensor
from torchjd_methods import METHODS, TORCHJD, if_installed

from mtlkit.config.registries.balancing import BalanceChoice
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.gradient_methods import gradient_of_map
from mtlkit.training.balancing.gram_weighting import GradientWeighting
from mtlkit.training.balancing.methods.base import BalanceContext
from mtlkit.training.balancing.registry import make_balance
from mtlkit.training.continual.guards import AnchorPenalty
from mtlkit.training.loop import Step
from mtlkit.training.losses import Losses
from mtlkit.training.objectives.base import HeadObjective, Objective, head_objectives
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.sampling.mixture import MicroBatch

PIECES: list[MicroBatch] = [{"topic": np.arange(row, row + 3), "stars": np.array([row, row + 1])} for row in range(8)]


def backbone(gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([one.flatten() for name, one in gradients.items() if name.startswith("backbone.")]).double()


def gradients_of(model: MultiTaskModel, loss: Tensor) -> dict[str, Tensor]:
    each = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True, allow_unused=True)
    return {name: one for (name, _), one in zip(model.named_parameters(), each, strict=True) if one is not None}


@pytest.fixture
def objectives(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> dict[str, Objective]:
    return {name: HeadObjective(tiny_model, tasks[name]) for name in ("topic", "stars")}


def balanced(
    model: MultiTaskModel, objectives: dict[str, Objective], method: str, on: Any, pieces: list[MicroBatch], compute: Compute
) -> list[Step[MicroBatch]]:
    """Steps at a rate of 0, so that the model stays as it is."""
    torch.manual_seed(0)
    balance = make_balance(BalanceChoice(method), BalanceContext(model, list(objectives), on=on))
    still = LearningRate(0.0, 10)
    losses = losses_of(model, objectives)
    return list(train_steps(model, pieces, losses, still, weight_decay=0.0, clip=0.0, compute=compute, balance=balance))


# TorchJD projects products that it made definite
SLACK = {"torchjd:pcgrad": 1e-6, "torchjd:upgrad": 1e-3, "torchjd:dualproj": 1e-3, "torchjd:mgda": 1e-3}


@pytest.mark.parametrize("method", [*map(if_installed, SLACK)])
def test_applied_gradient_never_opposes_a_task(
    method: str,
    tiny_model: MultiTaskModel,
    objectives: dict[str, Objective],
    compute: Compute,
    applied: list[dict[str, Tensor]],
) -> None:
    balanced(tiny_model, objectives, method, "parameters", PIECES, compute)
    conflicts = 0
    for piece, step in zip(PIECES, applied, strict=True):
        losses = losses_of(tiny_model, objectives)(piece)
        topic, stars = (backbone(gradients_of(tiny_model, loss)) for loss in losses.values())
        conflicts += bool(topic @ stars < 0)
        total = backbone(step)
        assert min(total @ topic, total @ stars) >= -SLACK[method] * total.norm() * max(topic.norm(), stars.norm())
    assert conflicts


@pytest.mark.parametrize("method", [*map(if_installed, SLACK)])
def test_aggregation_applies_to_gradients_at_the_vectors(
    method: str, tiny_model: MultiTaskModel, objectives: dict[str, Objective], compute: Compute
) -> None:
    conflicts = 0
    for piece, step in zip(PIECES, balanced(tiny_model, objectives, method, "vectors", PIECES, compute), strict=True):
        losses = losses_of(tiny_model, objectives)(piece)
        found = {name: torch.autograd.grad(losses[name], losses.vectors[name])[0] for name in losses}
        maps = {name: gradient_of_map(losses.vectors[name].detach(), found[name]).double() for name in losses}
        conflicts += bool(maps["topic"] @ maps["stars"] < 0)
        total = torch.stack([step.weights[name] * maps[name] for name in maps]).sum(0)
        longest = max(one.norm() for one in maps.values())
        assert all(one @ total >= -SLACK[method] * total.norm() * longest for one in maps.values())
    assert conflicts


@pytest.mark.parametrize("on", ["vectors", "parameters"])
@pytest.mark.parametrize("method", METHODS)
def test_the_backbone_has_the_weighed_gradients_and_each_head_its_own(
    method: str,
    on: str,
    tiny_model: MultiTaskModel,
    objectives: dict[str, Objective],
    compute: Compute,
    applied: list[dict[str, Tensor]],
) -> None:
    (step,) = balanced(tiny_model, objectives, method, on, PIECES[:1], compute)
    losses = losses_of(tiny_model, objectives)(PIECES[0])
    each = {name: gradients_of(tiny_model, loss) for name, loss in losses.items()}
    expected = torch.stack([step.weights[name] * backbone(each[name]) for name in each]).sum(0)
    torch.testing.assert_close(backbone(applied[0]), expected, atol=1e-6, rtol=1e-4)
    heads = {name: one for task in each for name, one in each[task].items() if name.startswith("heads.")}
    assert heads.keys() == {name for name in applied[0] if name.startswith("heads.")}
    for name, one in heads.items():
        torch.testing.assert_close(applied[0][name], one, atol=1e-6, rtol=1e-4)


def test_the_map_is_an_affine_one_at_the_identity() -> None:
    torch.manual_seed(0)
    vectors, target = torch.randn(5, 4), torch.randn(5, 4)
    matrix, shift = torch.eye(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    expected = torch.autograd.grad(((vectors @ matrix + shift) * target).exp().sum(), [matrix, shift])
    leaf = vectors.clone().requires_grad_()
    (at_vectors,) = torch.autograd.grad((leaf * target).exp().sum(), leaf)
    torch.testing.assert_close(gradient_of_map(vectors, at_vectors), torch.cat([one.flatten() for one in expected]))


def test_over_several_pieces_the_gradients_of_the_weights_are_balanced_together(
    tiny_model: MultiTaskModel, objectives: dict[str, Objective], compute: Compute, applied: list[dict[str, Tensor]]
) -> None:
    losses = losses_of(tiny_model, objectives)
    pieces: list[MicroBatch] = [*PIECES[:2], {"topic": np.array([30, 31])}]
    (step,) = train_steps(
        tiny_model, pieces, losses, LearningRate(0.0, 1), weight_decay=0.0, clip=0.0, compute=compute,
        balance=make_balance(BalanceChoice("torchjd:mgda"), BalanceContext(tiny_model, list(objectives), on="parameters")),
        takes=[3], names_of=list,
    )  # fmt: skip
    found = [losses(piece) for piece in pieces]
    means = {name: torch.stack([one[name] for one in found if name in one]).mean() for name in objectives}
    each = {name: backbone(gradients_of(tiny_model, loss)) for name, loss in means.items()}
    products = torch.stack([torch.stack([one @ other for other in each.values()]) for one in each.values()])
    assert step.weights == pytest.approx(GradientWeighting("torchjd:mgda")(products, list(each)), rel=1e-4)
    expected = torch.stack([step.weights[name] * one for name, one in each.items()]).sum(0)
    torch.testing.assert_close(backbone(applied[0]), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("on", ["vectors", "parameters"])
def test_a_guard_is_added_beside_the_balanced_tasks(
    on: Any, tiny_model: MultiTaskModel, objectives: dict[str, Objective], compute: Compute, applied: list[dict[str, Tensor]]
) -> None:
    """One guard pulls at the weights, the other at the vectors, as `lwf` does."""
    plain = losses_of(tiny_model, objectives)
    weight = tiny_model.backbone.norm.weight
    pull = AnchorPenalty({"norm": weight}, 3.0)
    pull.anchors["norm"] += 1.0

    def losses(piece: MicroBatch) -> Losses:
        found = plain(piece)
        guards = {"guard:l2sp": pull.loss(), "guard:lwf": found.vectors["topic"].square().sum()}
        return Losses({**found, **guards}, found.vectors)

    (step,) = train_steps(
        tiny_model, PIECES[:1], losses, LearningRate(0.0, 1), weight_decay=0.0, clip=0.0, compute=compute,
        balance=make_balance(BalanceChoice("torchjd:mgda"), BalanceContext(tiny_model, list(objectives), on=on)),
    )  # fmt: skip
    terms = losses(PIECES[0])
    total = torch.stack([step.weights.get(name, 1.0) * loss for name, loss in terms.items()]).sum()
    torch.testing.assert_close(backbone(applied[0]), backbone(gradients_of(tiny_model, total)), atol=1e-5, rtol=1e-4)
    assert step.weights.keys() == objectives.keys()


@pytest.mark.parametrize("on", ["vectors", "parameters"])
def test_while_the_backbone_is_frozen_the_heads_train_as_they_would(
    on: Any, tiny_model: MultiTaskModel, objectives: dict[str, Objective], compute: Compute, applied: list[dict[str, Tensor]]
) -> None:
    tiny_model.backbone.requires_grad_(False)
    (step,) = balanced(tiny_model, objectives, "torchjd:mgda", on, PIECES[:1], compute)
    assert step.weights == {"topic": 1.0, "stars": 1.0}
    total = torch.stack(list(losses_of(tiny_model, objectives)(PIECES[0]).values())).sum()
    heads = list(tiny_model.heads.named_parameters(prefix="heads"))
    each = torch.autograd.grad(total, [one for _, one in heads], allow_unused=True)
    expected = {name: one for (name, _), one in zip(heads, each, strict=True) if one is not None}
    assert applied[0].keys() == expected.keys()
    for name, one in expected.items():
        torch.testing.assert_close(applied[0][name], one)


def test_a_task_that_is_alone_in_a_step_is_not_weighed(
    tiny_model: MultiTaskModel, objectives: dict[str, Objective], compute: Compute
) -> None:
    for on in ("vectors", "parameters"):
        steps = balanced(tiny_model, objectives, "torchjd:imtlg", on, [{"topic": np.array([1, 2])}], compute)
        assert [step.weights for step in steps] == [{"topic": 1.0}]


@pytest.mark.parametrize("on", ["vectors", "parameters"])
def test_a_gradient_that_is_not_finite_skips_the_step(
    on: Any, tiny_model: MultiTaskModel, objectives: dict[str, Objective], compute: Compute
) -> None:  # fault 17
    plain = losses_of(tiny_model, objectives)

    def losses(piece: MicroBatch) -> Losses:
        """A root has an infinite slope at 0, where its value is finite."""
        found = plain(piece)
        vectors = found.vectors["topic"]
        return Losses({**found, "topic": (vectors - vectors.detach()).abs().sqrt().sum()}, found.vectors)

    (step,) = train_steps(
        tiny_model, PIECES[:1], losses, LearningRate(1e-3, 1), weight_decay=0.0, clip=1.0, compute=compute,
        balance=make_balance(BalanceChoice("torchjd:mgda"), BalanceContext(tiny_model, list(objectives), on=on)),
    )  # fmt: skip
    assert step.skipped
    assert step.weights == {}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "products",
    [[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]], [[1.0, -10.0], [-10.0, 100.0]]],
    ids=["none", "one of nothing", "the same", "opposed"],
)
def test_degenerate_gradients_still_give_weights(method: str, products: list[list[float]]) -> None:
    weights = GradientWeighting(method)(torch.tensor(products, dtype=torch.float64), ["a", "b"])
    assert np.isfinite(list(weights.values())).all()


@pytest.mark.parametrize("method", [if_installed(name) for name in TORCHJD if name != "torchjd:fairgrad"])
def test_the_size_of_all_gradients_together_does_not_matter(method: str) -> None:
    """TorchJD takes a norm below 0.01 for none, which fine-tuning often has."""
    products = torch.tensor([[1.0, -0.4], [-0.4, 3.0]], dtype=torch.float64)
    large, small = GradientWeighting(method)(products, ["a", "b"]), GradientWeighting(method)(products * 1e-10, ["a", "b"])
    assert small == pytest.approx(large, rel=1e-6)


def test_pcgrad_by_hand() -> None:
    """g_a = (1, 0), g_b = (-1, 2): each loses its part along the other, a / 5 * b and -1 * a."""
    weights = GradientWeighting("torchjd:pcgrad")(torch.tensor([[1.0, -1.0], [-1.0, 5.0]], dtype=torch.float64), ["a", "b"])
    assert weights == pytest.approx({"a": 2.0, "b": 1.2})


def test_mgda_by_hand() -> None:
    """The shortest vector between g_a = (1, 0) and g_b = (0, 2): 4 / 5 and 1 / 5."""
    weights = GradientWeighting("torchjd:mgda")(torch.tensor([[1.0, 0.0], [0.0, 4.0]], dtype=torch.float64), ["a", "b"])
    assert weights == pytest.approx({"a": 0.8, "b": 0.2})


def test_three_tasks_of_every_kind(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute) -> None:
    pieces: list[MicroBatch] = [{name: np.array([row, row + 1]) for name in tasks} for row in range(3)]
    for on in ("vectors", "parameters"):
        found = balanced(tiny_model, dict(head_objectives(tiny_model, tasks)), "torchjd:mgda", on, pieces, compute)
        assert all(step.weights.keys() == tasks.keys() and not step.skipped for step in found)


@pytest.mark.parametrize("on", ["vectors", "parameters"])
def test_half_precision_is_balanced_in_single(
    on: Any, tiny_model: MultiTaskModel, objectives: dict[str, Objective], applied: list[dict[str, Tensor]]
) -> None:
    (step,) = balanced(tiny_model, objectives, "torchjd:alignedmtl", on, PIECES[:1], Compute(torch.device("cpu"), "bf16"))
    assert not step.skipped
    assert {one.dtype for one in applied[0].values()} == {torch.float32}
    assert all(weight > 0 for weight in step.weights.values())
