"""Random numbers of micro-batches that other ranks compute."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from support import freezing_of

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.components import make_components, make_setup
from mtlkit.training.distributed.draws import SeededDraws, SkippedDraws, can_skip
from mtlkit.training.distributed.ranks import Ranks
from mtlkit.training.distributed.task_turns import make_turns
from mtlkit.training.distributed.turns import SharedTurns
from mtlkit.training.freezing.apply import training_mode
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.rng import RandomState
from mtlkit.training.setup import make_features


class SecondOfTwo(Ranks):
    rank, size = 1, 2


@pytest.mark.parametrize("options", [{}, {"micro_batch_tokens": 40}])
def test_skipped_numbers_are_those_that_the_micro_batch_draws(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute, options: dict[str, Any]
) -> None:
    with_dropout(tiny_model)
    settings = TrainMtlOptions(batch_tokens=240, schedule="joint", micro_batch_tokens=options.get("micro_batch_tokens"))
    plan = TrainPlan(options=settings, compute=compute, freezing=freezing_of(tiny_model, ()), ranks=SecondOfTwo())
    setup = make_setup(plan, tiny_model, TrainData(head_objectives(tiny_model, tasks)))
    source = make_features(plan, tiny_model, setup.roles, setup.frozen_params, None, setup.random).source
    components = make_components(setup, MetricsLog(io.StringIO()), source)
    turns = make_turns(setup, components.losses, components.updater)
    assert isinstance(turns, SharedTurns)
    assert isinstance(turns.draws, SkippedDraws)
    training_mode(tiny_model, frozenset())
    random, learned = components.updater.random, []
    for step, (piece, *_) in zip(range(6), setup.schedule.micro_batches(0), strict=False):
        begun = random.now()
        components.losses(piece)
        drawn = random.now()
        random.back_to(begun)
        turns.draws.skip(step, 0, piece)
        assert all(map(torch.equal, drawn, random.now())), step
        learned.append(len(turns.draws.learned))
    assert learned[-1] == 1


def with_dropout(model: MultiTaskModel) -> None:
    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.1


def test_seeded_numbers_depend_on_the_place_only(tiny_model: MultiTaskModel, compute: Compute) -> None:
    random = RandomState(tiny_model, compute.device, 3)
    assert can_skip(tiny_model, random)
    draws = SeededDraws[str](random, 3)

    def numbers(step: int, number: int) -> list[float]:
        draws.own(step, number)
        return torch.rand(4, generator=random.cpu).tolist()

    first = numbers(0, 0)
    assert first != numbers(0, 1)
    assert first != numbers(1, 0)
    draws.skip(0, 0, "another")
    assert torch.rand(4, generator=random.cpu).tolist() == first
    assert np.unique(first).size == 4
