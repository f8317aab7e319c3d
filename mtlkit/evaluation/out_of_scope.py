"""How well scores tell texts that fit from texts that fit no class. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.intervals import Interval, Values, bootstrap_interval, wilson
from mtlkit.evaluation.ranking import Ranking

KEPT = 0.95  # share of fitting texts above the threshold


@dataclass(frozen=True)
class Separation:
    """`fitting` texts against `foreign` ones: the area under the ROC curve, None if it is undefined, and the share of foreign
    texts rejected by the threshold that keeps 95 % of the fitting ones, each with a 95 % interval.
    """

    fitting: int
    foreign: int
    auroc: float | None
    auroc_interval: Interval
    rejected: float
    rejected_interval: Interval

    def to_json(self) -> dict[str, Any]:
        return {
            "fitting": self.fitting,
            "foreign": self.foreign,
            "auroc": self.auroc,
            "auroc_interval": self.auroc_interval.to_json(),
            "rejected_at_95_kept": self.rejected,
            "rejected_at_95_kept_interval": self.rejected_interval.to_json(),
        }


def separation(fitting: NDArray[Any], foreign: NDArray[Any], random: np.random.Generator) -> Separation:
    """Compares the scores of texts that fit, (N,), with those of foreign texts, (M,); higher ones fit better."""
    scores = np.concatenate([fitting, foreign])
    true = np.arange(len(scores)) < len(fitting)
    ranking = Ranking(scores[:, None], true[:, None])

    def auroc(counts: Values) -> Values:
        return ranking.measure(counts)[1][:, 0]

    interval = bootstrap_interval(auroc, len(scores), random)
    value = float(auroc(np.ones((1, len(scores))))[0])
    rejected = int((foreign < np.quantile(fitting, 1 - KEPT)).sum())
    share = wilson(rejected, len(foreign))
    return Separation(
        len(fitting), len(foreign), None if np.isnan(value) else value, interval, rejected / len(foreign), share
    )  # fmt: skip
