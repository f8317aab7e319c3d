from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mtlkit.config.training import Schedule
from mtlkit.training.schedules import Mix, Piece, Stream, make_plans

Lengths = Mapping[str, NDArray[np.int64]]
SCHEDULES: list[Schedule] = ["round-robin", "joint"]

some_lengths = st.lists(st.integers(2, 60), min_size=1, max_size=40).map(lambda values: np.array(values, np.int64))
data_sets = st.dictionaries(st.sampled_from(["topic", "sentiment", "stars"]), some_lengths, min_size=1)
examples = settings(deadline=None, max_examples=60, derandomize=True)


def random_lengths(**rows: int) -> dict[str, NDArray[np.int64]]:
    random = np.random.default_rng(0)
    return {name: random.integers(5, 60, size=count) for name, count in rows.items()}


def as_lists(pieces: list[Piece]) -> list[dict[str, list[int]]]:
    return [{name: rows.tolist() for name, rows in piece.items()} for piece in pieces]


@examples
@given(data_sets, st.sampled_from(SCHEDULES), st.integers(2, 300), st.integers(1, 4), st.integers(0, 2**32))
def test_every_task_gets_the_same_number_of_batches_and_sees_its_rows_equally_often(
    lengths: Lengths, schedule: Schedule, batch_tokens: int, epochs: int, seed: int
) -> None:
    mix = Mix(make_plans(lengths, batch_tokens, seed), schedule)
    pieces = list(mix.work(epochs))
    assert mix.rounds == max(len(plan.epoch(0)) for plan in mix.plans.values())
    assert len(pieces) == mix.steps * epochs
    assert Counter(name for piece in pieces for name in piece) == dict.fromkeys(lengths, mix.rounds * epochs)
    for name, values in lengths.items():
        seen = np.bincount(np.concatenate([piece[name] for piece in pieces if name in piece]), minlength=len(values))
        assert len(seen) == len(values)
        assert seen.max() - seen.min() <= 1  # a short task reshuffles and goes on
    assert as_lists(list(Mix(make_plans(lengths, batch_tokens, seed), schedule).work(epochs))) == as_lists(pieces)


def test_round_robin_takes_the_tasks_in_turn() -> None:
    mix = Mix(make_plans(random_lengths(topic=40, sentiment=10), 100, seed=0), "round-robin")
    assert [list(piece) for piece in mix.work(1)] == [["topic"], ["sentiment"]] * mix.rounds
    assert mix.steps == 2 * mix.rounds
    assert len(mix.plans["sentiment"].epoch(0)) < mix.rounds  # so the short task did begin anew


def test_joint_holds_every_task_in_every_step() -> None:
    mix = Mix(make_plans(random_lengths(topic=40, sentiment=10), 100, seed=0), "joint")
    assert [list(piece) for piece in mix.work(1)] == [["topic", "sentiment"]] * mix.rounds
    assert mix.steps == mix.rounds == len(mix.plans["topic"].epoch(0))


def test_both_schedules_give_a_task_the_same_batches_in_the_same_order() -> None:
    plans = make_plans(random_lengths(topic=40, sentiment=10), 100, seed=3)
    apart, together = (as_lists(list(Mix(plans, schedule).work(3))) for schedule in SCHEDULES)
    for name in plans:
        assert [piece[name] for piece in apart if name in piece] == [piece[name] for piece in together]


def test_another_seed_and_another_epoch_shuffle_otherwise() -> None:
    lengths = random_lengths(topic=60)
    first, second = make_plans(lengths, 100, seed=0)["topic"], make_plans(lengths, 100, seed=1)["topic"]
    orders = [np.concatenate(plan.epoch(epoch)).tolist() for plan in (first, second) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(60)) for order in orders)


def test_tasks_of_equal_shape_are_not_shuffled_alike() -> None:
    lengths = np.full(60, 10)
    plans = make_plans({"a": lengths, "b": lengths}, 100, seed=0)
    assert np.concatenate(plans["a"].epoch(0)).tolist() != np.concatenate(plans["b"].epoch(0)).tolist()


def test_a_batch_of_short_texts_holds_as_many_of_them_as_one_of_long_texts() -> None:
    plans = make_plans({"long": np.full(100, 200), "short": np.full(400, 20)}, batch_tokens=2000, seed=0)
    assert (plans["long"].budget, plans["short"].budget) == (2000, 200)
    assert {len(rows) for plan in plans.values() for rows in plan.epoch(0)} == {10}


@pytest.mark.parametrize("count", [1, 7, 25])
def test_the_cursor_counts_the_batches_handed_out_and_epochs_follow_each_other(count: int) -> None:
    plan = make_plans(random_lengths(topic=30), 150, seed=5)["topic"]
    expected = [rows.tolist() for epoch in range(25) for rows in plan.epoch(epoch)][:count]
    stream = Stream(plan)
    assert [stream.next().tolist() for _ in range(count)] == expected
    assert stream.cursor == count


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("share", "expected"), [("1", 40), ("0.2", 8), ("1/3", 13), ("0.29", 11), ("0.001", 1)])
def test_a_rehearsed_task_takes_part_in_its_share_of_the_rounds(schedule: Schedule, share: str, expected: int) -> None:
    lengths = {"new": np.full(80, 10), "old": np.full(4000, 10)}
    mix = Mix(make_plans(lengths, 20, seed=0), schedule, {"old": Fraction(share)})
    assert mix.rounds == 40  # the rehearsed task, which has far more batches, does not make the epoch longer
    pieces = list(mix.work(2))
    assert len(pieces) == 2 * mix.steps
    assert Counter(name for piece in pieces for name in piece) == {"new": 80, "old": 2 * expected}
    assert mix.batches == {"new": 40, "old": expected}
    steps = [place for place, piece in enumerate(pieces) if "old" in piece]
    assert len(set(np.diff(steps[:expected]))) <= 2  # spread evenly over an epoch
    assert len(np.unique(np.concatenate([piece["old"] for piece in pieces if "old" in piece]))) == 4 * expected  # all different
