"""Chooses the strength of L2 regularization by stratified cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.evaluation.intervals import Values
from mtlkit.tasks.convex import ConvexLoss
from mtlkit.training.solver.folds import FOLDS, Strata
from mtlkit.training.solver.linear import Features, LinearFit, fit

# inverse strengths relative to the spread of the vectors: with vectors of mean squared distance 1 from their mean, it is
# scikit-learn's C
GRID = tuple(float(c) for c in 10.0 ** np.arange(-1, 5))
HALF_STEP = 10.0**0.5  # the chosen strength is refined by a stronger one, half a step away
FALLBACK = 10.0 * HALF_STEP  # where there are too few rows to cross-validate on
MORE_ROUNDS = 300  # rows below which the folds are drawn several times, as few rows make a noisy choice
MOST_ROUNDS = 3
WORTH_IT = 0.1  # standard errors that a strength weaker than FALLBACK has to gain, or it is the last
WORK = 500_000_000  # numbers (rows x D x K) that cross-validation works on at most; it takes fewer rows beyond
HELD_OUT_ONCE = 2  # of the folds, where it takes fewer rows: they are enough then
LONG = 30_000_000  # numbers beyond which it takes seconds
HELD_OUT_LONG = 3  # of the folds then, which have hundreds of rows or more each


@dataclass(frozen=True)
class Trial:
    """A strength, the mean loss of held-out rows, and the standard error of that mean."""

    c: float
    loss: float
    error: float


@dataclass(frozen=True)
class Choice:
    """The strength chosen: `c` of `trials`. `outputs`, (M, K), are those for the held-out `rows`, by models of the other folds
    (mean of several rounds); empty without cross-validation."""

    c: float
    trials: tuple[Trial, ...]
    rows: Rows
    outputs: Values
    folds: int
    rounds: int
    start: LinearFit | None = None


def l2_of(c: float, variance: float, rows: int) -> float:
    """The factor of the L2 term beside a mean loss over so many rows."""
    return (variance or 1.0) / (c * rows)


def choose_strength(
    features: Features,
    loss: ConvexLoss,
    strata: NDArray[np.int64],
    name: str,
    seed: int,
    count: Callable[[], object] = lambda: None,
    groups: NDArray[np.int64] | None = None,
) -> Choice:
    """The strongest regularization whose mean held-out loss is within one standard error of the lowest (Breiman et al. 1984).

    `strata`, (N,), numbers what is spread evenly over the folds, of groups if there are any: see `Strata`. `count` is called
    after each strength.
    """
    spread = Strata(strata, groups)
    most = max(2 * FOLDS, WORK // (features.vectors.shape[1] * loss.outputs))
    rows = spread.sample(most, "solver", name, seed=seed)
    total, features, loss, spread = len(features), features.take(rows).single(), loss.take(rows), spread.take(rows)
    rounds = max(1, min(MOST_ROUNDS, MORE_ROUNDS // len(rows))) if len(rows) == total else 1
    held_out = HELD_OUT_LONG if features.vectors.size * loss.outputs > LONG else FOLDS
    held_out = HELD_OUT_ONCE if len(rows) < total else held_out
    splits = []
    for number in range(rounds):
        numbers = spread.folds("solver", name, str(number), seed=seed)
        pairs = [(np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)) for fold in range(FOLDS)]
        used = [(train, held) for train, held in pairs[:held_out] if len(held) and len(train)]
        splits += [_Split(features.take(train), loss.take(train), held) for train, held in used]
    tested = np.unique(np.concatenate([split.held for split in splits])) if splits else np.array([], np.int64)
    if len(tested) < 2:
        return not_cross_validated(loss, FALLBACK)
    results: list[_Result] = []
    for c in GRID:
        results.append(_try(c, splits, features, loss, tested, rounds))
        count()
        enough = WORTH_IT * results[-1].trial.error if c > FALLBACK else 0.0
        if len(results) > 1 and results[-2].trial.loss - results[-1].trial.loss < enough:
            break
    coarse = one_standard_error([result.trial for result in results])
    if coarse:
        results.insert(coarse, _try(GRID[coarse] / HALF_STEP, splits, features, loss, tested, rounds))
        count()
    trials = tuple(result.trial for result in results)
    chosen = results[one_standard_error(trials)]
    return Choice(chosen.trial.c, trials, rows[tested], chosen.outputs, FOLDS, rounds, chosen.start)


def _try(c: float, splits: Sequence[_Split], features: Features, loss: ConvexLoss, tested: Rows, rounds: int) -> _Result:
    """Cross-validates one strength: the mean loss over the `tested` rows, and their outputs."""
    outputs, losses = np.zeros((len(features), loss.outputs)), np.zeros(len(features))
    for split in splits:
        predicted = split.predict(c, features)
        outputs[split.held] += predicted / rounds
        losses[split.held] += loss.take(split.held).each(predicted) / rounds
    losses = losses[tested]
    trial = Trial(c, float(losses.mean()), float(losses.std(ddof=1) / np.sqrt(len(losses))))
    return _Result(trial, outputs[tested], splits[0].fits[c])


def not_cross_validated(loss: ConvexLoss, c: float) -> Choice:
    """A given strength."""
    return Choice(c, (), np.array([], np.int64), np.zeros((0, loss.outputs)), 0, 0)


def one_standard_error(trials: Sequence[Trial]) -> int:
    """The first of trials, from the strongest to the weakest, whose loss is within one standard error of the lowest."""
    best = min(trials, key=lambda trial: trial.loss)
    return next(index for index, trial in enumerate(trials) if trial.loss <= best.loss + best.error)


@dataclass(frozen=True)
class _Result:
    """A strength, the outputs (M, K) of the held-out rows, and the fit to the first split."""

    trial: Trial
    outputs: Values
    start: LinearFit | None


class _Split:
    """Training rows of a fold, and the held-out ones. A fit begins at that of the nearest strength."""

    def __init__(self, features: Features, loss: ConvexLoss, held: Rows) -> None:
        self.features, self.loss, self.held = features, loss, held
        self.fits: dict[float, LinearFit] = {}

    def predict(self, c: float, features: Features) -> Values:
        """Outputs for the held-out rows of `features`, (M, K)."""
        l2 = l2_of(c, self.features.variance, len(self.features))
        start = min(self.fits, key=lambda near: abs(np.log(near / c)), default=None)
        begin = None if start is None else self.fits[start]
        self.fits[c] = fit(self.features, self.loss, l2, begin, tolerance=1e-4, most=100)
        return self.fits[c].outputs(features.vectors[self.held])
