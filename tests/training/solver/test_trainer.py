"""Heads on a frozen backbone are solved one after another, and a resumed solver ends in the same bits."""

from __future__ import annotations

import io
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from support import freezing_of

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.engines.fast import fastest
from mtlkit.inference.scope.file import arrays_of
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Chosen, Event, Parts
from mtlkit.training.head_incidents import HeadSolved, ScopeFitted
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.solver.choice import choose_solver
from mtlkit.training.solver.trainer import HeadSolver, is_solver_state
from mtlkit.training.state_dict import StateDict


@pytest.fixture
def linear(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> dict[str, TaskData]:
    """The tasks, all with linear heads, which are in the model."""
    linear = {name: replace(task, spec=replace(task.spec, head="linear")) for name, task in tasks.items()}
    for task in linear.values():
        tiny_model.add_task(task.spec)
    return linear


class States:
    """A saver that keeps every state."""

    def __init__(self) -> None:
        self.states: list[StateDict] = []

    def after(self, step: int, state: Callable[[], StateDict]) -> None:
        self.states.append(deepcopy(state()))

    def save(self, step: int, state: StateDict) -> None:
        raise AssertionError("nothing asks for it")

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        pass


def plan_of(model: MultiTaskModel, compute: Compute, frozen: tuple[str, ...] = ("backbone",), **options: Any) -> TrainPlan:
    return TrainPlan(options=TrainMtlOptions(**options), compute=compute, freezing=freezing_of(model, frozen))


def solved(
    model: MultiTaskModel,
    tasks: dict[str, TaskData],
    compute: Compute,
    state: StateDict | None = None,
    saver: States | None = None,
) -> list[Event]:
    solver = HeadSolver(plan_of(model, compute), model, TrainData(head_objectives(model, tasks)))
    if state:
        solver.resume(state)
    return list(solver.events(io.StringIO(), saver))


def scopes_in(events: list[Event]) -> dict[str, ScopeFitted]:
    return {event.task: event for event in events if isinstance(event, ScopeFitted)}


def test_heads_are_solved_and_the_backbone_is_unchanged(
    tiny_model: MultiTaskModel, linear: dict[str, TaskData], compute: Compute
) -> None:
    before = deepcopy(tiny_model.state_dict())
    events = solved(tiny_model, linear, compute)
    heads = [event for event in events if isinstance(event, HeadSolved)]
    assert [head.task for head in heads] == list(linear)
    assert all(head.rows == len(linear[head.task].train) and head.held_out == 0 for head in heads)
    changed = {name for name, weight in tiny_model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {name for name in before if name.startswith("heads.")}
    final = [event for event in events if isinstance(event, Parts)][-1]
    assert {part.name for part in final.parts if part.after} == {"backbone"}
    assert all(part.after == part.before for part in final.parts)
    (chosen,) = [event for event in events if isinstance(event, Chosen)]
    assert [state.task for state in chosen.epoch.tasks] == list(linear)


def test_the_gradient_of_a_solved_head_is_its_penalty(
    tiny_model: MultiTaskModel, linear: dict[str, TaskData], compute: Compute
) -> None:
    """At the optimum of mean loss + l2 / 2 |W|^2, the gradient of the mean loss is -l2 W, and 0 for intercepts."""
    events = {event.task: event for event in solved(tiny_model, linear, compute) if isinstance(event, HeadSolved)}
    for name, task in linear.items():
        vectors = encode_all(fastest(tiny_model, compute), task.train.encoded, compute)
        layer = tiny_model.head(name).layers[-1]
        tiny_model.head(name).loss(tiny_model.head(name)(vectors), torch.from_numpy(task.train.labels)).backward()  # type: ignore[no-untyped-call]
        weight, slope, intercept = layer.weight, layer.weight.grad, layer.bias.grad
        assert isinstance(weight, torch.Tensor)
        assert isinstance(slope, torch.Tensor)
        assert isinstance(intercept, torch.Tensor)
        variance = float((vectors.double() - vectors.double().mean(0)).square().sum(1).mean())
        factor = {"multi-label": task.spec.outputs, "regression": 0.5}.get(task.spec.kind, 1.0)
        l2 = variance / (events[name].c * len(task.train))
        scale = float(weight.detach().abs().max()) * l2
        np.testing.assert_allclose(factor * slope.numpy(), -l2 * weight.detach().numpy(), atol=1e-2 * scale + 2e-6)
        np.testing.assert_allclose(intercept.numpy(), 0.0, atol=1e-5)


def test_rows_held_out_for_validation_are_trained_on_at_the_end(
    tiny_model: MultiTaskModel, linear: dict[str, TaskData], compute: Compute
) -> None:
    held_out = {name: replace(task, held_out=True) for name, task in linear.items()}
    events = solved(tiny_model, held_out, compute)
    for event in events:
        if isinstance(event, HeadSolved):
            assert event.held_out == len(linear[event.task].validation)
            assert event.rows == len(linear[event.task].train) + event.held_out
    (chosen,) = [event for event in events if isinstance(event, Chosen)]
    assert all(state.validation["cross_validated"] for state in chosen.epoch.tasks)


def test_a_resumed_solver_ends_in_the_same_bits(
    tiny_model: MultiTaskModel, linear: dict[str, TaskData], compute: Compute
) -> None:
    start, saver = deepcopy(tiny_model.state_dict()), States()
    scopes = scopes_in(solved(tiny_model, linear, compute, saver=saver))
    assert list(scopes) == ["topic"]  # the only one of which a text has exactly one class
    end, specs = deepcopy(tiny_model.state_dict()), tiny_model.tasks
    assert any(spec.calibration for spec in specs.values())
    assert len(saver.states) == len(linear) + 1
    for state in saver.states:
        assert is_solver_state(state)
        tiny_model.load_state_dict(start)
        for name, spec in specs.items():
            tiny_model.head(name).spec = spec.uncalibrated()
        events = solved(tiny_model, linear, compute, state)
        done = len(state.plain["solver"]["solved"])
        assert [event.task for event in events if isinstance(event, HeadSolved)] == list(linear)[done:]
        assert all(torch.equal(weight, end[name]) for name, weight in tiny_model.state_dict().items())
        assert tiny_model.tasks == specs
        again = scopes_in(events)["topic"].scope
        assert all(np.array_equal(getattr(again, name), array) for name, array in arrays_of(scopes["topic"].scope).items())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"patience": 2}, "--patience"),
        ({"balance": "famo"}, "--balance famo"),
        ({"eval_every": 5}, "--eval-every"),
        ({"keep_state": True}, "--keep-state"),
        ({"focal": 2.0}, "--focal"),
    ],
)
def test_what_needs_steps_trains_by_steps_and_says_why(
    options: dict[str, Any], reason: str, tiny_model: MultiTaskModel, linear: dict[str, TaskData], compute: Compute
) -> None:
    data = TrainData(head_objectives(tiny_model, linear))
    choice = choose_solver(plan_of(tiny_model, compute, **options), data)
    assert choice.name == "sgd"
    assert reason in choice.reason
    with pytest.raises(UsageError, match=reason):
        choose_solver(plan_of(tiny_model, compute, **options, solver="lbfgs"), data)


def test_the_solver_follows_from_what_is_frozen(
    tiny_model: MultiTaskModel, linear: dict[str, TaskData], compute: Compute
) -> None:
    data = TrainData(head_objectives(tiny_model, linear))
    assert choose_solver(plan_of(tiny_model, compute), data).name == "lbfgs"
    assert choose_solver(plan_of(tiny_model, compute, solver="sgd"), data).name == "sgd"
    assert "the backbone trains" in choose_solver(plan_of(tiny_model, compute, ("embeddings",)), data).reason
    assert choose_solver(plan_of(tiny_model, compute, ("backbone@until=epoch:1",)), data).name == "sgd"
