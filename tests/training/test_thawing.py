"""Parts that begin to train, or stop, in mid-run."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from support import freezing_of, losses_of, notes, train_steps

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import parts_of
from mtlkit.training.events import Parts
from mtlkit.training.freezing.apply import apply_freeze
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.optimizer import THAW_STEPS, LearningRate

Run = Callable[..., Any]
CPU = Compute(torch.device("cpu"), "fp32")
Weights = dict[str, torch.Tensor]


def moved(before: Weights, after: Weights) -> set[str]:
    """The parts of which some weight changed."""
    return set(parts_of(name for name in before if not torch.equal(before[name], after[name])))


def test_a_part_trains_once_its_item_has_ended(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    start = deepcopy(tiny_model.state_dict())
    done = run(tiny_model, tasks, ["backbone@until=epoch:1,embeddings"], weight_decay=0.5)
    heads = {f"head:{name}" for name in tasks}
    states = [start, *done.snapshots]
    stages = [moved(*pair) for pair in pairwise(states)]
    upper = {"layers:0", "layers:1", "pooling"}
    assert stages == [heads, heads | upper, heads | upper]
    steps = len([line for line in done.log if line["type"] == "step"]) // 3
    assert f"from step {steps + 1}: training layers:0, layers:1, pooling" in notes(done.events)
    last = [event for event in done.events if isinstance(event, Parts)][-1]
    assert [part.name for part in last.parts if part.after] == ["embeddings"]


def test_unfreezing_goes_from_the_last_block_down(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    start = deepcopy(tiny_model.state_dict())
    done = run(tiny_model, tasks, unfreeze="top-down", epochs=4, layer_lr_decay=2.0, head_rate=5.0)
    states = [start, *done.snapshots]
    heads = {f"head:{name}" for name in tasks}
    stages = [moved(*pair) - heads for pair in pairwise(states)]
    assert stages == [
        set(),
        {"layers:1", "pooling"},
        {"layers:0", "layers:1", "pooling"},
        {"embeddings", "layers:0", "layers:1", "pooling"},
    ]
    first = next(event for event in done.events if isinstance(event, Parts))
    shown = {part.name: (part.rate, part.since) for part in first.parts}
    assert shown["layers:1"] == (pytest.approx(3e-3), "epoch 2")
    assert shown["layers:0"] == (pytest.approx(1.5e-3), "epoch 3")
    assert shown["embeddings"] == (pytest.approx(0.75e-3), "epoch 4")
    assert shown["head:topic"] == (pytest.approx(15e-3), "")


def test_nothing_jumps_when_a_part_is_thawed(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> None:
    """AdamW's first step moves a weight by its rate, which is a fiftieth of the others' at first."""
    apply_freeze(tiny_model, freezing_of(tiny_model, ["backbone"]).always)
    losses = losses_of(tiny_model, head_objectives(tiny_model, tasks))
    work = [{"topic": np.arange(16)}] * 30
    rate, seen = LearningRate(0.05, 10_000, warmup=0.0), []
    weight = tiny_model.backbone.tokens.weight
    before = weight.detach().clone()
    steps = []
    for step in train_steps(tiny_model, work, losses, rate, weight_decay=0.0, clip=0.0, compute=CPU):
        seen.append(float((weight.detach() - before).abs().max()))
        before = weight.detach().clone()
        steps.append(step.losses["topic"])
        if step.index == 9:
            apply_freeze(tiny_model, frozenset())
    assert seen[:10] == [0.0] * 10
    for number, change in enumerate(seen[10:], 1):
        assert 0 < change < 0.05 * number / THAW_STEPS * 8  # moments that begin at nothing may overshoot a little
    assert seen[10] == pytest.approx(0.05 / THAW_STEPS, rel=1e-3)
    assert steps[11] < 1.05 * steps[10]


def test_the_best_weights_are_those_of_one_moment(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, tasks, ["backbone@until=epoch:2"], epochs=4, learning_rate=0.5, head_rate=0.01)
    best = max(epoch.epoch for epoch in done.epochs if epoch.best)
    for name, weight in tiny_model.state_dict().items():
        assert torch.equal(weight, done.snapshots[best - 1][name]), name


def test_a_head_may_be_kept_at_first_and_its_task_is_not_watched(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    start = deepcopy(tiny_model.state_dict())
    done = run(tiny_model, tasks, ["backbone,head:tags@until=epoch:1"], epochs=2)
    states = [start, *done.snapshots]
    assert [("head:tags" in moved(*pair)) for pair in pairwise(states)] == [False, True]
    assert not any(state.watched for epoch in done.epochs for state in epoch.tasks)
