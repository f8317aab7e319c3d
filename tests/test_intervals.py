from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, pearsonr, spearmanr

from mtlkit import intervals
from mtlkit.intervals import Interval, bootstrap_correlations, wilson


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
    for counts in next(intervals._resamples(count, np.random.default_rng(5))):
        rows = np.repeat(np.arange(count), counts.astype(int))
        varies = np.ptp(left[rows]) and np.ptp(right[rows])
        pair = [measure(left[rows], right[rows]).statistic if varies else 0.0 for measure in (pearsonr, spearmanr)]
        by_hand.append(pair)
    wanted = np.percentile(by_hand, [2.5, 97.5], axis=0).T
    found = bootstrap_correlations(left, right, np.random.default_rng(5))
    np.testing.assert_allclose([interval.to_json() for interval in found], wanted, atol=1e-9)


def test_a_resample_draws_as_many_pairs_as_there_are() -> None:
    drawn = np.concatenate(list(intervals._resamples(7000, np.random.default_rng(0))))
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
    assert bootstrap_correlations(left, np.full(30, 0.1), np.random.default_rng(0)) == (Interval(0.0, 0.0), Interval(0.0, 0.0))


def test_scale_and_place_do_not_matter() -> None:
    left, right = values(100)
    plain = bootstrap_correlations(left, right, np.random.default_rng(0))
    moved = bootstrap_correlations(1e-9 * left + 1, 1e6 * right - 1e9, np.random.default_rng(0))
    for one, other in zip(plain, moved, strict=True):
        assert one.to_json() == pytest.approx(other.to_json(), abs=1e-5)
