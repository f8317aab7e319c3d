"""A least number of steps on small data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.task_training import LEAST_STEPS
from mtlkit.inference.compute import choose_compute
from mtlkit.training.freezing.parse import parse_freeze
from mtlkit.training.plan import TrainPlan
from mtlkit.training.sampling.floor import least_steps, lengthened, lengthening
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers


def mixed(rows: int, schedule: str = "round-robin") -> TaskMixture:
    """Two tasks with batches of 4 texts."""
    lengths = {"topic": np.full(rows, 10), "mood": np.full(rows, 10)}
    return TaskMixture(make_samplers(lengths, 40, 0), schedule)


@pytest.fixture
def plan() -> TrainPlan:
    freezing = parse_freeze(["none"], None, ["backbone.tokens.weight"], ["topic", "mood"], (1,))
    return TrainPlan(options=TrainMtlOptions(min_steps=60), compute=choose_compute("cpu", "fp32"), freezing=freezing)


@pytest.mark.parametrize("schedule", ["round-robin", "joint", "sequential", "proportional"])
def test_an_epoch_of_few_steps_has_several_passes(schedule: str, plan: TrainPlan) -> None:
    mix = mixed(8, schedule)
    longer = lengthened(mix, plan)
    event = lengthening(mix, longer, plan.options)
    assert event is not None
    assert event.planned == 6 * mix.steps
    assert event.steps == 6 * longer.steps >= 60
    assert longer.steps == event.passes * mix.steps
    assert longer.planned(0).keys() == mix.planned(0).keys()


def test_enough_steps_are_left_alone(plan: TrainPlan) -> None:
    mix = mixed(40)
    assert lengthened(mix, plan) is mix
    assert lengthening(mix, mix, plan.options) is None


def test_steps_are_counted_after_accumulation(plan: TrainPlan) -> None:
    mix = mixed(40)
    slower = replace(plan, options=TrainMtlOptions(min_steps=60, accumulate=4))
    assert mix.steps == 20
    assert lengthened(mix, slower).steps == 40  # 10 steps of 4 batches


def test_a_resumed_training_has_epochs_as_long_as_before(plan: TrainPlan) -> None:
    mix = mixed(8)
    assert lengthened(mix, replace(plan, epoch_steps=7)).steps == 7
    assert lengthened(mix, replace(plan, epoch_steps=mix.steps)) is mix


@pytest.mark.parametrize(
    ("options", "least"),
    [
        (TrainMtlOptions(), LEAST_STEPS),
        (TrainMtlOptions(epochs=3), 0),
        (TrainMtlOptions(epoch_by="shortest"), 0),
        (TrainMtlOptions(epochs=3, min_steps=10), 10),
        (TrainMtlOptions(min_steps=0), 0),
        (TrainSentenceOptions(), LEAST_STEPS),
        (TrainSentenceOptions(objective="pairs"), 0),
    ],
)
def test_the_default_leaves_alone_what_the_user_chose(options: Any, least: int) -> None:
    assert least_steps(options) == least
