from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from support import losses_of, train_steps
from torch import Tensor
from torchjd import scalarization
from torchjd_methods import if_installed

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.registries.balancing import BalanceChoice, parse_balance
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import draw_from
from mtlkit.training.balancing.loss_methods import DWA, FAMO, UncertaintyWeighting, normalized
from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.balancing.methods.base import BalanceContext
from mtlkit.training.balancing.registry import make_balance
from mtlkit.training.loop import Step
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.sampling.mixture import MicroBatch

TWO = {"a": torch.tensor(1.0), "b": torch.tensor(4.0)}
STEADY = LearningRate(1e-3, 10, warmup=0.0, floor=1.0)
JOINT: list[MicroBatch] = [
    {"topic": np.arange(first, first + 4), "tags": np.array([first]), "stars": np.array([first, first + 1])} for first in range(6)
]


def plain(weights: object) -> dict[str, float]:
    assert isinstance(weights, dict)
    return {name: float(weight) for name, weight in weights.items()}


def test_uncertainty_by_hand() -> None:
    """a is a cross-entropy, exp(-s) L + s / 2; b a squared error, exp(-s) / 2 L + s / 2."""
    balance = UncertaintyWeighting({"a": "classification", "b": "regression"})
    assert balance.weights(TWO) == {"a": 1.0, "b": 0.5}
    balance.learn({"a": 2.0, "b": 3.0}, {}, {})
    # Slopes 1/2 - 2 and 1/2 - 3/2: Adam's first step is its rate, 0.01, against their sign, so s = 0.01 and exp(-s) = 0.990050.
    assert balance.weights(TWO) == pytest.approx({"a": 0.990050, "b": 0.495025}, abs=1e-6)
    balance.learn({"a": 2.0}, {}, {})
    # Slope 1/2 - 1.980100: means of slopes 0.283010 / 0.19 and of squares 0.00443844 / 0.001999, so 0.01 * 1.489526 / 1.490078.
    assert balance.learned["a"].value == pytest.approx(0.01 + 0.00999630, abs=1e-7)
    assert balance.learned["b"].value == pytest.approx(0.01)  # a step without b leaves it alone


@pytest.mark.parametrize("kind", ["classification", "multi-label", "regression"])
def test_uncertainty_of_a_steady_loss_ends_at_half_its_reciprocal(kind: str) -> None:
    balance = UncertaintyWeighting({"a": kind})  # type: ignore[dict-item]
    for _ in range(2000):
        balance.learn({"a": 4.0}, {}, {})
    assert plain(balance.weights({"a": TWO["a"]}))["a"] == pytest.approx(1 / 8, rel=1e-3)


def test_dwa_by_hand() -> None:
    balance = DWA()
    for a, b in ((3.0, 4.0), (1.0, 4.0)):
        assert balance.weights(TWO) == {"a": 1.0, "b": 1.0}
        balance.learn({"a": a, "b": 5.0}, {}, {})
        balance.learn({"a": 2.0 if a == 3.0 else 1.5}, {}, {})  # b is in one step alone, as under round-robin
        balance.learn({"b": b - 1}, {}, {})
        balance.end_epoch()
    # Means: a 2.5, then 1.25; b 4, then 4. Ratios 1/2 and 1, halved by T: 2 exp(.25) / (exp(.25) + exp(.5)) = 0.875647.
    assert balance.weights(TWO) == pytest.approx({"a": 0.875647, "b": 1.124353}, abs=1e-6)


