"""The scope of a head: training vectors, and the scores of texts that do fit one of its classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]  # of classes or prototypes
Reject = float | Literal["auto"]

AUTO = 0.05  # share of fitting texts that `--reject auto` may reject
NEAREST, NEAREST_OF_CLASS = 2, 3  # prototypes whose cosines are averaged
LEVELS = 1001  # scores kept: all of up to so many rows, else their quantiles at evenly spaced levels
SMALLEST = 1e-4  # distance of a probability from 0 and 1, so that its logit is finite
AT_ONCE = 1 << 22  # cosines computed at a time
LEAST_SPREAD = 1e-3
ABSENT = -1.0  # cosine where a class has no prototype


@dataclass(frozen=True)
class Predicted:
    """N texts: the class that a head predicts, its calibrated probability, both (N,), and vectors, (N, D)."""

    classes: NDArray[Any]
    probability: NDArray[Any]
    vectors: NDArray[Any]


@dataclass(frozen=True)
class Scope:
    """`prototypes`, (P, D) float16, are vectors of training texts, of length 1, and `classes`, (P,) int32, theirs. `usual`, (C,),
    is how near to its class a text of the class usually is. `means` and `spreads`, (3,), are the mean and standard deviation of
    `parts_of` of `rows` texts that fit a class and were not trained on; `scores` are ascending quantiles of the scores of these.
    """

    prototypes: NDArray[np.float16]
    classes: NDArray[np.int32]
    usual: NDArray[np.float32]
    means: NDArray[np.float32]
    spreads: NDArray[np.float32]
    scores: NDArray[np.float32]
    rows: int

    def score(self, texts: Predicted) -> Values:
        """How well N texts fit, (N,); 0 is the mean of texts that do."""
        parts = parts_of(texts, self._prototypes, self.classes, self.usual)
        return combine(parts, self.means, self.spreads)

    def threshold(self, rate: Reject) -> float:
        """The score below which a text is rejected, so that this share of the texts that fit is."""
        return float(np.quantile(self.scores, AUTO if rate == "auto" else rate))

    def moved(self, vectors: NDArray[Any], classes: NDArray[Any], count: int) -> Scope:
        """The same scores with other prototypes, (P, D), of these classes: of a model that was trained again on more rows."""
        kept, classes = unit(vectors).astype(np.float16), classes.astype(np.int32)
        usual = usual_nearness(kept.astype(np.float32), classes, count)
        return replace(self, prototypes=kept, classes=classes, usual=usual)

    @cached_property
    def _prototypes(self) -> NDArray[np.float32]:
        return self.prototypes.astype(np.float32)


def fit_scope(vectors: NDArray[Any], classes: NDArray[Any], count: int, texts: Predicted, own: Numbers | None = None) -> Scope:
    """The scope of a head with `count` classes, from vectors (P, D) of training texts and their classes, (P,).

    `texts` fit a class and were not trained on. `own`, (N,), is the vector that is the text itself, or -1.
    """
    kept, classes = unit(vectors).astype(np.float16), classes.astype(np.int32)
    prototypes = kept.astype(np.float32)
    usual = usual_nearness(prototypes, classes, count)
    parts = parts_of(texts, prototypes, classes, usual, own)
    means, spreads = parts.mean(1).astype(np.float32), np.maximum(parts.std(1), LEAST_SPREAD).astype(np.float32)
    scores = np.sort(combine(parts, means, spreads))
    if len(scores) > LEVELS:
        scores = np.quantile(scores, np.linspace(0, 1, LEVELS))
    return Scope(kept, classes, usual, means, spreads, scores.astype(np.float32), parts.shape[1])


def combine(parts: Values, means: NDArray[Any], spreads: NDArray[Any]) -> Values:
    """The score of N texts: the mean of their parts, (3, N), each relative to texts that fit. On intents of which a third was
    foreign, it separated better than any part and than the mean of their ranks."""
    mean: Values = ((parts - means[:, None]) / spreads[:, None]).mean(0)
    return mean


def parts_of(
    texts: Predicted, prototypes: NDArray[np.float32], classes: NDArray[Any], usual: NDArray[Any], own: Numbers | None = None
) -> Values:
    """What a score is made of, (3, N): the logit of the probability, the mean cosine with the nearest prototypes, and with the
    nearest ones of the predicted class, as far as it is above what is usual for that class."""
    clipped = np.clip(texts.probability.astype(np.float64), SMALLEST, 1 - SMALLEST)
    near, near_class = np.empty(len(clipped)), np.empty(len(clipped))
    step = max(1, AT_ONCE // len(prototypes))
    for start in range(0, len(clipped), step):
        part = slice(start, start + step)
        cosines = unit(texts.vectors[part]).astype(np.float32) @ prototypes.T
        left_out = np.zeros_like(cosines, dtype=np.bool_)
        if own is not None:
            rows = np.flatnonzero(own[part] >= 0)
            left_out[rows, own[part][rows]] = True
        near[part] = mean_of_largest(cosines, left_out, NEAREST)
        other = classes[None, :] != texts.classes[part, None]
        near_class[part] = mean_of_largest(cosines, left_out | other, NEAREST_OF_CLASS)
    return np.stack([np.log(clipped) - np.log1p(-clipped), near, near_class - usual[texts.classes]])


def mean_of_largest(cosines: NDArray[np.float32], left_out: NDArray[np.bool_], count: int) -> Values:
    """The mean of the `count` largest in each row of (N, P), of fewer if fewer are not left out; ABSENT if none is."""
    count = min(count, cosines.shape[1])
    shown = np.where(left_out, -2.0, cosines)
    largest = np.partition(shown, -count, axis=1)[:, -count:]
    counted = largest > -1.5
    sums, counts = np.where(counted, largest, 0.0).sum(1), counted.sum(1)
    means: Values = np.where(counts > 0, sums / np.maximum(counts, 1), ABSENT)
    return means


def usual_nearness(prototypes: NDArray[np.float32], classes: NDArray[Any], count: int) -> NDArray[np.float32]:
    """The mean, over the prototypes of each class, of the cosine with the nearest others of the class, (C,).

    A class of one or none has the mean of the other classes."""
    usual = np.full(count, np.nan)
    for number in np.unique(classes):
        own = prototypes[classes == number]
        if len(own) > 1:
            usual[number] = mean_of_largest(own @ own.T, np.eye(len(own), dtype=np.bool_), NEAREST_OF_CLASS).mean()
    known = ~np.isnan(usual)
    filled: NDArray[np.float32] = np.where(known, usual, usual[known].mean() if known.any() else 0.0).astype(np.float32)
    return filled


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    """Vectors scaled to length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[Any] = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
