"""The remaining batches and steps, from any step on, are the tail of all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers
from mtlkit.training.sampling.steps import StepSchedule

SCHEDULES = ["round-robin", "joint", "sequential", "proportional", "temperature:2", "temperature:3:20"]
ROWS = {"topic": 41, "sentiment": 17, "stars": 9}


def random_lengths() -> dict[str, NDArray[np.int64]]:
    random = np.random.default_rng(0)
    return {name: random.integers(5, 60, size=count) for name, count in ROWS.items()}


def step_schedule(
    schedule: str, accumulate: int, epoch_by: str = "longest", classes: Mapping[str, Rows] | None = None
) -> StepSchedule:
    mix = TaskMixture(make_samplers(random_lengths(), 120, 3, classes), schedule, epoch_by=epoch_by)
    return StepSchedule(mix, 3, accumulate)


def steps(table: StepSchedule, start: int = 0) -> Iterator[str]:
    """A digest of the row ids of each step, task by task."""
    work = table.work(start)
    for taken in table.takes(start):
        pieces = [sorted((name, rows.tolist()) for name, rows in piece.items()) for piece in islice(work, taken)]
        assert len(pieces) == taken
        yield hashlib.sha256(repr(pieces).encode()).hexdigest()
    assert next(work, None) is None


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("epoch_by", ["longest", "shortest", "steps:7"])
def test_remaining_batches_are_the_same_from_every_step(schedule: str, accumulate: int, epoch_by: str) -> None:  # faults 9, 10
    whole = list(steps(step_schedule(schedule, accumulate, epoch_by)))
    assert len(whole) == step_schedule(schedule, accumulate, epoch_by).steps
    assert len(set(whole)) >= 3  # no digest of nothing
    for start in range(len(whole) + 1):
        assert list(steps(step_schedule(schedule, accumulate, epoch_by), start)) == whole[start:], start


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_remaining_batches_are_the_same_after_tasks_stopped(schedule: str, accumulate: int) -> None:  # faults 9, 10
    """The tasks leave while the work is under way, as they do in a training; who begins later knows it from the start."""
    table, whole = step_schedule(schedule, accumulate), []
    leaves = {1: "stars", 2: "topic"}
    work = table.work()
    for number, taken in enumerate(table.takes(), 1):
        whole.append([{name: rows.tolist() for name, rows in piece.items()} for piece in islice(work, taken)])
        if table.locate(number)[1] == 0 and (name := leaves.pop(table.locate(number)[0], None)):
            table.left[name] = table.locate(number)[0]
    assert table.left == {"stars": 1, "topic": 2}
    for start in range(len(whole) + 1):
        epoch = table.locate(start)[0]
        later = step_schedule(schedule, accumulate)
        later.left = {name: since for name, since in table.left.items() if since <= epoch}
        tail, work = [], later.work(start)
        for number, taken in enumerate(later.takes(start), start + 1):
            tail.append([{name: rows.tolist() for name, rows in piece.items()} for piece in islice(work, taken)])
            reached = later.locate(number)
            later.left.update({name: since for name, since in table.left.items() if reached == (since, 0)})
        assert tail == whole[start:], start


def test_rows_drawn_by_class_are_the_same_from_every_step() -> None:  # fault 9
    classes = {"topic": np.arange(ROWS["topic"]) % 5 // 4}
    whole = list(steps(step_schedule("joint", 1, classes=classes)))
    assert whole != list(steps(step_schedule("joint", 1)))
    for start in range(len(whole) + 1):
        assert list(steps(step_schedule("joint", 1, classes=classes), start)) == whole[start:]
