from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mtlkit.config.registries.schedules import EpochLength
from mtlkit.errors import UsageError
from mtlkit.training.sampling.mixture import MicroBatch, TaskMixture, TaskSampler, make_samplers

Lengths = Mapping[str, NDArray[np.int64]]
BY_ROUNDS = ["round-robin", "joint"]
SCHEDULES = [*BY_ROUNDS, "sequential", "proportional", "temperature:2", "temperature:3:20"]
LENGTHS = ["longest", "shortest", "steps:3", "steps:17"]

some_lengths = st.lists(st.integers(2, 60), min_size=1, max_size=40).map(lambda values: np.array(values, np.int64))
data_sets = st.dictionaries(st.sampled_from(["topic", "sentiment", "stars"]), some_lengths, min_size=1)
seeds = st.integers(0, 2**32)
examples = settings(deadline=None, max_examples=60, derandomize=True)


def random_lengths(**rows: int) -> dict[str, NDArray[np.int64]]:
    random = np.random.default_rng(0)
    return {name: random.integers(5, 60, size=count) for name, count in rows.items()}


def as_lists(pieces: list[MicroBatch]) -> list[dict[str, list[int]]]:
    return [{name: rows.tolist() for name, rows in piece.items()} for piece in pieces]


@examples
@given(data_sets, st.sampled_from(SCHEDULES), st.sampled_from(LENGTHS), st.integers(2, 300), st.integers(1, 4), seeds)
def test_a_mix_does_what_it_plans_and_sees_the_rows_of_a_task_equally_often(
    lengths: Lengths, schedule: str, epoch_by: str, batch_tokens: int, epochs: int, seed: int
) -> None:
    mix = TaskMixture(make_samplers(lengths, batch_tokens, seed), schedule, epoch_by=epoch_by)
    pieces = list(mix.work(epochs))
    assert len(pieces) == mix.steps * epochs
    for epoch in range(epochs):
        part = pieces[epoch * mix.steps : (epoch + 1) * mix.steps]
        assert Counter(name for piece in part for name in piece) == mix.planned(epoch)
        assert [tuple(piece) for piece in part] == list(mix.order(epoch))
    coverage = mix.coverage()
    for piece in pieces:
        coverage.add(piece)
    for name in lengths:
        assert coverage[name].batches == sum(mix.planned(epoch)[name] for epoch in range(epochs)) >= epochs
        assert coverage[name].most - coverage[name].least <= 1  # a short task is reshuffled and continues
        assert epoch_by != "longest" or not coverage[name].unseen
    again = TaskMixture(make_samplers(lengths, batch_tokens, seed), schedule, epoch_by=epoch_by)
    assert as_lists(list(again.work(epochs))) == as_lists(pieces)


@examples
@given(data_sets, st.sampled_from(BY_ROUNDS), st.integers(2, 300), st.integers(1, 4), seeds)
def test_in_turn_every_task_gets_the_same_number_of_batches(
    lengths: Lengths, schedule: str, batch_tokens: int, epochs: int, seed: int
) -> None:
    mix = TaskMixture(make_samplers(lengths, batch_tokens, seed), schedule)
    assert mix.rounds == max(len(plan.epoch(0)) for plan in mix.plans.values())
    assert mix.planned(epochs) == mix.batches == dict.fromkeys(lengths, mix.rounds)


def test_round_robin_takes_the_tasks_in_turn() -> None:
    mix = TaskMixture(make_samplers(random_lengths(topic=40, sentiment=10), 100, seed=0), "round-robin")
    assert [list(piece) for piece in mix.work(1)] == [["topic"], ["sentiment"]] * mix.rounds
    assert mix.steps == 2 * mix.rounds
    assert len(mix.plans["sentiment"].epoch(0)) < mix.rounds  # so the short task did start again


def test_joint_holds_every_task_in_every_step() -> None:
    mix = TaskMixture(make_samplers(random_lengths(topic=40, sentiment=10), 100, seed=0), "joint")
    assert [list(piece) for piece in mix.work(1)] == [["topic", "sentiment"]] * mix.rounds
    assert mix.steps == mix.rounds == len(mix.plans["topic"].epoch(0))


def test_both_schedules_give_a_task_the_same_batches_in_the_same_order() -> None:
    plans = make_samplers(random_lengths(topic=40, sentiment=10), 100, seed=3)
    apart, together = (as_lists(list(TaskMixture(plans, schedule).work(3))) for schedule in BY_ROUNDS)
    for name in plans:
        assert [piece[name] for piece in apart if name in piece] == [piece[name] for piece in together]


def test_another_seed_and_another_epoch_shuffle_otherwise() -> None:
    lengths = random_lengths(topic=60)
    first, second = make_samplers(lengths, 100, seed=0)["topic"], make_samplers(lengths, 100, seed=1)["topic"]
    orders = [np.concatenate(plan.epoch(epoch)).tolist() for plan in (first, second) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(60)) for order in orders)


def test_tasks_of_equal_shape_are_not_shuffled_alike() -> None:
    lengths = np.full(60, 10)
    plans = make_samplers({"a": lengths, "b": lengths}, 100, seed=0)
    assert np.concatenate(plans["a"].epoch(0)).tolist() != np.concatenate(plans["b"].epoch(0)).tolist()


