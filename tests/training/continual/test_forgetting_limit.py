"""A bound on forgetting: `--max-forgetting`."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from cutting import as_saved, assert_same_weights
from support import notes
from torch import Tensor

from mtlkit.config.registries.schedules import EpochLength
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.continual.forgetting_limit import ForgettingLimit
from mtlkit.training.events import Epoch
from mtlkit.training.incidents import LimitExceeded
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.validation.evaluator import Evaluator

Run = Callable[..., Any]


LEARNED: dict[str, Tensor] = {}  # trained by the first test that needs it


@pytest.fixture
def learned(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> MultiTaskModel:
    """A model that has learned `topic`, in evaluation mode."""
    if not LEARNED:
        run(tiny_model, {"topic": tasks["topic"]}, epochs=8, head_rate=4.0)
        LEARNED.update(deepcopy(tiny_model.state_dict()))
    tiny_model.load_state_dict(LEARNED)
    return tiny_model


def bound(model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute, points: float) -> ForgettingLimit:
    watched = head_objectives(model, {"topic": tasks["topic"]})
    frozen_params = frozenset(name for name, _ in model.named_parameters() if name.startswith("heads.topic"))
    return ForgettingLimit(model, watched, points, 10, frozen_params, Evaluator(model, watched, compute, False))


def test_limit_is_checked_several_times_per_epoch_and_at_its_end(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    made = bound(tiny_model, tasks, compute, 1.0)
    assert [place for place in range(10) if made.due(place)] == [0, 3, 6, 9]


def test_only_weights_within_the_limit_are_kept(learned: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute) -> None:
    made = bound(learned, tasks, compute, 5.0)
    with torch.no_grad():
        learned.backbone.norm.bias += 1e-4  # too little to change an answer
    made.evaluator.moved()
    assert made.check(3) is None
    kept = deepcopy(learned.state_dict())
    with torch.no_grad():
        for weight in learned.backbone.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    made.evaluator.moved()
    exceeded = made.check(6)
    assert exceeded
    assert (exceeded.task, exceeded.allowed, exceeded.kept) == ("topic", 5.0, 3)
    assert exceeded.points > 5
    assert made.step == 3
    assert all(torch.equal(weight, kept[name]) for name, weight in made.kept.items())
    assert "heads.topic.layers.1.weight" not in made.kept


def test_training_stops_and_keeps_the_last_weights_within_the_limit(
    learned: MultiTaskModel, tasks: dict[str, TaskData], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {}
    check = ForgettingLimit.check

    def noted(self: ForgettingLimit, steps: int) -> LimitExceeded | None:
        held[steps] = deepcopy(learned.state_dict())
        return check(self, steps)

    monkeypatch.setattr(ForgettingLimit, "check", noted)
    terms = {"known": frozenset({"topic"}), "watched": frozenset({"topic"}), "max_forgetting": 4.0}
    done = run(learned, tasks, terms=terms, epochs=40, learning_rate=2e-3)
    (warned,) = [line for line in notes(done.events).splitlines() if "stopped" in line]
    assert warned.startswith("topic fell ")
    last = [event for event in done.events if isinstance(event, Epoch)][-1]
    assert last.best
    assert last.place.endswith(", within the limit")
    assert last.epoch < 40
    step = int(last.place.split()[1].rstrip(","))
    assert list(held)[-2] == step  # all but the last time it held
    expected = held[step]
    for name, weight in learned.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    before = next(state for state in done.epochs[0].tasks if state.task == "topic").validation["accuracy"]
    after = next(state for state in last.tasks if state.task == "topic").validation["accuracy"]
    assert after >= before - 0.04
    assert f"keeping the weights of step {step}, the last within the limit" in warned


def test_limit_that_is_never_exceeded_changes_nothing(learned: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    start = deepcopy(learned.state_dict())
    found = []
    for points in (None, 100.0):
        learned.load_state_dict(start)
        terms = {"known": frozenset({"topic"}), "watched": frozenset({"topic"}), "max_forgetting": points}
        run(learned, tasks, terms=terms, epochs=2)
        found.append(deepcopy(learned.state_dict()))
    assert all(torch.equal(found[0][name], found[1][name]) for name in start)


def test_initial_weights_are_kept_if_no_step_is_within_the_limit(
    learned: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    start = deepcopy(learned.state_dict())
    terms = {"known": frozenset({"topic"}), "watched": frozenset({"topic"}), "max_forgetting": 0.0}
    done = run(learned, tasks, terms=terms, epochs=9, learning_rate=0.1, warmup=0.0)
    assert "stopped, keeping the weights of the start, as no step was within the limit" in notes(done.events)
    assert all(torch.equal(weight, start[name]) for name, weight in learned.state_dict().items())


def test_state_restores_the_weights_within_the_limit(
    learned: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    made, again = bound(learned, tasks, compute, 100.0), bound(learned, tasks, compute, 100.0)
    places = {name: weight.data_ptr() for name, weight in again.kept.items()}
    with torch.no_grad():
        learned.backbone.norm.bias += 0.5
    made.evaluator.moved()
    assert made.check(7) is None
    again.load_state_dict(as_saved(made.state_dict()))
    assert (again.step, again.before) == (7, made.before)
    assert_same_weights(again.kept, made.kept)
    assert torch.equal(again.kept["backbone.norm.bias"], learned.backbone.norm.bias)
    assert {name: weight.data_ptr() for name, weight in again.kept.items()} == places


def test_limit_is_checked_before_every_evaluation(
    learned: MultiTaskModel, tasks: dict[str, TaskData], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the best of them might be beyond the bound."""
    asked = []
    monkeypatch.setattr(ForgettingLimit, "check", lambda _, steps: asked.append(steps))
    terms = {"known": frozenset({"topic"}), "watched": frozenset({"topic"}), "max_forgetting": 100.0}
    done = run(learned, tasks, terms=terms, epochs=1, eval_every=2, mixing={"epoch_by": EpochLength("steps", 12)})
    assert [epoch.step for epoch in done.epochs] == [0, 2, 4, 6, 8, 10, 12]
    assert asked == [2, 3, 4, 6, 8, 9, 10, 12]