def test_famo_by_hand() -> None:
    balance = FAMO("ab")
    # z = 1/2 each, z / L = .5 and .125, c = 1.6: weights .8 and .2.
    assert plain(balance.weights(TWO)) == pytest.approx({"a": 0.8, "b": 0.2})
    balance.learn({"a": 1.0, "b": 4.0}, {"a": 0.5, "b": 4.0}, {})
    # a fell by log 2, b not at all: slopes .5 (.693147 - .346574) = .173287 and -.173287; Adam's first step is its rate, .025.
    assert balance.learned["a"].value == pytest.approx(-0.025, rel=1e-6)
    assert balance.learned["b"].value == pytest.approx(0.025, rel=1e-6)
    assert balance.learned["a"].first == pytest.approx(0.0173287, rel=1e-5)
    # z = (.487503, .512497); z / L = .487503 and .128124, over their sum.
    assert plain(balance.weights(TWO)) == pytest.approx({"a": 0.791880, "b": 0.208120}, abs=1e-6)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_famo_learns_nothing_from_a_loss_that_is_not_finite(bad: float) -> None:
    balance = FAMO("ab")
    balance.learn({"a": 1.0, "b": 4.0}, {"a": bad, "b": 4.0}, {})
    assert plain(balance.weights(TWO)) == pytest.approx({"a": 0.8, "b": 0.2})


def test_famo_and_dwa_agree_with_torchjd() -> None:
    torch.manual_seed(0)
    ours, theirs = (FAMO("abc"), DWA()), (scalarization.FAMO(3).double(), scalarization.DWA())
    for step in range(20):
        before, after = torch.rand(2, 3, dtype=torch.float64) + 0.1
        losses = dict(zip("abc", before.tolist(), strict=True))
        for mine, other in zip(ours, theirs, strict=True):
            values = before.clone().requires_grad_()
            (expected,) = torch.autograd.grad(other(values), values)
            found = mine.weights(dict(zip("abc", before, strict=True)))
            assert list(plain(dict(found)).values()) == pytest.approx(expected.tolist(), rel=1e-5)
            mine.learn(losses, dict(zip("abc", after.tolist(), strict=True)), {})
        theirs[0].update(after)
        if step % 5 == 4:
            ours[1].end_epoch()
            theirs[1].step()


