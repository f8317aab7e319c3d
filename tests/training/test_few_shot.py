"""Training in two phases: contrast of all tasks, then heads on the frozen backbone."""

from __future__ import annotations

import io
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from support import freezing_of, notes

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import draw_from
from mtlkit.training.events import Chosen, Epoch, Event, Parts
from mtlkit.training.few_shot import EPOCHS, FewShotTrainer
from mtlkit.training.head_incidents import HeadSolved
from mtlkit.training.incidents import RowsSeen
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.solver.trainer import is_solver_state
from mtlkit.training.state_dict import StateDict


class States:
    """A saver that keeps every state, by step."""

    def __init__(self) -> None:
        self.states: dict[int, StateDict] = {}

    def after(self, step: int, state: Callable[[], StateDict]) -> None:
        self.states.setdefault(step, deepcopy(state()))

    def save(self, step: int, state: StateDict) -> None:
        raise AssertionError("nothing asks for it")

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        pass


@pytest.fixture
def classes(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> dict[str, TaskData]:
    """The tasks with classes, with linear heads that are in the model."""
    found = {name: task for name, task in tasks.items() if task.spec.kind != "regression"}
    linear = {name: replace(task, spec=replace(task.spec, head="linear")) for name, task in found.items()}
    for task in linear.values():
        tiny_model.add_task(task.spec)
    return linear


def trainer(
    model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute, frozen: tuple[str, ...] = (), **options: Any
) -> FewShotTrainer:
    draw_from(torch.Generator().manual_seed(0), model)
    plan = TrainPlan(options=TrainMtlOptions(few_shot=True, **options), compute=compute, freezing=freezing_of(model, frozen))
    return FewShotTrainer(plan, model, TrainData(head_objectives(model, tasks)))


def run(few_shot: FewShotTrainer, saver: States | None = None) -> list[Event]:
    return list(few_shot.events(io.StringIO(), saver))


def test_the_backbone_moves_first_and_stays_while_heads_are_solved(
    tiny_model: MultiTaskModel, classes: dict[str, TaskData], compute: Compute
) -> None:
    few_shot = trainer(tiny_model, classes, compute, ("embeddings",))
    before = deepcopy(tiny_model.state_dict())
    events = run(few_shot)
    after = tiny_model.state_dict()
    moved = {name.partition(".")[2].partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert "tokens" not in moved
    assert {"blocks", *classes} <= moved
    solved = next(place for place, event in enumerate(events) if isinstance(event, HeadSolved))
    first, second = events[:solved], events[solved:]
    assert [event.epoch for event in first if isinstance(event, Epoch)] == list(range(1, EPOCHS + 1))
    seen = next(event for event in first if isinstance(event, RowsSeen))
    assert set(seen.tasks) == set(classes)
    final = [event for event in second if isinstance(event, Parts)][-1]
    assert {part.name for part in final.parts if part.after} == {"backbone", "head:stars"}
    (chosen,) = [event for event in events if isinstance(event, Chosen)]
    assert [state.task for state in chosen.epoch.tasks] == list(classes)
    assert "phase 1 of 2" in notes(events)
    assert "phase 2 of 2" in notes(events)


def test_few_held_out_rows_are_trained_on_in_both_phases(
    tiny_model: MultiTaskModel, classes: dict[str, TaskData], compute: Compute
) -> None:
    held_out = {name: replace(task, held_out=True) for name, task in classes.items()}
    few_shot = trainer(tiny_model, held_out, compute, epochs=1)
    for name, task in classes.items():
        assert len(few_shot.objectives[name].train.lengths) == len(task.train) + len(task.validation)
    events = run(few_shot)
    epoch = next(event for event in events if isinstance(event, Epoch))
    assert all(state.validation["loss"] is None for state in epoch.tasks)  # they are no validation rows of the contrast
    assert all(event.held_out and not event.folds for event in events if isinstance(event, HeadSolved))
    assert "trains on all rows" in notes(events)
    (chosen,) = [event for event in events if isinstance(event, Chosen)]
    assert all(state.validation["trained_on"] for state in chosen.epoch.tasks)
    one = {name: replace(task, held_out=name == min(classes)) for name, task in classes.items()}
    (note,) = [note for note in trainer(tiny_model, one, compute)._advice() if "trains on all rows" in note.text]
    assert all(f"'{name}'" in note.text or name in note.text for name in classes)  # none of the heads is calibrated
    own_split = trainer(tiny_model, classes, compute)
    assert all(len(own_split.objectives[name].train.lengths) == len(task.train) for name, task in classes.items())


def test_it_resumes_in_either_phase_and_ends_in_the_same_bits(
    tiny_model: MultiTaskModel, classes: dict[str, TaskData], compute: Compute
) -> None:
    start, saver = deepcopy(tiny_model.state_dict()), States()
    run(trainer(tiny_model, classes, compute, epochs=2), saver)
    end = deepcopy(tiny_model.state_dict())
    steps = sorted(saver.states)
    solving = [step for step in steps if is_solver_state(saver.states[step])]
    assert solving
    assert 0 < min(solving) < max(steps) + 1
    for step in (1, min(solving) - 1, *solving):
        tiny_model.load_state_dict(start)
        resumed = trainer(tiny_model, classes, compute, epochs=2)
        resumed.resume(saver.states[step])
        run(resumed)
        assert all(torch.equal(weight, end[name]) for name, weight in tiny_model.state_dict().items())


def test_numbers_and_hidden_layers_are_refused(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute) -> None:
    stars = next(task for task in tasks.values() if task.spec.kind == "regression")
    linear = replace(stars, spec=replace(stars.spec, head="linear"))
    with pytest.raises(UsageError, match=r"--few-shot compares texts by their classes.*regression"):
        trainer(tiny_model, {linear.name: linear}, compute)
    hidden = replace(stars, spec=replace(stars.spec, head="mlp:8"))
    with pytest.raises(UsageError, match=r"--few-shot solves linear heads.*hidden layers"):
        trainer(tiny_model, {hidden.name: hidden}, compute)
