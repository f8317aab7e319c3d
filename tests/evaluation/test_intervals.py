from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest, pearsonr, sem, spearmanr, t

from mtlkit.evaluation import intervals
from mtlkit.evaluation.intervals import (
    Interval,
    Measure,
    bootstrap_change,
    bootstrap_correlations,
    holm,
    mcnemar,
    mean_of,
    permutation_p,
    spearman_of,
    student,
    wilson,
)


@pytest.mark.parametrize(("hits", "total"), [(0, 1), (0, 50), (1, 3), (90, 100), (12_345, 25_000), (50, 50)])
def test_wilson_is_that_of_scipy(hits: int, total: int) -> None:
    wanted = binomtest(hits, total).proportion_ci(0.95, method="wilson")
    found = wilson(hits, total)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert 0 <= found.low <= hits / total <= found.high <= 1


def values(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two lists that go together, the second with many ties."""
    random = np.random.default_rng(seed)
    left = random.normal(size=count)
    return left, np.round(left + random.normal(size=count))


@pytest.mark.parametrize("count", [3, 40, 500])
def test_each_resample_has_the_correlations_of_its_rows(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 60)
    left, right = values(count)
    by_hand = []
    for counts in next(intervals.resamples(count, np.random.default_rng(5))):
        rows = np.repeat(np.arange(count), counts.astype(int))
        varies = np.ptp(left[rows]) and np.ptp(right[rows])
        if varies:  # of others it is undefined
            by_hand.append([measure(left[rows], right[rows]).statistic for measure in (pearsonr, spearmanr)])
    wanted = np.percentile(by_hand, [2.5, 97.5], axis=0).T
    found = bootstrap_correlations(left, right, np.random.default_rng(5))
    np.testing.assert_allclose([interval.to_json() for interval in found], wanted, atol=1e-9)


def test_a_resample_draws_as_many_pairs_as_there_are() -> None:
    drawn = np.concatenate(list(intervals.resamples(7000, np.random.default_rng(0))))
    assert drawn.shape == (intervals.RESAMPLES, 7000)
    assert (drawn.sum(1) == 7000).all()
    assert drawn.mean(0).std() < 0.1  # no place is favoured: 1 / sqrt(1000) is the deviation to expect


def test_the_interval_holds_the_figure_and_shrinks_with_more_pairs() -> None:
    widths = []
    for count in (50, 500, 5000):
        left, right = values(count)
        found = bootstrap_correlations(left, right, np.random.default_rng(1))
        for interval, measure in zip(found, (pearsonr, spearmanr), strict=True):
            assert interval.low < measure(left, right).statistic < interval.high
        widths.append(found[1].high - found[1].low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_the_interval_follows_from_the_seed_and_not_from_the_size_of_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = values(300)
    first = bootstrap_correlations(left, right, np.random.default_rng(1))
    assert bootstrap_correlations(left, right, np.random.default_rng(1)) == first
    assert bootstrap_correlations(left, right, np.random.default_rng(2)) != first
    monkeypatch.setattr(intervals, "AT_ONCE", 1000)
    for piecewise, whole in zip(bootstrap_correlations(left, right, np.random.default_rng(1)), first, strict=True):
        assert piecewise.to_json() == pytest.approx(whole.to_json(), abs=1e-12)


def test_without_variation_there_is_no_correlation() -> None:
    left, _ = values(30)
    found = bootstrap_correlations(left, np.full(30, 0.1), np.random.default_rng(0))
    assert [one.to_json() for one in found] == [None, None]
    assert all(one.holds_zero for one in found)


def test_scale_and_place_do_not_matter() -> None:
    left, right = values(100)
    plain = bootstrap_correlations(left, right, np.random.default_rng(0))
    moved = bootstrap_correlations(1e-9 * left + 1, 1e6 * right - 1e9, np.random.default_rng(0))
    for one, other in zip(plain, moved, strict=True):
        assert one.to_json() == pytest.approx(other.to_json(), abs=1e-5)


def hits(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Hits of two models: the first has 80 %; the second loses a tenth of those and gains a twentieth of the others."""
    before, turns = random.random(count) < 0.8, random.random(count)
    return before, np.where(before, turns > 0.1, turns < 0.05)


@pytest.mark.parametrize("measure", [mean_of, lambda values: spearman_of(values, np.arange(50) % 7)])
def test_of_equal_sides_the_change_is_nothing(measure: Callable[[np.ndarray], Measure]) -> None:
    values = np.random.default_rng(3).random(50)
    sides = measure(values), measure(values.copy())
    assert bootstrap_change(*sides, 50, np.random.default_rng(0)) == Interval(0.0, 0.0)


def test_a_change_of_means_has_the_interval_of_its_differences() -> None:
    before, after = hits(3000, np.random.default_rng(2))
    found = bootstrap_change(mean_of(before), mean_of(after), 3000, np.random.default_rng(0))
    change = after.astype(float) - before
    half = intervals.Z * change.std() / np.sqrt(3000)
    assert found.to_json() == pytest.approx([change.mean() - half, change.mean() + half], abs=half / 8)
    assert half < 0.6 * intervals.Z * np.hypot(before.std(), after.std()) / np.sqrt(3000)  # what two sets of rows would have


def test_the_interval_of_a_change_holds_the_true_one_in_95_of_100_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 400)
    true, held = 0.2 * 0.05 - 0.8 * 0.1, 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        before, after = hits(300, random)
        found = bootstrap_change(mean_of(before), mean_of(after), 300, random)
        held += found.low <= true <= found.high
    assert 0.91 < held / 400 < 0.98


