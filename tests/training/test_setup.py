from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.errors import DivergedError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, evaluate
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Progress, TaskState
from mtlkit.training.freezing.apply import digest
from mtlkit.training.incidents import StepSkipped, TrainingStopped
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers

Run = Callable[..., Any]
CPU = Compute(torch.device("cpu"), "fp32")
SCHEDULES: list[str] = ["round-robin", "joint"]


def with_wrong_validation(task: TaskData) -> TaskData:
    """Validation rows whose labels contradict training, so that the first epoch is the best."""
    return replace(task, validation=replace(task.validation, labels=1 - task.validation.labels))


def evaluated(model: MultiTaskModel, task: TaskData) -> dict[str, Any]:
    return evaluate(model.eval(), task.name, task.validation, encode_all(model, task.validation.encoded, CPU))


def test_training_learns_every_kind_of_task(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, tasks, schedule="joint", epochs=10, head_rate=4.0, batch_tokens=120)
    first, last = done.epochs[0], done.epochs[-1]
    for before, after in zip(first.tasks, last.tasks, strict=True):
        assert before.train_loss is not None
        assert after.train_loss is not None
        assert after.train_loss < 0.7 * before.train_loss, after.task
    assert last.tasks[0].validation["accuracy"] > 0.75


def test_the_best_weights_are_the_ones_kept(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    topic = with_wrong_validation(tasks["topic"])
    done = run(tiny_model, {"topic": topic}, epochs=6, learning_rate=5e-3)
    epochs = done.epochs
    best = [epoch for epoch in epochs if epoch.best][-1]
    assert best.epoch < len(epochs) == 6
    assert best.score == max(epoch.score for epoch in epochs)
    kept = deepcopy(tiny_model.state_dict())
    assert all(torch.equal(kept[name], weight) for name, weight in done.snapshots[best.epoch - 1].items())
    assert not all(torch.equal(kept[name], weight) for name, weight in done.snapshots[-1].items())
    assert not tiny_model.training
    (state,) = best.tasks
    assert evaluated(tiny_model, topic)["loss"] == pytest.approx(state.validation["loss"], abs=1e-6)


def test_loss_decides_between_equal_scores(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    epochs = run(tiny_model, {"topic": tasks["topic"]}, epochs=12, learning_rate=5e-3).epochs
    top = [epoch for epoch in epochs if epoch.score == 1]
    assert len(top) > 1  # once it is learned, every row is right in most epochs, whatever dropout draws
    best = [epoch for epoch in epochs if epoch.best][-1]
    assert best not in (top[0], *(epoch for epoch in epochs if epoch.score < 1))
    assert best == min(top, key=lambda epoch: epoch.tasks[0].validation["loss"])


def test_patience_stops_the_training(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    topic = {"topic": with_wrong_validation(tasks["topic"])}
    done = run(tiny_model, topic, epochs=20, learning_rate=5e-3, patience=2)
    epochs = done.epochs
    best = [epoch for epoch in epochs if epoch.best][-1]
    assert len(epochs) == best.epoch + 2 < 20
    assert TrainingStopped("patience", 2) in done.events


def test_without_patience_every_epoch_is_trained(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, {"topic": with_wrong_validation(tasks["topic"])}, epochs=6, learning_rate=5e-3, patience=0)
    assert [epoch.epoch for epoch in done.epochs] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_an_epoch_reports_batches_and_the_mean_loss_of_its_texts(
    schedule: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    for module in tiny_model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    start = deepcopy(tiny_model.state_dict())
    expected = {}
    for name, task in tasks.items():
        vectors = encode_all(tiny_model, task.train.encoded, CPU)
        expected[name] = evaluate(tiny_model, name, task.train, vectors)["loss"]
    done = run(tiny_model, tasks, schedule=schedule, epochs=2, learning_rate=0.0, weight_decay=0.0)
    for name, weight in tiny_model.state_dict().items():
        assert torch.equal(weight, start[name])  # a rate of zero: the losses are those of the start
    lengths = {name: task.train.encoded.lengths for name, task in tasks.items()}
    budget = TaskMixture(make_samplers(lengths, 240, 0), schedule)
    for epoch in done.epochs:
        states: dict[str, TaskState] = {state.task: state for state in epoch.tasks}
        assert {state.batches for state in states.values()} == {state.planned for state in states.values()} == {budget.rounds}
        assert states["topic"].train_loss == pytest.approx(expected["topic"], rel=1e-4)  # every text once
    steps = [event for event in done.events if isinstance(event, Progress)]
    assert [step.step for step in steps] == list(range(1, 2 * budget.steps + 1))
    assert {step.steps for step in steps} == {2 * budget.steps}
    assert [step.epoch for step in steps] == [1] * budget.steps + [2] * budget.steps
    assert [line["step"] for line in done.log if line["type"] == "step"] == [step.step for step in steps]


def test_training_is_a_function_of_the_seed(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    start = deepcopy(tiny_model.state_dict())
    found = []
    for seed in (1, 1, 2):
        tiny_model.load_state_dict(start)
        run(tiny_model, tasks, epochs=1, seed=seed)
        found.append(digest(tiny_model.state_dict()))
    assert found[0] == found[1] != found[2]


def test_a_loss_that_is_not_a_number_names_the_task_and_its_rows(  # fault 16
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    before = deepcopy(tiny_model.state_dict())
    with torch.no_grad():
        for weight in tiny_model.head("topic").parameters():
            weight.fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"loss of 'topic' is nan at step 1 \(rows \d+(, \d+)* of 'topic'\)") as caught:
        run(tiny_model, tasks)
    assert caught.value.exit_code == 5
    after = deepcopy(tiny_model.state_dict())
    assert all(torch.equal(after[name], weight) for name, weight in before.items() if not name.startswith("heads.topic"))


def test_skipped_step_is_reported_and_training_continues(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:  # fault 17
    calls: list[int] = []

    def spoil(gradient: Tensor) -> Tensor:
        calls.append(len(calls))
        return torch.full_like(gradient, float("inf")) if len(calls) == 3 else gradient

    tiny_model.backbone.positions.weight.register_hook(spoil)
    done = run(tiny_model, {"topic": tasks["topic"]})
    warnings = [event for event in done.events if isinstance(event, StepSkipped)]
    assert warnings == [StepSkipped(3, None, 1)]
    assert len(calls) == len([line for line in done.log if line["type"] == "step"]) > 3
    assert all(torch.isfinite(weight).all() for weight in tiny_model.parameters())
