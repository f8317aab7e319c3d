"""Frozen weights stay unchanged, and training skips work for them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from support import freezing_of, losses_of, train_steps
from torch import Tensor, nn

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Parts
from mtlkit.training.freezing.apply import apply_freeze, digest, training_mode
from mtlkit.training.freezing.rules import prefix_of
from mtlkit.training.incidents import FeaturesCached
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers

Run = Callable[..., Any]
CPU = Compute(torch.device("cpu"), "fp32")
SCHEDULES: list[str] = ["round-robin", "joint"]


def without_dropout(model: MultiTaskModel) -> MultiTaskModel:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def named(model: MultiTaskModel, part: str) -> dict[str, Tensor]:
    """The weights of a part by their names in the model."""
    return {name: weight for name, weight in model.state_dict().items() if name.startswith(prefix_of(part))}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("frozen", [("backbone",), ("backbone", "head:tags")])
def test_the_cache_of_a_frozen_backbone_changes_nothing(
    schedule: str, frozen: tuple[str, ...], tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    start = deepcopy(without_dropout(tiny_model).state_dict())
    run(tiny_model, tasks, frozen, schedule, epochs=1, learning_rate=0.02)
    cached = deepcopy(tiny_model.state_dict())
    tiny_model.load_state_dict(start)
    mixed = {name: task for name, task in tasks.items() if f"head:{name}" not in frozen}
    mix = TaskMixture(make_samplers({name: task.train.encoded.lengths for name, task in mixed.items()}, 240, seed=0), schedule)
    weights = freezing_of(tiny_model, frozen).always
    apply_freeze(tiny_model, weights)
    training_mode(tiny_model, weights)
    losses = losses_of(tiny_model, head_objectives(tiny_model, mixed))
    for _ in train_steps(
        tiny_model, mix.work(1), losses, LearningRate(0.02, mix.steps), weight_decay=0.01, clip=1.0, compute=CPU
    ):
        pass
    for name, weight in deepcopy(tiny_model.state_dict()).items():
        torch.testing.assert_close(cached[name], weight, atol=1e-5, rtol=0)
        trained = name.startswith(tuple(f"heads.{task}." for task in mixed))
        assert trained == (not torch.equal(cached[name], start[name])), name


def test_frozen_backbone_runs_once_and_is_reported(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[int] = []
    embed = tiny_model.backbone.embed
    monkeypatch.setattr(tiny_model.backbone, "embed", lambda layout: tokens.append(len(layout.ids)) or embed(layout))
    monkeypatch.setattr("mtlkit.batch.MULTIPLE", 1)  # no idle tokens, which would be counted
    done = run(tiny_model, tasks, ["backbone"])
    parts = [part for task in tasks.values() for part in (task.train, task.validation)]
    assert sum(tokens) == sum(len(part.encoded.ids) for part in parts)
    texts = sum(len(part) for part in parts)
    assert [event.texts for event in done.events if isinstance(event, FeaturesCached)] == [texts]


def test_a_watched_task_is_evaluated_and_not_trained(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    head = digest(tiny_model.head("tags").state_dict())
    done = run(tiny_model, tasks, ["head:tags"])
    epochs = done.epochs
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2, 3]  # before, and after every epoch
    for epoch in epochs:
        states = {state.task: state for state in epoch.tasks}
        tags = states["tags"]
        assert (tags.watched, tags.train_loss, tags.batches, tags.planned) == (True, None, 0, 0)
        assert tags.validation.keys() >= {"loss", "accuracy", "macro_f1"}
        trained = [states["topic"], states["stars"]]
        assert not any(state.watched for state in trained)
        assert all((state.batches == state.planned > 0) == (epoch.epoch > 0) for state in trained)
        mean = np.mean([states["topic"].validation["accuracy"], states["stars"].validation["spearman"]])
        assert epoch.score == pytest.approx(mean)  # of what is trained; the watched task decides nothing
    assert len({epoch.tasks[1].validation["loss"] for epoch in epochs}) == 4  # the backbone below it moves
    assert digest(tiny_model.head("tags").state_dict()) == head
    assert all("tags" not in line["losses"] for line in done.log if "losses" in line)
    assert [line["epoch"] for line in done.log if line["type"] == "epoch"] == [0, 1, 2, 3]


def test_without_a_watched_task_nothing_is_evaluated_before_training(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    done = run(tiny_model, tasks, epochs=2)
    assert [epoch.epoch for epoch in done.epochs] == [1, 2]


def test_frozen_parts_have_equal_digests_before_and_after(  # fault 18
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    done = run(tiny_model, tasks, ["backbone", "head:stars"], weight_decay=0.5)
    first, last = (event for event in done.events if isinstance(event, Parts))
    assert [part.name for part in first.parts] == ["backbone", "head:topic", "head:tags", "head:stars"]
    for before, after, (name, module) in zip(first.parts, last.parts, tiny_model.parts(), strict=True):
        frozen = name in ("backbone", "head:stars")
        assert before.parameters == sum(weight.numel() for weight in module.parameters())
        assert before.trainable == (0 if frozen else before.parameters)
        assert before.before == after.before == after.after == (digest(named(tiny_model, name)) if frozen else None)
        assert before.after is None


@pytest.mark.parametrize("frozen", ["head:tags", "backbone"])
def test_dropout_is_on_in_every_step_of_what_trains_and_off_otherwise(
    frozen: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    seen: dict[str, set[tuple[bool, bool]]] = {name: set() for name, _ in tiny_model.parts()}
    for name, part in tiny_model.parts():
        dropout = next(module for module in part.modules() if isinstance(module, nn.Dropout))
        dropout.register_forward_pre_hook(lambda module, _, name=name: seen[name].add((torch.is_grad_enabled(), module.training)))
    run(tiny_model, tasks, [frozen])
    in_training, in_evaluation = (True, True), (False, False)
    for name, modes in seen.items():
        assert modes == ({in_evaluation} if name == frozen else {in_training, in_evaluation}), name


def test_a_frozen_lower_half_stays_and_is_run_without_a_graph(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    lower = ["embeddings", "layers:0"]
    before = {name: digest(tiny_model.part(name).state_dict()) for name in [*lower, "layers:1"]}
    graphs: list[bool] = []

    def note(_module: nn.Module, _inputs: object, states: torch.Tensor) -> None:
        if torch.is_grad_enabled():
            graphs.append(states.requires_grad)

    tiny_model.backbone.blocks[0].register_forward_hook(note)
    done = run(tiny_model, tasks, lower)
    assert graphs
    assert not any(graphs)
    same = {name: digest(tiny_model.part(name).state_dict()) == before[name] for name in before}
    assert same == {"embeddings": True, "layers:0": True, "layers:1": False}
    last = [event for event in done.events if isinstance(event, Parts)][-1]
    shown = {part.name: (part.trainable, part.before == part.after) for part in last.parts if part.before}
    assert shown == {"embeddings": (0, True), "layers:0": (0, True)}
    assert [part.name for part in last.parts][:3] == ["backbone", "embeddings", "layers:0"]