def test_normalized_is_in_units_of_knowing_nothing() -> None:
    four = TaskSpec("four", "classification", tuple("abcd"))
    assert normalized(four) * math.log(4) == pytest.approx(1.0)
    assert normalized(TaskSpec("tags", "multi-label", tuple("abc"))) * math.log(2) == pytest.approx(1.0)
    assert normalized(TaskSpec("stars", "regression", (), spread=7.0)) == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum", {"topic": 1.0, "tags": 1.0, "stars": 1.0}),
        ("mean", {"topic": 1 / 3, "tags": 1 / 3, "stars": 1 / 3}),
        ("normalized", {"topic": 1 / math.log(2), "tags": 1 / math.log(2), "stars": 1.0}),
        ("weights:stars=0.25", {"topic": 1.0, "tags": 1.0, "stars": 0.25}),
        ("uncertainty", {"topic": 1.0, "tags": 1.0, "stars": 0.5}),
        ("dwa", {"topic": 1.0, "tags": 1.0, "stars": 1.0}),
    ],
)
def test_the_first_step_has_the_gradient_of_the_weighed_sum(
    text: str,
    expected: dict[str, float],
    tiny_model: MultiTaskModel,
    tasks: dict[str, TaskData],
    compute: Compute,
    applied: list[dict[str, Tensor]],
) -> None:
    losses = losses_of(tiny_model, head_objectives(tiny_model, tasks))
    total = torch.stack([expected[name] * loss for name, loss in losses(JOINT[0]).items()]).sum()
    gradients = torch.autograd.grad(total, list(tiny_model.parameters()))
    choice = parse_balance(text, tasks)
    balance = make_balance(choice, BalanceContext(tiny_model, list(tasks), choice.weights))
    (step,) = train_steps(tiny_model, JOINT[:1], losses, STEADY, weight_decay=0.0, clip=0.0, compute=compute, balance=balance)
    assert step.weights == pytest.approx(expected)
    assert balance.shown() == pytest.approx(expected)
    for (name, _), gradient in zip(tiny_model.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(applied[0][name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_famo_compares_the_same_texts_with_the_same_dropout(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    """With a rate of 0 the losses do not change either, and the random numbers of training are not disturbed."""
    for module in tiny_model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.3
    tiny_model.train()
    losses = losses_of(tiny_model, head_objectives(tiny_model, tasks))
    balance, found = FAMO(tasks), {}
    for one in (balance, LossWeighting()):
        draw_from(torch.Generator().manual_seed(3), tiny_model)
        still = LearningRate(0.0, 10)
        steps = train_steps(tiny_model, JOINT[:3], losses, still, weight_decay=0.0, clip=0.0, compute=compute, balance=one)
        found[one] = [step.losses for step in steps]
    assert {one.value for one in balance.learned.values()} == {0.0}
    first, second = found.values()
    assert first == second


def test_famo_favours_what_falls_slowly() -> None:
    """Two losses, one a hundred times harder to move: its weight rises against that of the other."""
    place = torch.nn.Parameter(torch.zeros(1, 2))
    model = torch.nn.Module()
    model.place = place

    def losses(_: int) -> dict[str, Tensor]:
        return {"fast": (place[0, 0] - 1).square() + 0.1, "slow": (place[0, 1] - 100).square() / 1e4 + 0.1}

    balance = FAMO(["fast", "slow"])
    compute = Compute(torch.device("cpu"), "fp32")
    list(
        train_steps(
            model, range(20), losses, LearningRate(0.01, 20), weight_decay=0.0, clip=0.0, compute=compute, balance=balance
        )
    )
    assert balance.learned["slow"].value > 0 > balance.learned["fast"].value


@pytest.mark.parametrize("name", ["sum", "uncertainty", "dwa", "famo", "torchjd:pcgrad", if_installed("torchjd:nashmtl")])
def test_balance_resumes_from_its_state(
    name: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    losses = losses_of(tiny_model, head_objectives(tiny_model, tasks))

    def go(balance: LossWeighting, pieces: list[MicroBatch]) -> list[Step[MicroBatch]]:
        rate = LearningRate(0.0, 10)  # the model stays, so that what differs is the balance's
        torch.manual_seed(len(pieces))  # PCGrad projects in random order
        return list(train_steps(tiny_model, pieces, losses, rate, weight_decay=0.0, clip=0.0, compute=compute, balance=balance))

    def fresh() -> LossWeighting:
        return make_balance(BalanceChoice(name), BalanceContext(tiny_model, list(tasks)))

    whole, first, second = fresh(), fresh(), fresh()
    go(whole, JOINT[:2])
    whole.end_epoch()
    go(first, JOINT[:2])
    first.end_epoch()
    go(whole, JOINT[2:4])
    go(first, JOINT[2:4])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [step.weights for step in go(second, JOINT[4:])] == [step.weights for step in go(whole, JOINT[4:])]
    assert second.shown() == whole.shown()
    assert second.state_dict() == whole.state_dict()


def test_guards_are_added_as_they_are(applied: list[dict[str, Tensor]], tiny_model: MultiTaskModel, compute: Compute) -> None:
    weight = tiny_model.backbone.norm.weight
    losses = {"topic": 3.0 * weight[0], "guard:l2sp": 5.0 * weight[1]}
    balance = LossWeighting({"topic": 0.5})
    (step,) = train_steps(tiny_model, [0], lambda _: losses, STEADY, weight_decay=0.0, clip=0.0, compute=compute, balance=balance)
    assert applied[0]["backbone.norm.weight"][:2].tolist() == [1.5, 5.0]
    assert step.weights == {"topic": 0.5}
    assert list(step.losses) == ["topic", "guard:l2sp"]


def test_a_skipped_step_teaches_nothing(compute: Compute) -> None:
    place = torch.nn.Parameter(torch.ones(1, 1))
    model = torch.nn.Module()
    model.place = place

    def losses(piece: int) -> dict[str, Tensor]:
        """A root has an infinite slope at 0, where its value is finite."""
        return {"a": (place - place.detach() * piece).sqrt().sum() + 1}

    balance = UncertaintyWeighting({"a": "classification"})
    steps = list(train_steps(model, [1, 0], losses, STEADY, weight_decay=0.0, clip=0.0, compute=compute, balance=balance))
    assert [step.skipped for step in steps] == [True, False]
    assert steps[0].weights == {}
    assert balance.learned["a"].steps == 1