def test_a_change_of_spearman_is_that_of_the_rows_of_each_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 60)
    before, true = values(40)
    after = before + np.random.default_rng(9).normal(size=40)
    by_hand = []
    for counts in next(intervals.resamples(40, np.random.default_rng(5))):
        rows = np.repeat(np.arange(40), counts.astype(int))
        by_hand.append(spearmanr(after[rows], true[rows]).statistic - spearmanr(before[rows], true[rows]).statistic)
    found = bootstrap_change(spearman_of(before, true), spearman_of(after, true), 40, np.random.default_rng(5))
    assert found.to_json() == pytest.approx(np.percentile(by_hand, [2.5, 97.5]).tolist(), abs=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(-1, 1, True), (0, 0, True), (0, 1, True), (0.1, 1, False), (-1, -0.1, False)]
)
def test_whether_an_interval_holds_zero(low: float, high: float, holds: bool) -> None:
    assert Interval(low, high).holds_zero == holds


@pytest.mark.parametrize(("one", "other"), [(0, 0), (3, 3), (1, 0), (0, 12), (7, 2), (130, 170)])
def test_mcnemar_is_the_two_sided_binomial_test(one: int, other: int) -> None:
    tail = sum(comb(one + other, hits) for hits in range(min(one, other) + 1)) / 2 ** (one + other)
    assert mcnemar(one, other) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert mcnemar(one, other) == mcnemar(other, one)


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    few = [0.3, -0.1, 0.4, 0.2]
    assert student(few) is not None
    assert student(few).to_json() == pytest.approx(t.interval(0.95, 3, np.mean(few), sem(few)))  # type: ignore[union-attr]
    assert student([0.3]) is None
    assert student([]) is None


def test_holm_raises_each_p_by_its_rank() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # 3 x, then 2 x 0.03, and no less than before
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_a_permutation_test_of_hits_agrees_with_mcnemar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 4000)
    one, other = np.repeat([1.0, 0.0, 1.0], [9, 2, 30]), np.repeat([0.0, 1.0, 1.0], [9, 2, 30])
    found = permutation_p(lambda values: float(values.mean()), one, other, np.random.default_rng(0))
    assert found == pytest.approx(mcnemar(9, 2), abs=0.015)
    assert permutation_p(lambda values: float(values.mean()), one, one.copy(), np.random.default_rng(0)) == 1.0


def test_a_permutation_exchanges_whole_rows() -> None:
    one, other = np.zeros((6, 3)), np.ones((6, 3))
    seen = []

    def figure(values: np.ndarray) -> float:
        seen.append(values)
        return float(values.sum())

    permutation_p(figure, one, other, np.random.default_rng(0))
    assert all((np.ptp(values, axis=1) == 0).all() for values in seen)
    assert all((left + right == 1).all() for left, right in zip(seen[::2], seen[1::2], strict=True))
