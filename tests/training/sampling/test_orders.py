"""The order of tasks: batches counted exactly for every schedule and every length of an epoch."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.config.registries.schedules import EpochLength, parse_epoch_length, parse_schedule
from mtlkit.training.sampling.orders import Order, OrderContext, make_order
from mtlkit.training.sampling.schedules.sampled import apportion

PASSES = {"big": 80, "mid": 20, "small": 5}  # of batches of five rows
ROWS = {"big": 400, "mid": 100, "small": 25}
SCHEDULES = ["round-robin", "joint", "sequential", "proportional", "temperature:2", "temperature:3:50"]


def order_of(schedule: str, epoch_by: str, epoch: int = 0, **changed: Any) -> Order:
    terms = {"passes": PASSES, "rows": ROWS, "shares": {}, "length": parse_epoch_length(epoch_by), "seed": 0, **changed}
    return make_order(parse_schedule(schedule), OrderContext(**terms))(epoch)


def counted(order: Order) -> list[int]:
    found = Counter(name for names in order for name in names)
    return [found[name] for name in PASSES]


@pytest.mark.parametrize(
    ("schedule", "epoch_by", "steps", "expected"),
    [
        ("round-robin", "longest", 240, [80, 80, 80]),
        ("round-robin", "shortest", 15, [5, 5, 5]),
        ("round-robin", "steps:50", 50, [17, 17, 16]),
        ("joint", "longest", 80, [80, 80, 80]),
        ("joint", "shortest", 5, [5, 5, 5]),
        ("joint", "steps:50", 50, [50, 50, 50]),
        ("sequential", "longest", 240, [80, 80, 80]),
        ("sequential", "shortest", 15, [5, 5, 5]),
        ("sequential", "steps:50", 50, [17, 17, 16]),
        ("proportional", "longest", 105, [80, 20, 5]),  # rows are 16 : 4 : 1, so is everything
        ("proportional", "shortest", 105, [80, 20, 5]),
        ("proportional", "steps:50", 50, [38, 10, 2]),  # of 38.1, 9.5, 2.4
        ("temperature:1", "longest", 105, [80, 20, 5]),
        ("temperature:2", "longest", 140, [80, 40, 20]),  # roots of the rows are 20, 10, 5
        ("temperature:2", "shortest", 35, [20, 10, 5]),
        ("temperature:2", "steps:50", 50, [29, 14, 7]),  # of 28.6, 14.3, 7.1
        ("temperature:2:100", "longest", 200, [80, 80, 40]),  # capped, the roots are 10, 10, 5
        ("temperature:2:100", "shortest", 25, [10, 10, 5]),
        ("temperature:2:100", "steps:50", 50, [20, 20, 10]),
        ("temperature:1:25", "longest", 240, [80, 80, 80]),  # a cap at the smallest makes all alike
        ("temperature:1e9", "longest", 240, [80, 80, 80]),
    ],
)
def test_batches_of_an_epoch(schedule: str, epoch_by: str, steps: int, expected: list[int]) -> None:
    order = order_of(schedule, epoch_by)
    assert len(order) == steps
    assert counted(order) == expected
    if not epoch_by.startswith("steps") or not schedule.startswith(("round", "seq")):
        assert counted(order_of(schedule, epoch_by, epoch=7)) == expected


@pytest.mark.parametrize(
    ("schedule", "epoch_by", "passes", "rows", "expected"),
    [
        ("temperature:3", "longest", [12, 1, 1], [64, 1, 1], [12, 3, 3]),  # the root of 64 is 4, not a little less
        ("proportional", "shortest", [1, 1, 1], [900, 50, 50], [1, 1, 1]),  # 1.1 steps would show the first once, alone
    ],
)
def test_batches_of_an_epoch_at_the_edges(
    schedule: str, epoch_by: str, passes: list[int], rows: list[int], expected: list[int]
) -> None:
    terms = {"passes": dict(zip(PASSES, passes, strict=True)), "rows": dict(zip(ROWS, rows, strict=True))}
    assert counted(order_of(schedule, epoch_by, **terms)) == expected


def test_turns_continue_after_an_epoch_of_fixed_length() -> None:
    orders = [order_of("round-robin", "steps:50", epoch) for epoch in range(6)]
    assert [counted(order) for order in orders[:3]] == [[17, 17, 16], [17, 16, 17], [16, 17, 17]]
    assert [name for order in orders for (name,) in order] == list(PASSES) * 100
    blocks = [order_of("sequential", "steps:50", epoch) for epoch in range(6)]
    assert [counted(order) for order in blocks] == [counted(order) for order in orders]


def test_sequential_is_round_robin_in_blocks() -> None:
    assert order_of("sequential", "shortest") == (("big",),) * 5 + (("mid",),) * 5 + (("small",),) * 5
    assert order_of("round-robin", "shortest") == (("big",), ("mid",), ("small",)) * 5
    assert order_of("joint", "shortest") == (("big", "mid", "small"),) * 5


def test_drawn_tasks_come_in_an_order_of_seed_and_epoch_alone() -> None:
    orders = [order_of("temperature:2", "longest", epoch, seed=seed) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert orders[1] == order_of("temperature:2", "longest", 1, seed=0)
    halves = [sum(name == "big" for (name,) in order[:70]) for order in orders]
    assert all(25 < half < 55 for half in halves)  # 40 of 80 are to be expected in the first half: mixed, not in blocks


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 5000)), min_size=1, max_size=5),
    st.lists(st.fractions(Fraction(1, 1000), Fraction(1)), max_size=3),
    st.sampled_from(SCHEDULES),
    st.one_of(st.sampled_from([EpochLength("longest"), EpochLength("shortest")]), st.integers(0, 200)),
    st.integers(0, 40),
)
@settings(deadline=None, max_examples=200, derandomize=True)
def test_every_task_has_a_batch_in_every_epoch_and_epochs_are_equally_long(
    sizes: list[tuple[int, int]], shares: list[Fraction], schedule: str, by: EpochLength | int, epoch: int
) -> None:
    passes = {f"task{place}": batches for place, (batches, _) in enumerate(sizes)}
    rehearsed = {f"old{place}": share for place, share in enumerate(shares)}
    names = [*passes, *rehearsed]
    length = EpochLength("steps", len(names) + by) if isinstance(by, int) else by
    terms = {
        "passes": {**passes, **dict.fromkeys(rehearsed, 10)},
        "rows": {**{f"task{place}": max(size) for place, size in enumerate(sizes)}, **dict.fromkeys(rehearsed, 100)},
        "shares": rehearsed,
        "length": length,
    }
    order, first = (make_order(parse_schedule(schedule), OrderContext(**terms, seed=3))(which) for which in (epoch, 0))
    counts = Counter(name for tasks in order for name in tasks)
    assert set(counts) == set(names)
    assert len(order) == len(first)
    if length.name == "steps":
        assert len(order) == length.steps
    elif length.name == "longest":
        assert all(counts[name] >= batches for name, batches in passes.items())
        assert counts == Counter(name for tasks in first for name in tasks)
    else:  # the tasks that would have no batch take theirs from the largest
        lifted = sum(counts[name] == 1 for name in passes)
        assert any(counts[name] + lifted >= batches for name, batches in passes.items())
    if schedule == "joint":
        assert all(set(passes) <= set(tasks) for tasks in order)
    else:
        assert all(len(tasks) == 1 for tasks in order)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rehearsal_gives_its_share_of_a_trained_task_on_average(schedule: str) -> None:
    terms = {"passes": {**PASSES, "old": 900}, "rows": {**ROWS, "old": 4500}, "shares": {"old": Fraction(1, 4)}}
    order = order_of(schedule, "longest", **terms)
    trained = sum(counted(order))
    assert Counter(name for names in order for name in names)["old"] == trained // 12  # a quarter of a third
    steps = order_of(schedule, "steps:1300", **terms)
    found = Counter(name for names in steps for name in names)
    assert found["old"] == (325 if schedule == "joint" else 100)


@given(st.lists(st.fractions(Fraction(1, 1000), Fraction(1000)), min_size=1, max_size=8), st.integers(0, 500))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_seats_are_apportioned_within_one_of_the_quota(weights: list[Fraction], more: int) -> None:
    named, seats = {str(place): weight for place, weight in enumerate(weights)}, len(weights) + more
    counts = apportion(named, seats)
    assert counts.total() == seats
    quotas = {name: seats * weight / sum(weights) for name, weight in named.items()}
    assert all(counts[name] >= 1 for name in named)
    if min(quotas.values()) >= 1:
        assert all(abs(counts[name] - quotas[name]) < 1 for name in named)
    assert all(counts[one] >= counts[two] for one in named for two in named if named[one] > named[two])


def test_who_would_have_no_seat_takes_one_from_who_has_most() -> None:
    weights = {"big": Fraction(16), "mid": Fraction(4), "small": Fraction(1)}
    assert apportion(weights, 4) == {"big": 2, "mid": 1, "small": 1}  # largest remainder alone: 3, 1, 0
    assert apportion(weights, 3) == {"big": 1, "mid": 1, "small": 1}
    assert apportion(weights, 21) == {"big": 16, "mid": 4, "small": 1}
