"""Batch plans and packed windows: every row once, within the budget, and the same for the same seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mtlkit.data.batching import BatchSampler, Rows, balanced, cut_by_tokens, sorted_batches
from mtlkit.data.tokenization.tokenizer import PAD, TextEncoder
from mtlkit.seeding import generator

lengths_of_texts = st.lists(st.integers(2, 300), min_size=1, max_size=300).map(lambda values: np.array(values, np.int64))
budgets = st.integers(2, 3000)
numbers = st.integers(0, 2**32)


def review_lengths(texts: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Lengths as uneven as those of film reviews, cut at 256."""
    drawn = np.random.default_rng(0).lognormal(4.5, 0.8, texts)
    return np.clip(drawn, 4, 256).astype(np.int64)


def flat(batches: list[np.ndarray[tuple[int], np.dtype[np.int64]]]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@given(
    lengths=lengths_of_texts,
    budget=budgets,
    seed=numbers,
    epoch=st.integers(0, 1000),
    name=st.text(max_size=5),
    most=st.integers(0, 20),
    common=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_plan_covers_every_row_once_within_the_budget(
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]], budget: int, seed: int, epoch: int, name: str, most: int, common: bool
) -> None:
    texts = np.stack([np.arange(len(lengths)) // 3, 1000 + np.arange(len(lengths))]) if common else None
    plan = BatchSampler(lengths, budget, seed, name, texts=texts, most=most)
    batches = plan.epoch(epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(lengths[batch].sum() <= budget or len(batch) == 1 for batch in batches)
    assert all(len(batch) <= (most or len(lengths)) for batch in batches)
    assert flat(plan.epoch(epoch)) == flat(batches)
    again = BatchSampler(lengths.copy(), budget, seed, name, texts=texts, most=most)
    assert flat(again.epoch(epoch)) == flat(batches)


def test_plan_differs_by_seed_name_and_epoch_alone() -> None:
    lengths = review_lengths(500)
    plan = BatchSampler(lengths, 1000, 7, "topic")
    third = flat(plan.epoch(3))
    for other in (
        BatchSampler(lengths, 1000, 8, "topic").epoch(3),
        BatchSampler(lengths, 1000, 7, "tone").epoch(3),
        plan.epoch(2),
    ):
        assert flat(other) != third
    np.random.default_rng().random(10)
    np.random.seed(1)
    assert flat(plan.epoch(3)) == third


def test_plan_is_the_same_in_another_process() -> None:
    script = (
        "import numpy as np; from mtlkit.data.batching import BatchSampler;"
        "print([b.tolist() for b in BatchSampler(np.arange(4, 84), 200, 5, 'topic').epoch(2)])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == str(flat(BatchSampler(np.arange(4, 84), 200, 5, "topic").epoch(2)))


def test_batches_hold_texts_of_like_length_in_random_order() -> None:
    lengths = review_lengths(20_000)
    batches = BatchSampler(lengths, 2048, 0, "reviews").epoch(0)
    rectangles = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    assert lengths.sum() / rectangles > 0.95  # even padded, under 5 % would be padding
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.2  # not from short to long


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5), epochs=st.integers(1, 5), seed=numbers, budget=st.integers(2, 300)
)
@settings(max_examples=60, deadline=None)
def test_balanced_draws_classes_equally_often_and_the_rows_of_a_class_too(
    sizes: list[int], epochs: int, seed: int, budget: int
) -> None:
    classes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)) + 3, sizes))  # no row has the first three
    total, share = sum(sizes), sum(sizes) / len(sizes)
    times = np.zeros(total, np.int64)
    for epoch in range(epochs):
        rows = balanced(classes, epoch, seed, "topic")
        assert len(rows) == total  # an epoch is as long as without
        assert all(abs(int((classes[rows] == label).sum()) - share) < 1 for label in np.unique(classes))
        assert balanced(classes, epoch, seed, "topic").tolist() == rows.tolist()
        planned = BatchSampler(np.full(total, 10), budget, seed, "topic", classes).epoch(epoch)
        assert sorted(np.concatenate(planned).tolist()) == sorted(rows.tolist())
        times += np.bincount(rows, minlength=total)
    for label in np.unique(classes):
        assert abs(times[classes == label].sum() - epochs * share) < 1  # what is left over goes round
        assert np.ptp(times[classes == label]) <= 1  # rows that one epoch leaves out come in the next


def test_balanced_differs_by_seed_name_and_epoch() -> None:
    classes = np.array([0] * 90 + [1] * 10)
    drawn = [balanced(classes, epoch, seed, name) for epoch, seed, name in [(0, 7, "a"), (1, 7, "a"), (0, 8, "a"), (0, 7, "b")]]
    assert len({tuple(sorted(rows.tolist())) for rows in drawn}) == 4
    assert [np.bincount(rows, minlength=100)[90:].tolist() for rows in drawn] == [[5] * 10] * 4
    assert flat(BatchSampler(np.full(100, 10), 100, 7, "a", classes).epoch(0)) != flat(
        BatchSampler(np.full(100, 10), 100, 7, "a").epoch(0)
    )