def test_a_batch_of_short_texts_holds_as_many_of_them_as_one_of_long_texts() -> None:
    plans = make_samplers({"long": np.full(100, 200), "short": np.full(400, 20)}, batch_tokens=2000, seed=0)
    assert (plans["long"].budget, plans["short"].budget) == (2000, 200)
    assert {len(rows) for plan in plans.values() for rows in plan.epoch(0)} == {10}


@pytest.mark.parametrize("count", [1, 7, 25])
def test_the_cursor_counts_the_batches_handed_out_and_epochs_follow_each_other(count: int) -> None:
    plan = make_samplers(random_lengths(topic=30), 150, seed=5)["topic"]
    expected = [rows.tolist() for epoch in range(25) for rows in plan.epoch(epoch)][:count]
    stream = TaskSampler(plan)
    assert [stream.next().tolist() for _ in range(count)] == expected
    assert stream.cursor == count


def test_an_epoch_by_the_shortest_task_leaves_rows_for_later_epochs_and_counts_them() -> None:
    lengths = {"long": np.full(50, 10), "short": np.full(20, 10)}
    mix = TaskMixture(make_samplers(lengths, 50, seed=0), "round-robin", epoch_by="shortest")
    pieces = list(mix.work(3))
    whole = mix.coverage()
    for epoch, unseen in enumerate((30, 10, 0)):
        part = mix.coverage()
        for piece in pieces[epoch * mix.steps : (epoch + 1) * mix.steps]:
            part.add(piece)
            whole.add(piece)
        assert (part["long"].texts, part["short"].unseen) == (20, 0)
        assert epoch == 2 or part.left_out() == "long 30 of 50"  # the third epoch reshuffles on its way
        assert (whole["long"].unseen, whole["short"].unseen) == (unseen, 0)
    assert mix.planned(2) == {"long": 4, "short": 4}


def test_drawn_schedules_show_the_rows_of_the_largest_task_once_an_epoch() -> None:
    lengths = {"large": np.full(400, 10), "small": np.full(100, 10)}
    for schedule, small in (("proportional", 20), ("temperature:2", 40)):
        mix = TaskMixture(make_samplers(lengths, 50, seed=0), schedule)
        assert mix.planned(0) == {"large": 80, "small": small}
        coverage = mix.coverage()
        for piece in mix.work(1):
            coverage.add(piece)
        assert (coverage["large"].least, coverage["large"].most) == (1, 1)
        assert coverage["small"].repeats == small / 20


@pytest.mark.parametrize(("schedule", "expected"), [("round-robin", 6), ("joint", 12), ("proportional", 9)])
def test_steps_hold_the_accumulated_number_of_batches(schedule: str, expected: int) -> None:
    plans = make_samplers({"large": np.full(30, 10), "small": np.full(10, 10)}, 50, seed=0)
    mix = TaskMixture(plans, schedule, epoch_by=EpochLength("steps", 4, accumulate=3))
    assert mix.steps == len(list(mix.work(1))) == 12
    assert mix.planned(0)["large"] == expected


def test_known_classes_are_drawn_equally_often() -> None:
    classes = np.array([0] * 90 + [1] * 10)
    plans = make_samplers({"rare": np.full(100, 10), "even": np.full(100, 10)}, 50, seed=0, classes={"rare": classes})
    pieces = list(TaskMixture(plans, "joint").work(2))
    assert np.bincount(classes[np.concatenate([piece["rare"] for piece in pieces])]).tolist() == [100, 100]
    assert np.bincount(np.concatenate([piece["even"] for piece in pieces])).tolist() == [2] * 100


@pytest.mark.parametrize(
    ("schedule", "epoch_by", "message"),
    [("joined", "longest", "--schedule joined"), ("joint", "long", "--epoch-by long"), ("proportional", "steps:1", "2 tasks")],
)
def test_a_mix_that_cannot_be_is_refused(schedule: str, epoch_by: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TaskMixture(make_samplers(random_lengths(topic=40, sentiment=10), 100, seed=0), schedule, epoch_by=epoch_by)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("share", "expected"), [("1", 40), ("0.2", 8), ("1/3", 13), ("0.29", 11), ("0.001", 1)])
def test_a_rehearsed_task_takes_part_in_its_share_of_the_rounds(schedule: str, share: str, expected: int) -> None:
    lengths = {"new": np.full(80, 10), "old": np.full(4000, 10)}
    mix = TaskMixture(make_samplers(lengths, 20, seed=0), schedule, {"old": Fraction(share)})
    assert mix.batches["new"] == 40  # the rehearsed task, which has far more batches, does not make the epoch longer
    pieces = list(mix.work(2))
    assert len(pieces) == 2 * mix.steps
    assert Counter(name for piece in pieces for name in piece) == {"new": 80, "old": 2 * expected}
    assert mix.batches == {"new": 40, "old": expected}
    if schedule in BY_ROUNDS:
        steps = [place for place, piece in enumerate(pieces) if "old" in piece]
        assert len(set(np.diff(steps[:expected]))) <= 2  # spread evenly over an epoch
    assert len(np.unique(np.concatenate([piece["old"] for piece in pieces if "old" in piece]))) == 4 * expected  # all different
