"""The position and the micro-batches of each step, compared with a plain count."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.training.sampling.mixture import MicroBatch, TaskMixture, TaskSampler, make_samplers
from mtlkit.training.sampling.orders import Order
from mtlkit.training.sampling.steps import StepSchedule

NAMES = ["topic", "sentiment", "stars"]
SCHEDULES = ["round-robin", "joint", "sequential", "proportional", "temperature:2", "temperature:3:20"]
LENGTHS = ["longest", "shortest", "steps:3", "steps:11"]


def mixed(rows: dict[str, int], schedule: str, length: str, seed: int) -> TaskMixture:
    """A mix of tasks with batches of 4 texts."""
    return TaskMixture(
        make_samplers({name: np.full(count, 10) for name, count in rows.items()}, 40, seed), schedule, epoch_by=length
    )


mixes = st.builds(
    mixed,
    st.dictionaries(st.sampled_from(NAMES), st.integers(1, 25), min_size=1),
    st.sampled_from(SCHEDULES),
    st.sampled_from(LENGTHS),
    st.integers(0, 2**32),
)
leaving = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 5))
examples = settings(deadline=None, max_examples=80, derandomize=True)


def schedule_of(mix: TaskMixture, epochs: int, accumulate: int, left: dict[str, int]) -> StepSchedule:
    """A schedule whose tasks leave at the given epochs."""
    table = StepSchedule(mix, epochs, accumulate)
    table.left = {name: since for name, since in left.items() if name in mix.plans}
    return table


def counted(table: StepSchedule) -> list[list[Order]]:
    """By epoch and step, the tasks of each piece of work."""
    epochs = []
    for epoch in range(table.epochs):
        pieces = []
        for names in table.mix.order(epoch):
            there = tuple(name for name in names if epoch < table.left.get(name, epoch + 1))
            pieces += [there] if there else []
        epochs.append([tuple(pieces[first : first + table.accumulate]) for first in range(0, len(pieces), table.accumulate)])
    return epochs


def plain(piece: MicroBatch) -> dict[str, list[int]]:
    return {name: rows.tolist() for name, rows in piece.items()}


@examples
@given(mixes, st.integers(1, 5), st.integers(1, 3), leaving)
def test_every_step_is_where_a_plain_count_has_it(mix: TaskMixture, epochs: int, accumulate: int, left: dict[str, int]) -> None:
    table = schedule_of(mix, epochs, accumulate, left)
    found = counted(table)
    assert [table.length(epoch) for epoch in range(epochs)] == [*map(len, found)]
    assert [table.sizes(epoch) for epoch in range(epochs)] == [[len(step) for step in steps] for steps in found]
    assert [table.pieces(epoch) for epoch in range(epochs)] == [sum(map(len, steps)) for steps in found]
    assert [table.begin(epoch) for epoch in range(epochs + 1)] == np.cumsum([0, *map(len, found)]).tolist()
    assert table.steps == sum(map(len, found))
    assert table.full == len(found[0])  # no task stops before the first epoch ends
    places = [(epoch, place) for epoch, steps in enumerate(found) for place in range(len(steps))]
    assert [table.locate(step) for step in range(table.steps)] == places
    for step, (epoch, place) in enumerate(places):
        assert table.position(step) == pytest.approx(table.full * (epoch + Fraction(place, len(found[epoch]))))
    for epoch, steps in enumerate(found):
        names = Counter(name for step in steps for piece in step for name in piece)
        assert table.planned(epoch) == names
        assert table.gone(epoch) == {name for name, since in table.left.items() if since <= epoch}
        assert not table.gone(epoch) & names.keys()


@examples
@given(mixes, st.integers(1, 4), st.integers(1, 3), leaving, st.data())
def test_from_any_step_on_the_work_is_the_rest_of_the_whole(
    mix: TaskMixture, epochs: int, accumulate: int, left: dict[str, int], data: st.DataObject
) -> None:
    table = schedule_of(mix, epochs, accumulate, left)
    streams = {name: TaskSampler(plan) for name, plan in mix.plans.items()}
    steps = [step for steps in counted(table) for step in steps]
    rows = [[{name: streams[name].next().tolist() for name in piece} for piece in step] for step in steps]
    start = data.draw(st.integers(0, len(steps)))
    assert list(table.takes(start)) == [len(step) for step in steps[start:]]
    assert [plain(piece) for piece in table.work(start)] == [piece for step in rows[start:] for piece in step]


@examples
@given(mixes, st.integers(2, 5), st.integers(1, 3), st.sampled_from(NAMES), st.integers(1, 4))
def test_a_task_may_leave_while_the_work_is_under_way(
    mix: TaskMixture, epochs: int, accumulate: int, name: str, since: int
) -> None:
    """Micro-batches that are requested before a task leaves, step by step as in a training, no longer contain it afterwards."""
    table, with_leaving = schedule_of(mix, epochs, accumulate, {}), schedule_of(mix, epochs, accumulate, {name: since})
    work = table.work()
    found, steps = [], []
    for size in table.takes():
        found += [plain(next(work)) for _ in range(size)]
        steps.append(size)
        if name in mix.plans and table.locate(len(steps)) == (since, 0):
            table.left[name] = since
    assert found == [plain(piece) for piece in with_leaving.work()]
    assert steps == list(with_leaving.takes())


def equal_tasks(schedule: str) -> TaskMixture:
    """Two tasks of 6 batches each."""
    return mixed({"topic": 24, "stars": 24}, schedule, "longest", 0)


@pytest.mark.parametrize(("schedule", "first"), [("round-robin", 12), ("sequential", 12), ("proportional", 12), ("joint", 6)])
def test_an_epoch_without_a_task_is_shorter_unless_all_share_each_step(schedule: str, first: int) -> None:
    table = schedule_of(equal_tasks(schedule), 2, 1, {"stars": 1})
    assert [table.length(epoch) for epoch in range(2)] == [first, 6]
    assert [table.planned(epoch) for epoch in range(2)] == [{"topic": 6, "stars": 6}, {"topic": 6}]


def test_the_rate_follows_epochs_not_steps() -> None:
    """The second epoch has half as many steps, and the rate falls twice as fast."""
    table = schedule_of(equal_tasks("round-robin"), 2, 1, {"stars": 1})
    assert [table.position(step) for step in range(table.steps)] == [*range(12), *range(12, 24, 2)]


def test_training_without_tasks_has_ended() -> None:
    table = schedule_of(equal_tasks("joint"), 3, 1, {"topic": 1, "stars": 1})
    assert (table.steps, table.locate(6)) == (6, (1, 0))
    assert (list(table.work(6)), list(table.takes(6))) == ([], [])


def test_what_is_known_of_an_epoch_changes_when_another_task_leaves() -> None:
    table = schedule_of(equal_tasks("round-robin"), 4, 1, {})
    found = [table.steps]
    for left in ({"stars": 2}, {"stars": 2, "topic": 3}, {"stars": 1}):
        table.left = left
        found.append(table.steps)
    assert found == [48, 36, 30, 30]
