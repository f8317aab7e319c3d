"""Training in two phases: choosing an epoch on held-out rows, then from the same start on all rows."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from cutting import Keeper, assert_same_weights
from support import freezing_of, notes

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import draw_from
from mtlkit.runs.record import BEFORE_REFIT
from mtlkit.training.events import Chosen, Epoch, Event
from mtlkit.training.head_incidents import ScopeFitted
from mtlkit.training.incidents import Refitted
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.phases import joined
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.refit.trainer import REFIT, RefitTrainer
from mtlkit.training.trainer import Trainer

OPTIONS: dict[str, Any] = {"epochs": 3, "batch_tokens": 512, "learning_rate": 3e-3, "head_rate": 10.0, "min_steps": 0}


@pytest.fixture
def held_out(tasks: dict[str, TaskData]) -> dict[str, TaskData]:
    """`topic` with held-out rows, `tags` with a validation split of its own."""
    return {"topic": replace(tasks["topic"], held_out=True), "tags": tasks["tags"]}


def plan_of(model: MultiTaskModel, compute: Compute, **options: Any) -> TrainPlan:
    settings = TrainMtlOptions(refit=True, **{**OPTIONS, **options})
    return TrainPlan(options=settings, compute=compute, freezing=freezing_of(model, ()))


def refit(model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute, **options: Any) -> RefitTrainer:
    draw_from(torch.Generator().manual_seed(0), model)
    return RefitTrainer(plan_of(model, compute, **options), model, TrainData(head_objectives(model, tasks)))


def last_of(events: list[Event], kind: type[Any]) -> Any:
    return [event for event in events if isinstance(event, kind)][-1]


def test_the_second_phase_is_a_training_on_all_rows_that_stops_at_the_chosen_epoch(
    tiny_model: MultiTaskModel, held_out: dict[str, TaskData], compute: Compute
) -> None:
    plain = deepcopy(tiny_model)
    trainer = refit(tiny_model, held_out, compute)
    events = list(trainer.events(io.StringIO()))
    chosen, refitted = last_of(events, Chosen).epoch, last_of(events, Refitted)
    rows = len(held_out["topic"].train) + len(held_out["topic"].validation)
    assert (refitted.rows, refitted.given_back) == ({"topic": rows}, {"topic": len(held_out["topic"].validation)})
    assert refitted.epoch == chosen.epoch
    # the same as training on all rows from the start, with the learning rates of three epochs
    topic = held_out["topic"]
    everything = {**held_out, "topic": replace(topic, train=joined(topic.train, topic.validation))}
    draw_from(torch.Generator().manual_seed(0), plain)
    whole, log = Trainer(plan_of(plain, compute), plain, TrainData(head_objectives(plain, everything))), io.StringIO()
    keeper = Keeper(log)
    list(whole.events(log, keeper))
    expected = keeper.states[refitted.steps]
    weights = {f"updater:weights:{name}": weight for name, weight in tiny_model.named_parameters()}
    for name, weight in weights.items():
        if name in expected.tensors:
            assert torch.equal(weight, expected.tensors[name]), name


def test_scores_are_those_of_rows_that_were_not_trained_on(
    tiny_model: MultiTaskModel, held_out: dict[str, TaskData], compute: Compute
) -> None:
    log = io.StringIO()
    events = list(refit(tiny_model, held_out, compute).events(log))
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert [epoch.epoch for epoch in epochs[:3]] == [1, 2, 3]
    chosen = last_of(events, Chosen).epoch
    first = next(epoch for epoch in epochs[:3] if epoch.epoch == chosen.epoch)
    topic, tags = chosen.tasks
    assert topic.validation == {**first.tasks[0].validation, BEFORE_REFIT: True}
    assert tags.validation == epochs[-1].tasks[1].validation  # of the model as it is now
    assert tiny_model.tasks["topic"].calibration is not None
    assert {event.task for event in events if isinstance(event, ScopeFitted)} == {"topic"}
    assert "trained again on all rows: topic" in notes(events)
    steps = [record["step"] for record in map(json.loads, log.getvalue().splitlines()) if record["type"] == "step"]
    assert steps == list(range(1, len(steps) + 1))


def test_it_resumes_in_either_phase_and_ends_in_the_same_bits(
    tiny_model: MultiTaskModel, held_out: dict[str, TaskData], compute: Compute
) -> None:
    start, log = deepcopy(tiny_model), io.StringIO()
    options = {"epochs": 2, "eval_every": 2, "router": True}
    keeper = Keeper(log)
    events = list(refit(tiny_model, held_out, compute, **options).events(log, keeper))
    end = tiny_model.state_dict()
    second = [step for step, state in keeper.states.items() if REFIT in state.plain]
    assert 1 < min(second) < max(second)
    for step in (1, min(second) - 1, min(second), max(second) - 1):
        again = deepcopy(start)
        resumed = refit(again, held_out, compute, **options)
        resumed.resume(keeper.states[step])
        same = list(resumed.events(io.StringIO()))
        assert_same_weights(again.state_dict(), end)
        assert last_of(same, Chosen) == last_of(events, Chosen)
        assert again.tasks["topic"] == tiny_model.tasks["topic"]