@given(lengths=lengths_of_texts, budget=budgets)
@settings(max_examples=30, deadline=None)
def test_evaluation_takes_every_row_once_shortest_first(lengths: np.ndarray[tuple[int], np.dtype[np.int64]], budget: int) -> None:
    batches = sorted_batches(lengths, budget)
    order = np.concatenate(batches)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) >= 0).all()
    assert all(lengths[batch].sum() <= budget or len(batch) == 1 for batch in batches)


def test_batches_are_filled() -> None:
    assert flat(cut_by_tokens(np.arange(5), np.array([4, 4, 4, 20, 3]), 8)) == [[0, 1], [2], [3], [4]]
    assert cut_by_tokens(np.arange(0), np.array([4]), 8) == []
    assert flat(cut_by_tokens(np.arange(5), np.array([1, 1, 1, 8, 1]), 8, most=2)) == [[0, 1], [2], [3], [4]]
    assert flat(cut_by_tokens(np.arange(5), np.full(5, 1), 8, most=2)) == [[0, 1], [2, 3], [4]]


@given(texts=st.lists(st.text(max_size=80), min_size=1, max_size=30), budget=st.integers(8, 200), epoch=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_flat_batches_hold_exactly_the_tokens(text_encoder: TextEncoder, texts: list[str], budget: int, epoch: int) -> None:
    encoded = text_encoder.encode(texts)
    pad = text_encoder.tokenizer.token_to_id(PAD)
    computed = 0
    for rows in BatchSampler(encoded.lengths, budget, 0, "task").epoch(epoch):
        batch = encoded.batch(rows)
        assert sorted(batch.rows.tolist()) == sorted(rows.tolist())
        assert sum(batch.sizes) == batch.tokens == len(batch.positions) == encoded.lengths[rows].sum()
        assert pad not in batch.ids.tolist()
        starts = np.flatnonzero(batch.positions.numpy() == 0)
        assert np.diff([*starts, batch.tokens]).tolist() == encoded.lengths[batch.rows].tolist()
        computed += sum(texts * length for texts, length in batch.groups)
    assert computed == len(encoded.ids)  # no position is computed for padding


def test_random_streams_depend_on_all_their_parts() -> None:
    keys: list[tuple[int | str, ...]] = [("a",), ("a", 1), (1, "a"), ("b",), ()]
    drawn = {generator(seed, *key).random() for seed in (0, 1) for key in keys}
    assert len(drawn) == 10
    assert drawn == {generator(seed, *key).random() for seed in (0, 1) for key in keys}


def collisions(batches: Sequence[Rows], texts: NDArray[np.int64]) -> int:
    """Rows that share a text with an earlier one of their batch."""
    found = 0
    for rows in batches:
        seen: set[int] = set()
        for row in rows.tolist():
            own = set(texts[:, row].tolist())
            found += bool(own & seen)
            seen |= own
    return found


def alone(batches: Sequence[Rows], texts: NDArray[np.int64]) -> int:
    """Rows of which every other row of the batch shares a text."""
    shares = lambda one, other: bool(set(texts[:, one].tolist()) & set(texts[:, other].tolist()))  # noqa: E731
    return sum(all(shares(row, other) for other in rows) for rows in batches for row in rows)


@pytest.mark.parametrize("kinds", [3, 7, 40])
def test_pairs_that_share_a_text_are_spread_over_the_batches(kinds: int) -> None:
    """A few anchors of different lengths: sorted by length, their pairs would meet each other alone."""
    random = np.random.default_rng(0)
    anchors = random.integers(kinds, size=270)
    texts = np.stack([anchors, 100 + np.arange(270)])
    lengths = 4 + 9 * anchors % 31 + random.integers(4, size=270)
    plain, spread = (BatchSampler(lengths, 200, 0, "twins", None, one) for one in (None, texts))
    for epoch in range(3):
        batches = spread.epoch(epoch)
        assert sorted(np.concatenate(batches).tolist()) == list(range(270))
        assert all(lengths[rows].sum() <= 200 or len(rows) == 1 for rows in batches)
        assert len(batches) <= 1.2 * len(plain.epoch(epoch))
        assert alone(batches, texts) == 0
        assert collisions(batches, texts) < collisions(plain.epoch(epoch), texts)
        assert [rows.tolist() for rows in batches] == [rows.tolist() for rows in spread.epoch(epoch)]


def test_where_no_pairs_share_a_text_the_batches_are_those_of_other_tasks() -> None:
    lengths = np.random.default_rng(0).integers(3, 30, size=300)
    texts = np.arange(600).reshape(2, 300)
    texts[1, 7] = texts[0, 7]  # a text and itself
    plain, spread = (BatchSampler(lengths, 200, 0, "twins", None, one) for one in (None, texts))
    assert [rows.tolist() for rows in plain.epoch(1)] == [rows.tolist() for rows in spread.epoch(1)]


def test_one_common_text_among_many_others_leaves_a_negative_in_every_batch() -> None:
    random = np.random.default_rng(1)
    common = random.permutation(400) < 200
    texts = np.stack([np.where(common, 0, 1 + np.arange(400)), 1000 + np.arange(400)])
    lengths = random.integers(5, 40, size=400)
    batches = BatchSampler(lengths, 300, 0, "twins", None, texts).epoch(0)
    shares = [common[rows].mean() for rows in batches if len(rows) > 3]
    assert min(shares) > 0.1
    assert max(shares) < 0.9
    assert alone(batches, texts) == 0
